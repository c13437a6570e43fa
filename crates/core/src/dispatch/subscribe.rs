//! Subscriptions to single resources: whose they are, and who asked.
//!
//! Modern clients name resources in the filter of a listen stream; legacy ones subscribe one by
//! one, in their session. Both are [watches](Watch) at the owner, and news of both come on the
//! client's listen stream.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use mcp_router_protocol::{ErrorObject, RawJson, code};
use mcp_router_service::{McpRequest, McpResponse, Session};
use tokio::time::{Instant, timeout_at};

use super::{invalid_params, read};
use crate::backend::Cell;
use crate::catalogue::Snapshot;
use crate::hub::Hub;
use crate::subscriptions::{Mailbox, Watch};

/// Resources that one client may watch.
pub(super) const WATCHED: usize = 1000;
/// How long a client waits for the owners' word. Without one it is promised what it asked for.
const WORD: Duration = Duration::from_secs(5);

/// What one legacy session watches, and what waits for it.
#[derive(Debug, Default)]
pub(super) struct SessionWatches {
    pub(super) mailbox: Arc<Mailbox>,
    /// By the spelling that the client used.
    watches: Mutex<HashMap<String, Watch>>,
}

impl SessionWatches {
    pub(super) fn of(session: &Session) -> Arc<Self> {
        session.slot(&"subscriptions".into(), Self::default)
    }

    fn with<T>(&self, change: impl FnOnce(&mut HashMap<String, Watch>) -> T) -> T {
        change(&mut self.watches.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// `resources/subscribe` of a legacy session.
pub(super) async fn subscribe(hub: &Hub, session: &Session, request: &McpRequest) -> McpResponse {
    let Some(asked) = request.params.uri() else {
        return invalid_params("params.uri must be a string");
    };
    hub.ready().await;
    let own = SessionWatches::of(session);
    let known = own.with(|watches| (watches.contains_key(&asked), watches.len()));
    match known {
        (true, _) => return done(),
        (false, WATCHED..) => return invalid_params("too many subscriptions in this session"),
        _ => {}
    }
    let begun = begin(&hub.snapshot.load(), &asked, &own.mailbox);
    let honoured = honoured(begun.into_iter().collect()).await;
    let Some((_, watch)) = honoured.into_iter().next() else {
        return not_watched(&asked);
    };
    // A session that ended meanwhile drops what it watches when its last handle goes.
    own.with(|watches| watches.insert(asked, watch));
    done()
}

/// `resources/unsubscribe` of a legacy session. Whatever is not watched already is not.
pub(super) fn unsubscribe(hub: &Hub, session: &Session, request: &McpRequest) -> McpResponse {
    let Some(asked) = request.params.uri() else {
        return invalid_params("params.uri must be a string");
    };
    let own = SessionWatches::of(session);
    let gone = own.with(|watches| watches.remove(&asked));
    if gone.is_none()
        && let Some((cell, uri)) = owner(&hub.snapshot.load(), &asked)
    {
        // In another spelling than it was subscribed to.
        own.with(|watches| watches.retain(|_, watch| !watch.is_of(&cell, &uri)));
    }
    done()
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
