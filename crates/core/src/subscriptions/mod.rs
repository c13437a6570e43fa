//! Who wants to hear of which resource of a backend.
//!
//! A hundred clients that watch one resource must not be a hundred subscriptions at its owner
//! (R24), and when the owner was away, each of them must hear of what it may have missed. So a
//! backend has one table of the URIs that anybody watches; the [`keeper`] holds one upstream
//! subscription for all of them, and what comes goes to those who asked, each in the spelling that
//! it used.

mod keeper;
mod mailbox;
mod readers;
pub(crate) mod upstream;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::params::meta;
use mcp_router_protocol::{Namespace, RawParams, uri};
use tokio::sync::{Notify, watch};

use crate::backend::Cell;

pub(crate) use keeper::Keeper;
pub(crate) use mailbox::Mailbox;
pub(crate) use readers::Readers;
pub(crate) use upstream::Answered;

/// The URIs of one backend that are watched.
pub(crate) struct Subscriptions {
    table: Mutex<Table>,
    /// Wakes the keeper: other URIs, a loss, a new connection.
    wake: Notify,
    /// The connection is gone: what is open upstream is worth nothing.
    lost: AtomicBool,
    /// Counts how often the backend's word on some URIs has come.
    settled: watch::Sender<u64>,
}

#[derive(Default)]
struct Table {
    entries: HashMap<Arc<str>, Entry>,
    next: u64,
}

/// One URI, as the backend spells it.
struct Entry {
    state: State,
    /// Something may have happened to it that nobody was told.
    missed: bool,
    watchers: Vec<Watcher>,
}

/// What the backend says to a subscription.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// Nothing yet, or nothing since its connection was lost.
    Pending,
    Live,
    Refused,
}

struct Watcher {
    number: u64,
    /// The client's spelling.
    asked: Arc<str>,
    mailbox: Arc<Mailbox>,
}

/// One client's interest in one resource. Dropping it ends it, and with the last one of a URI the
/// upstream subscription.
pub(crate) struct Watch {
    subscriptions: Arc<Subscriptions>,
    own: Arc<str>,
    number: u64,
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self {
            table: Mutex::default(),
            wake: Notify::new(),
            lost: AtomicBool::new(false),
            settled: watch::Sender::new(0),
        }
    }
}

impl Subscriptions {
    /// Passes an update on to those who watch the resource, or one that it is a part of.
    /// `namespace` is how clients tell this backend's URIs from others'.
    pub(crate) fn updated(&self, namespace: Option<&Namespace>, params: &RawParams) {
        let Some(own) = params.uri() else {
            return dropped::count_of(Dropped::BackendNotificationUnwanted, "update of nothing");
        };
        let untagged = untagged(params);
        let params = untagged.as_ref().unwrap_or(params);
        let table = self.lock();
        let mut told = false;
        for watched in wholes(&own) {
            let Some(entry) = table.entries.get(watched) else {
                continue;
            };
            let part = (watched.len() < own.len()).then(|| uri::expose(namespace, &own));
            for watcher in &entry.watchers {
                told = true;
                let shown = part.as_deref().unwrap_or(&watcher.asked);
                watcher.mailbox.update(shown, params.with_uri(shown));
            }
        }
        if !told {
            dropped::count(Dropped::UpdateUnsubscribed);
        }
    }

