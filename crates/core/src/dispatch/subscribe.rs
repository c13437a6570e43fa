//! Subscriptions to single resources: whose they are, and who asked.
//!
//! Modern clients name resources in the filter of a listen stream; legacy ones subscribe one by
//! one, in their session. Both are [watches](Watch) at the owner, and news of both come on the
//! client's listen stream.

mod own;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use mcp_router_protocol::{ErrorObject, RawJson, code};
use mcp_router_service::{CallError, McpRequest, McpResponse, Session};
use tokio::time::{Instant, timeout_at};

use own::OwnWatch;
pub(crate) use own::updated as updated_in_own;

use super::{invalid_params, read};
use crate::backend::Cell;
use crate::catalogue::Snapshot;
use crate::hub::Hub;
use crate::subscriptions::{Mailbox, Watch};

/// Resources that one client may watch.
pub(super) const WATCHED: usize = 1000;
/// How long a client waits for the owners' word. Without one it is promised what it asked for.
pub(super) const WORD: Duration = Duration::from_secs(5);

/// What one legacy session watches, and what waits for it.
#[derive(Debug, Default)]
pub(super) struct SessionWatches {
    pub(super) mailbox: Arc<Mailbox>,
    /// Together with all other clients.
    watches: Watches<Watch>,
    /// In its own upstream sessions.
    own: Watches<OwnWatch>,
}

/// Watches by the spelling that the client used.
#[derive(Debug)]
struct Watches<W>(Mutex<HashMap<String, W>>);

impl SessionWatches {
    pub(super) fn of(session: &Session) -> Arc<Self> {
        session.slot(&"subscriptions".into(), Self::default)
    }

    fn len(&self) -> usize {
        self.watches.with(|all| all.len()) + self.own.with(|all| all.len())
    }
}

impl<W> Watches<W> {
    fn with<T>(&self, change: impl FnOnce(&mut HashMap<String, W>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<W> Default for Watches<W> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// `resources/subscribe` of a legacy session.
///
/// # Errors
/// If the session has a conversation of its own with the owner, who cannot be asked.
pub(super) async fn subscribe(
    hub: &Hub,
    session: &Session,
    request: &McpRequest,
) -> Result<McpResponse, CallError> {
    let Some(asked) = request.params.uri() else {
        return Ok(invalid_params("params.uri must be a string"));
    };
    hub.ready().await;
    let owner = owner(&hub.snapshot.load(), &asked);
    if let Some((cell, uri)) = owner.filter(|(cell, _)| own::has_own(cell)) {
        return own::subscribe(&cell, (asked, uri), session, request).await;
    }
    let all = SessionWatches::of(session);
    if all.watches.with(|watches| watches.contains_key(&asked)) {
        return Ok(done());
    }
    if all.len() >= WATCHED {
        return Ok(too_many());
    }
    let begun = begin(&hub.snapshot.load(), &asked, &all.mailbox);
    let honoured = honoured(begun.into_iter().collect()).await;
    let Some((_, watch)) = honoured.into_iter().next() else {
        return Ok(not_watched(&asked));
    };
    // A session that ended meanwhile drops what it watches when its last handle goes.
    all.watches.with(|watches| watches.insert(asked, watch));
    Ok(done())
}

/// `resources/unsubscribe` of a legacy session. Whatever is not watched already is not.
///
/// # Errors
/// If the session has a conversation of its own with the owner, who cannot be asked.
pub(super) async fn unsubscribe(
    hub: &Hub,
    session: &Session,
    request: &McpRequest,
) -> Result<McpResponse, CallError> {
    let Some(asked) = request.params.uri() else {
        return Ok(invalid_params("params.uri must be a string"));
    };
    let owner = owner(&hub.snapshot.load(), &asked);
    if let Some((cell, uri)) = owner.as_ref().filter(|(cell, _)| own::has_own(cell)) {
        return own::unsubscribe(cell, uri, session, request).await;
    }
    let watches = &SessionWatches::of(session).watches;
    let gone = watches.with(|watches| watches.remove(&asked));
    if let (None, Some((cell, uri))) = (gone, owner) {
        // In another spelling than it was subscribed to.
        watches.with(|watches| watches.retain(|_, watch| !watch.is_of(&cell, &uri)));
    }
    Ok(done())
}

/// Begins to watch a resource for whoever reads `mailbox`; `None` if nobody has it, or its owner
/// has no subscriptions.
pub(super) fn begin(
    snapshot: &Snapshot,
    asked: &str,
    mailbox: &Arc<Mailbox>,
) -> Option<(String, Watch)> {
    let (cell, own) = owner(snapshot, asked)?;
    let watch = Watch::new(&cell, &own, asked, mailbox);
    Some((asked.to_owned(), watch))
}

/// Those of `begun` that their owners honour, or may yet honour.
pub(super) async fn honoured(begun: Vec<(String, Watch)>) -> Vec<(String, Watch)> {
    let end = Instant::now() + WORD;
    let words = begun.into_iter().map(|(asked, watch)| async move {
        let honoured = match timeout_at(end, watch.honoured()).await {
            Ok(honoured) => honoured,
            Err(_) => {
                watch.promise();
                true
            }
        };
        honoured.then_some((asked, watch))
    });
    join_all(words).await.into_iter().flatten().collect()
}

/// The first of the owners of a resource that has subscriptions, and its own URI.
fn owner(snapshot: &Snapshot, asked: &str) -> Option<(Arc<Cell>, String)> {
    let (choices, own) = read::owners(snapshot, asked)?;
    let mut cells = choices.iter().map(|choice| &choice.cell);
    let cell = cells.find(|cell| cell.has_subscriptions())?.clone();
    Some((cell, own))
}

fn too_many() -> McpResponse {
    invalid_params("too many subscriptions in this session")
}

fn done() -> McpResponse {
    McpResponse::complete(RawJson::from_static("{}"))
}

fn not_watched(asked: &str) -> McpResponse {
    let shown: String = asked.chars().take(512).collect();
    let data = format!("{{\"uri\":{}}}", RawJson::of(&shown).as_str());
    McpResponse::error(ErrorObject::with_data(
        code::INVALID_PARAMS,
        "No such resource, or its server has no subscriptions to it",
        Some(&RawJson::from_checked(data.into())),
    ))
}
