//! Subscriptions in a client's own upstream session.
//!
//! A server that keeps something of each client may have resources that only this client's session
//! sees, and tells of them there alone. So with such a server the client's own session subscribes.
//! Its id carries that session, and the subscriptions in it live on when the router is restarted or
//! another replica goes on; that one never saw them being made, and passes on what comes.

use std::sync::Arc;

use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::{BackendName, Namespace, RawParams, uri};
use mcp_router_service::{CallError, McpRequest, McpResponse, Outcome, Reason, Sent, Session};
use tower::ServiceExt;

use super::{SessionWatches, WATCHED, too_many};
use crate::backend::Cell;

/// A resource that a session watches in its own upstream session.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct OwnWatch {
    backend: BackendName,
    uri: String,
}

/// Whether `cell` keeps something of each client, in a session of its own.
pub(super) fn has_own(cell: &Cell) -> bool {
    cell.live.load().info.attach
}

/// Subscribes to what `cell` calls `own`; `asked` is the client's spelling.
///
/// # Errors
/// If the backend cannot be asked.
pub(super) async fn subscribe(
    cell: &Arc<Cell>,
    (asked, own): (String, String),
    session: &Session,
    request: &McpRequest,
) -> Result<McpResponse, CallError> {
    let watches = SessionWatches::of(session);
    if watches.len() >= WATCHED {
        return Ok(too_many());
    }
    // Also what is known already: the upstream session may be another one since.
    let answer = tell(cell, &own, request).await?;
    if let McpResponse::Ready(Outcome::Complete(_)) = &answer {
        let backend = cell.meta.name.clone();
        let own = OwnWatch { backend, uri: own };
        watches.own.with(|all| all.insert(asked, own));
    }
    Ok(answer)
}

/// Ends a subscription, which another replica may have made.
///
/// # Errors
/// If the backend cannot be asked.
pub(super) async fn unsubscribe(
    cell: &Arc<Cell>,
    own: &str,
    session: &Session,
    request: &McpRequest,
) -> Result<McpResponse, CallError> {
    let name = &cell.meta.name;
    let gone = |watch: &OwnWatch| watch.backend == *name && watch.uri == own;
    let watches = SessionWatches::of(session);
    watches.own.with(|all| all.retain(|_, watch| !gone(watch)));
    tell(cell, own, request).await
}

async fn tell(cell: &Arc<Cell>, own: &str, request: &McpRequest) -> Result<McpResponse, CallError> {
    let name = &cell.meta.name;
    let Some(service) = cell.service.clone() else {
        return Err(CallError::new(Reason::NoBackend, Sent::No).on(name));
    };
    let mut request = request.clone();
    request.params = request.params.with_uri(own);
    let answer = async { service.oneshot(request).await?.outcome().await };
    Ok(McpResponse::Ready(answer.await.map_err(|e| e.on(name))?))
}

/// Hands on an update that came in a client's own upstream session.
pub(crate) fn updated(
    cell: &Cell,
    namespace: Option<&Namespace>,
    session: &Session,
    params: &RawParams,
) {
    let Some(own) = params.uri() else {
        return dropped::count_of(Dropped::BackendNotificationUnwanted, "update of nothing");
    };
    let watches = SessionWatches::of(session);
    // Who watches a whole hears of its parts, under their own names.
    let watched = |watch: &OwnWatch| {
        let rest = own.strip_prefix(&watch.uri);
        let part = |rest: &str| rest.is_empty() || rest.starts_with(['/', '?', '#']);
        watch.backend == cell.meta.name
            && rest.is_some_and(|rest| part(rest) || watch.uri.ends_with('/'))
    };
    let shown = || uri::expose(namespace, &own);
    let known = watches.own.with(|all| {
        let mut known = all.iter().filter(|(_, watch)| watched(watch));
        let exact = known.clone().find(|(_, watch)| watch.uri == own);
        let exact = exact.map(|(asked, _)| asked.clone());
        exact.or_else(|| known.next().map(|_| shown()))
    });
    // What was subscribed to elsewhere is not known here. The backend knows.
    let asked = known.or_else(|| session.is_revived().then(shown));
    match asked {
        Some(asked) => watches.mailbox.update(&asked, params.with_uri(&asked)),
        None => dropped::count(Dropped::UpdateUnsubscribed),
    }
}
