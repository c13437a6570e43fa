//! What waits for one client: updates of its resources, log messages for its session.
//!
//! A client may read slowly, or not at all for an hour, and must not hold anything up meanwhile.
//! Several updates of one resource are one, so they never pile up; log messages do, up to a bound.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::{Method, RawParams};
use tokio::sync::Notify;

use super::readers::Seat;

/// Resources with an update waiting, of one client. Their parts may be more than were asked for.
const UPDATES: usize = 4096;
/// Log messages waiting for one client.
const LOGS: usize = 256;

/// One client's queue. Taken from by one reader.
#[derive(Default)]
pub(crate) struct Mailbox {
    waiting: Mutex<Waiting>,
    news: Notify,
    /// Among those who hear of log messages.
    seat: OnceLock<Seat>,
}

#[derive(Default)]
struct Waiting {
    /// The last update of each resource, by the URI that the client knows.
    updates: HashMap<Arc<str>, RawParams>,
    /// Those URIs, the longest waiting first.
    order: VecDeque<Arc<str>>,
    logs: VecDeque<RawParams>,
}

impl Mailbox {
    /// Queues an update of the resource that the client knows as `uri`; one that waits already is
    /// replaced. `params` must say so.
    pub(crate) fn update(&self, uri: &str, params: RawParams) {
        let mut waiting = self.lock();
        if let Some(older) = waiting.updates.get_mut(uri) {
            *older = params;
            return;
        }
        if waiting.updates.len() >= UPDATES {
            return dropped::count(Dropped::ClientQueueFull);
        }
        let uri: Arc<str> = uri.into();
        waiting.updates.insert(uri.clone(), params);
        waiting.order.push_back(uri);
        drop(waiting);
        self.news.notify_one();
    }

    /// Queues a log message.
    pub(crate) fn log(&self, params: RawParams) {
        let mut waiting = self.lock();
        if waiting.logs.len() >= LOGS {
            return dropped::count(Dropped::ClientQueueFull);
        }
        waiting.logs.push_back(params);
        drop(waiting);
        self.news.notify_one();
    }

    /// Has a seat from now on, if it has none yet.
    pub(super) fn seat(&self, seat: impl FnOnce() -> Seat) {
        self.seat.get_or_init(seat);
    }

    /// The next message.
    pub(crate) fn take(&self) -> Option<(Method, RawParams)> {
        let mut waiting = self.lock();
        if let Some(uri) = waiting.order.pop_front() {
            let params = waiting.updates.remove(&uri).unwrap_or_default();
            return Some((Method::ResourceUpdated, params));
        }
        let log = waiting.logs.pop_front()?;
        Some((Method::LogMessage, log))
    }

    /// Resolves when there may be something to [take](Self::take). Safe to drop.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(n: u32) -> RawParams {
        RawParams::of(&serde_json::json!({ "n": n }))
    }

    #[tokio::test]
    async fn updates_of_one_resource_are_one_and_a_flood_of_logs_has_an_end() {
        let mailbox = Mailbox::default();
        for n in 0..3 {
            mailbox.update("a", params(n));
        }
        mailbox.update("b", params(7));
        for n in 0..1000 {
            mailbox.log(params(n));
        }
        mailbox.news().await;
        let taken: Vec<_> = std::iter::from_fn(|| mailbox.take()).collect();
        assert_eq!(taken.len(), 2 + LOGS);
        let (method, first) = &taken[0];
        assert_eq!(*method, Method::ResourceUpdated);
        assert_eq!(first.json().unwrap().as_str(), r#"{"n":2}"#);
        assert_eq!(taken[2].0, Method::LogMessage);
    }
}
