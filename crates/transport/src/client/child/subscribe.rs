//! Subscriptions at a child process. A child that somebody is subscribed to is in use.

use std::sync::Arc;

use futures::future::{self, Either, FutureExt};
use futures::stream::{self, StreamExt};
use mcp_router_protocol::{Era, Method};
use mcp_router_service::{
    CallError, Event, HoldGuard, McpRequest, McpResponse, Reason, ResponseStream, Sent,
};

use super::conn::Peer;
use crate::client::dialect::Asked;
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

/// On a pipe, the acknowledgement names its stream and the news come like any other.
async fn stream(peer: &Arc<Peer>, request: &McpRequest) -> Result<McpResponse, CallError> {
    let (ticket, acknowledged) = peer.conn.subscribe_acknowledged(&peer.dialect, request)?;
    let (dialect, asked) = (peer.dialect.clone(), Asked::of(request));
    let answer = ticket.answer().boxed();
    let outcome = move |answer| dialect.outcome(&asked, answer);
    match future::select(acknowledged, answer).await {
        Either::Left((Ok(params), answer)) => {
            let method = Method::SubscriptionsAcknowledged;
            let first = Event::Notification { method, params };
            let last = stream::once(async move { Ok(Event::Outcome(outcome(answer.await?)?)) });
            let events = stream::iter([Ok(first)]).chain(last);
            Ok(McpResponse::Stream(ResponseStream::new(events)))
        }
        Either::Left((Err(_), answer)) => Ok(McpResponse::Ready(outcome(answer.await?)?)),
        Either::Right((answer, _)) => Ok(McpResponse::Ready(outcome(answer?)?)),
    }
}