    /// The connection is gone. What is open upstream is opened again.
    pub(crate) fn lost(&self) {
        self.lost.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// There is a connection again.
    pub(crate) fn connected(&self) {
        self.wake.notify_one();
    }

    /// What upstream is to be subscribed to: everything that was not refused, sorted.
    fn wanted(&self) -> Vec<Arc<str>> {
        let table = self.lock();
        let entries = table.entries.iter();
        let wanted = entries.filter(|(_, entry)| entry.state != State::Refused);
        let mut uris: Vec<_> = wanted.map(|(uri, _)| uri.clone()).collect();
        uris.sort_unstable();
        uris
    }

    /// The backend was asked for `asked` and takes those that `honours` says. Who may have missed
    /// something is told now.
    fn settle(&self, asked: &[Arc<str>], honours: impl Fn(&str) -> bool) {
        let mut table = self.lock();
        for own in asked {
            let Some(entry) = table.entries.get_mut(own) else {
                continue;
            };
            if !honours(own) {
                entry.state = State::Refused;
                continue;
            }
            entry.state = State::Live;
            if std::mem::take(&mut entry.missed) {
                for watcher in &entry.watchers {
                    let params = RawParams::of(&serde_json::json!({ "uri": &*watcher.asked }));
                    watcher.mailbox.update(&watcher.asked, params);
                }
            }
        }
        drop(table);
        self.settled.send_modify(|count| *count += 1);
    }

    /// Nothing is subscribed to any more; what happens until it is again is missed.
    pub(crate) fn unsettle(&self) {
        for entry in self.lock().entries.values_mut() {
            if entry.state == State::Live {
                entry.state = State::Pending;
                entry.missed = true;
            }
        }
    }

    /// The data behind a poisoned lock is whole: nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The parameters without the tag of the stream that they came on, which is the upstream hop's
/// business; `None` if they have none.
fn untagged(params: &RawParams) -> Option<RawParams> {
    params.meta_value(meta::SUBSCRIPTION_ID)?;
    let rest = params.with_meta(&[(meta::SUBSCRIPTION_ID, None)]).ok()?;
    match rest.meta() {
        Some(empty) if empty.as_str() == "{}" => rest.with_members(&[("_meta", None)]).ok(),
        _ => Some(rest),
    }
}

/// The URI itself and every one that it may be a part of: servers report changes of parts to those
/// who watch the whole.
fn wholes(uri: &str) -> impl Iterator<Item = &str> {
    let parts = uri
        .char_indices()
        .filter(|(_, c)| matches!(c, '/' | '?' | '#'));
    let above = parts.flat_map(|(at, _)| [&uri[..at], &uri[..=at]]);
    above.filter(|whole| whole.len() < uri.len()).chain([uri])
}

impl Watch {
    /// Begins to watch the resource that `cell` calls `own` and the client `asked`.
    pub(crate) fn new(cell: &Arc<Cell>, own: &str, asked: &str, mailbox: &Arc<Mailbox>) -> Self {
        let subscriptions = &cell.subscriptions;
        let mut table = subscriptions.lock();
        let number = table.next;
        table.next += 1;
        let own: Arc<str> = own.into();
        let entry = table.entries.entry(own.clone()).or_insert(Entry {
            state: State::Pending,
            missed: false,
            watchers: Vec::new(),
        });
        entry.watchers.push(Watcher {
            number,
            asked: asked.into(),
            mailbox: mailbox.clone(),
        });
        if entry.state != State::Live {
            // Refused before, it may be taken now.
            entry.state = State::Pending;
            subscriptions.wake.notify_one();
        }
        drop(table);
        Self {
            subscriptions: subscriptions.clone(),
            own,
            number,
        }
    }

    /// Waits for the backend's word; false if it is no. Who does not wait for it any more calls
    /// [`promise`](Self::promise).
    pub(crate) async fn honoured(&self) -> bool {
        let subscriptions = &self.subscriptions;
        let mut settled = subscriptions.settled.subscribe();
        loop {
            match self.state() {
                State::Live => return true,
                State::Refused => return false,
                // The sender lives as long as this.
                State::Pending => drop(settled.changed().await),
            }
        }
    }

    /// The client is told that it is subscribed, whatever the backend has said so far: what it
    /// misses until then, it is told later.
    pub(crate) fn promise(&self) {
        let mut table = self.subscriptions.lock();
        if let Some(entry) = table.entries.get_mut(&self.own) {
            entry.missed |= entry.state == State::Pending;
        }
    }

    /// Whether it is this resource that `cell` calls `own`.
    pub(crate) fn is_of(&self, cell: &Cell, own: &str) -> bool {
        Arc::ptr_eq(&self.subscriptions, &cell.subscriptions) && *self.own == *own
    }

    fn state(&self) -> State {
        let table = self.subscriptions.lock();
        let entry = table.entries.get(&self.own);
        entry.map_or(State::Refused, |entry| entry.state)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let subscriptions = &self.subscriptions;
        let mut table = subscriptions.lock();
        let Some(entry) = table.entries.get_mut(&self.own) else {
            return;
        };
        entry
            .watchers
            .retain(|watcher| watcher.number != self.number);
        if entry.watchers.is_empty() {
            table.entries.remove(&self.own);
            subscriptions.wake.notify_one();
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Subscriptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriptions").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_belongs_to_every_whole_above_it() {
        let all: Vec<_> = wholes("f:a/b").collect();
        assert_eq!(all, ["f:a", "f:a/", "f:a/b"]);
        assert_eq!(wholes("urn:x").collect::<Vec<_>>(), ["urn:x"]);
        assert_eq!(wholes("f:a/").collect::<Vec<_>>(), ["f:a", "f:a/"]);
    }
}
