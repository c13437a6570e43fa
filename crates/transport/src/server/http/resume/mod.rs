//! Streams of calls that a client of 2025-11-25 can come back to.
//!
//! A long call's stream breaks with any proxy, sleep or change of network on the way, and with it
//! would go the answer to something that the backend has done. So such a stream begins with an id,
//! the messages of the call are kept for a while, each under an id of its own, and a GET that
//! names the last one seen gets what came after. The call itself runs on meanwhile.

mod id;
mod replay;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use mcp_router_protocol::{ErrorObject, RawJson, RequestId, code};
use mcp_router_service::SessionId;
use mcp_router_service::seal::random_id;
use papaya::HashMap;
use tokio::time::Instant;

pub(super) use id::EventId;
use replay::Replay;
pub(super) use replay::Resumed;

use super::events::{Events, Numbered};
use crate::server::dialect::Wire;

/// How long a call may take before its client gets a stream to come back to.
pub(super) const PATIENCE: Duration = Duration::from_millis(50);
/// After how many milliseconds a client should come back.
const RETRY: u64 = 1000;
/// Length of the name of this process in ids.
const NAME_LEN: usize = 8;

/// The streams that clients may come back to.
pub(super) struct Replays {
    /// This process, in ids. Another one has none of these streams.
    name: Arc<str>,
    next: AtomicU64,
    table: HashMap<u64, Arc<Replay>>,
    budget: Arc<Budget>,
    /// How long a stream is kept that nobody reads, or that is over.
    keep: Duration,
}

/// What all streams may keep together.
#[derive(Debug)]
struct Budget {
    used: AtomicUsize,
    limit: usize,
}

impl Budget {
    fn is_over(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.limit
    }
}

impl Replays {
    pub(super) fn new(limit: usize, keep: Duration) -> Self {
        // A name is no secret; without randomness all processes are called alike, and at worst a
        // client waits for a stream that is not there.
        let mut name = random_id().unwrap_or_else(|_| "00000000".to_owned());
        name.truncate(NAME_LEN);
        Self {
            name: name.into(),
            next: AtomicU64::new(1),
            table: HashMap::new(),
            budget: Arc::new(Budget {
                used: AtomicUsize::new(0),
                limit,
            }),
            keep,
        }
    }

    /// Streams the messages of call `request`, so that the client can come back to them.
    pub(super) fn open(
        self: &Arc<Self>,
        session: &SessionId,
        request: &RequestId,
        source: BoxStream<'static, Wire>,
        period: Duration,
    ) -> Events {
        let stream = self.next.fetch_add(1, Ordering::Relaxed);
        let id = EventId::first(&self.name, stream, request);
        let first = format!("id: {id}\nretry: {RETRY}\ndata: \n\n");
        let budget = self.budget.clone();
        let replay = Replay::new(id, session.clone(), source, budget);
        self.table.pin().insert(stream, replay.clone());
        let reader = Resumed::new(replay, self.keep, 1);
        Events::numbered(reader, period).after(first.into())
    }

    /// What came after `last` in its stream; the answer that it is lost, if it is not here any
    /// more or another replica has it.
    pub(super) fn resume(&self, session: &SessionId, last: &EventId, period: Duration) -> Events {
        let found = (*last.replica == *self.name)
            .then(|| self.table.pin().get(&last.stream).cloned())
            .flatten()
            .filter(|replay| replay.session == *session);
        if let Some(replay) = found {
            let reader = Resumed::new(replay, self.keep, last.event.saturating_add(1));
            return Events::numbered(reader, period);
        }
        tracing::info!("a client came back to a stream that is not here");
        let lost: Vec<Numbered> = last.request().map(|id| lost(&id)).into_iter().collect();
        Events::numbered(stream::iter(lost), period)
    }

    /// Forgets what is over for long enough.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let table = self.table.pin();
        for (stream, replay) in &table {
            if replay.is_stale(now, self.keep) {
                table.remove(stream);
            }
        }
    }
}

/// The end of a call whose stream cannot be had any more.
fn lost(id: &RequestId) -> Numbered {
    let data =
        RawJson::from_static(r#"{"reason":"state_lost","sent":"unknown","retryable":false}"#);
    let text = "the stream of this call is not held here any more; the call may have run";
    let error = ErrorObject::with_data(code::INTERNAL_ERROR, text, Some(&data));
    (Bytes::new(), Wire::error(Some(id), &error))
}
