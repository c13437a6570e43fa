//! Subscriptions at a child process. A child that somebody is subscribed to is in use.

use std::sync::Arc;

use futures::FutureExt;
use mcp_router_protocol::{Era, Method, RawParams};
use mcp_router_service::{CallError, Event, HoldGuard, McpRequest, McpResponse, Reason, Sent};
use tokio::sync::oneshot;

use super::conn::Peer;
use crate::client::dialect::{Asked, Dialect};
use crate::client::mux::{Arrival, Ticket};
use crate::client::respond::{Source, respond};
use crate::client::subscribe::{self, Ask};

/// A stream that lives as long as the subscriptions that its filter names.
pub(super) async fn listen(
    peer: &Arc<Peer>,
    request: McpRequest,
) -> Result<McpResponse, CallError> {
    let in_use = peer.conn.use_it();
    peer.conn.mux.watch();
    let answer = match peer.dialect.era() {
        Era::Modern => stream(peer, &request).await?,
        Era::Legacy => {
            // Nobody answers this: it ends with the connection.
            let id = peer.conn.next_id();
            let end = peer.conn.mux.open(id, None).answer();
            let lost = || CallError::new(Reason::BackendLost, Sent::Unknown);
            let ended = end.map(move |end| end.err().unwrap_or_else(lost));
            let caller = peer.clone();
            let ask: Ask = Arc::new(move |request| {
                let peer = caller.clone();
                async move { peer.call(request).await }.boxed()
            });
            let subscribed = &peer.conn.subscribed;
            subscribe::listen(subscribed, &request.params, ask, ended.boxed()).await?
        }
    };
    Ok(answer.hold(in_use))
}

/// The messages of a listen stream on a pipe: those that name it, which are its acknowledgement
/// and news of tasks. All other news come like any that nobody asked for.
struct Listening {
    ticket: Ticket,
    /// Until it has come.
    acknowledged: Option<oneshot::Receiver<RawParams>>,
    dialect: Dialect,
    asked: Asked,
}

async fn stream(peer: &Arc<Peer>, request: &McpRequest) -> Result<McpResponse, CallError> {
    let (ticket, acknowledged) = peer.conn.subscribe_acknowledged(&peer.dialect, request)?;
    respond(Listening {
        ticket,
        acknowledged: Some(acknowledged),
        dialect: peer.dialect.clone(),
        asked: Asked::of(request),
    })
    .await
}

impl Listening {
    fn event(&self, arrival: Arrival) -> Result<Event, CallError> {
        match arrival {
            Arrival::Event(event) => Ok(event),
            Arrival::Answer(answer) => {
                let outcome = self.dialect.outcome(&self.asked, answer?)?;
                Ok(Event::Outcome(outcome))
            }
        }
    }
}

impl Source for Listening {
    async fn next(&mut self) -> Result<Event, CallError> {
        if let Some(acknowledged) = &mut self.acknowledged {
            tokio::select! {
                biased;
                params = acknowledged => {
                    self.acknowledged = None;
                    if let Ok(params) = params {
                        let method = Method::SubscriptionsAcknowledged;
                        return Ok(Event::Notification { method, params });
                    }
                }
                arrival = self.ticket.arrival() => return self.event(arrival),
            }
        }
        let arrival = self.ticket.arrival().await;
        self.event(arrival)
    }
}
