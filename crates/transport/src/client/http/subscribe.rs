//! Subscriptions over HTTP: a listen stream of a modern backend, requests to a legacy one.

use std::sync::Arc;

use futures::FutureExt;
use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::Message;
use mcp_router_service::{CallError, Event, McpRequest, McpResponse, Reason, Sent};

use super::edge::Edge;
use super::lane::Lane;
use super::messages::Messages;
use super::negotiate::Peer;
use super::{modern, silence, standing};
use crate::client::dialect::Asked;
use crate::client::respond::{Source, respond};
use crate::client::subscribe::{self, Ask};

/// A stream that lives as long as the subscriptions that its filter names.
pub(super) async fn listen(
    edge: &Arc<Edge>,
    peer: &Arc<Peer>,
    request: McpRequest,
) -> Result<McpResponse, CallError> {
    let Some(lane) = &peer.lane else {
        return stream(edge, peer, request).await;
    };
    lane.mux().watch();
    let lost = || CallError::new(Reason::BackendLost, Sent::Unknown).detail("subscriptions");
    let (subscribed, ended) = match lane {
        Lane::Session(session) => {
            let (mut gaps, closed) = (session.gaps(), session.closed().clone());
            let ended = async move {
                tokio::select! {
                    _ = gaps.changed() => {}
                    () = closed.cancelled_owned() => {}
                }
                lost()
            };
            (session.subscribed(), ended.boxed())
        }
        Lane::Channel(channel) => {
            let gone = channel.clone();
            let ended = async move {
                gone.lost().await;
                lost()
            };
            (channel.subscribed(), ended.boxed())
        }
    };
    let (edge, lane) = (edge.clone(), lane.clone());
    let ask: Ask = Arc::new(move |request| {
        let (edge, lane) = (edge.clone(), lane.clone());
        async move { lane.call(&edge, request).await }.boxed()
    });
    subscribe::listen(subscribed, &request.params, ask, ended).await
}

async fn stream(
    edge: &Arc<Edge>,
    peer: &Arc<Peer>,
    request: McpRequest,
) -> Result<McpResponse, CallError> {
    let id = edge.next_id();
    let body = peer.dialect.request(id, &request)?;
    let headers = modern::headers(peer.posting.clone(), &request);
    // It may last for days: no place among the requests in flight.
    let opening = edge.ask_with(&peer.url, headers, body, id, None);
    let messages = standing::in_time(edge, opening).await?;
    respond(Listening {
        edge: edge.clone(),
        peer: peer.clone(),
        asked: Asked::of(&request),
        messages,
    })
    .await
}

/// The messages of one listen stream.
struct Listening {
    edge: Arc<Edge>,
    peer: Arc<Peer>,
    asked: Asked,
    messages: Messages,
}

impl Source for Listening {
    async fn next(&mut self) -> Result<Event, CallError> {
        let quiet = self.edge.params.quiet_after;
        loop {
            let ping = || self.peer.ask(&self.edge);
            match silence::next(&mut self.messages, quiet, ping).await {
                Some(Message::Notification { method, params }) => {
                    return Ok(Event::Notification { method, params });
                }
                Some(Message::Response { answer, .. }) => {
                    let outcome = self.peer.dialect.outcome(&self.asked, answer)?;
                    return Ok(Event::Outcome(outcome));
                }
                Some(Message::Request { method, .. }) => {
                    dropped::count_of(Dropped::BackendRequestForbidden, method);
                }
                None => return Err(CallError::new(Reason::BackendLost, Sent::Unknown)),
            }
        }
    }
}
