//! Connections that wait for their next call.
//!
//! The one used last is used next: under little load few are kept warm, and those that a burst
//! left behind get old and are closed. A server that closes idle connections sooner than we do
//! would answer requests with a reset, which proves nothing; so ours go first (F20).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hyper::client::conn::http2;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use super::conn::Conn;
use crate::client::rope::Rope;

/// A connection that many requests share.
pub(super) type Shared = http2::SendRequest<Rope>;

/// The connections to one origin that nobody uses.
#[derive(Debug)]
pub(super) struct Idle {
    kept: Mutex<Kept>,
    most: usize,
    time: Duration,
}

#[derive(Default)]
struct Kept {
    /// Those of one request at a time, the one used last at the end.
    own: Vec<(Instant, Box<Conn>)>,
    shared: Option<(Instant, Shared)>,
    /// Whether somebody closes those that get old.
    watched: bool,
}

/// A connection for one request.
pub(super) enum Line {
    Own(Box<Conn>),
    Shared(Shared),
}

impl Idle {
    /// Keeps at most so many, and each for so long.
    pub(super) fn new(most: usize, time: Duration) -> Self {
        Self {
            kept: Mutex::default(),
            most,
            time,
        }
    }

    /// A connection that was used before.
    pub(super) fn take(&self) -> Option<Line> {
        let mut kept = self.lock();
        let now = Instant::now();
        if let Some((used, shared)) = &mut kept.shared {
            if !shared.is_closed() && now - *used < self.time {
                *used = now;
                return Some(Line::Shared(shared.clone()));
            }
            kept.shared = None;
        }
        let (since, conn) = kept.own.pop()?;
        if now - since < self.time {
            return Some(Line::Own(conn));
        }
        // The others have waited longer still.
        let old = std::mem::take(&mut kept.own);
        drop(kept);
        drop((conn, old));
        None
    }

    /// Keeps one of which the last request has been answered.
    pub(super) fn keep(self: &Arc<Self>, conn: Box<Conn>) {
        let mut kept = self.lock();
        if kept.own.len() < self.most && self.watch(&mut kept) {
            kept.own.push((Instant::now(), conn));
        }
    }

    /// Keeps a connection for whoever comes, unless there is one already; then that is the answer.
    pub(super) fn share(self: &Arc<Self>, new: Shared) -> Shared {
        let mut kept = self.lock();
        let open = |(_, shared): &&(Instant, Shared)| !shared.is_closed();
        if let Some((_, shared)) = kept.shared.as_ref().filter(open) {
            return shared.clone();
        }
        if self.watch(&mut kept) {
            kept.shared = Some((Instant::now(), new.clone()));
        }
        new
    }

    /// The shared connection gets no further request.
    pub(super) fn part(&self) {
        self.lock().shared = None;
    }

    /// Sees to it that what gets old is closed; `false` if there is no runtime any more.
    fn watch(self: &Arc<Self>, kept: &mut Kept) -> bool {
        if !kept.watched
            && let Ok(runtime) = Handle::try_current()
        {
            kept.watched = true;
            runtime.spawn(watch(Arc::downgrade(self), self.time));
        }
        kept.watched
    }

    /// Closes what is old; `false` if there is nothing left.
    fn close_old(&self) -> bool {
        let mut kept = self.lock();
        let now = Instant::now();
        let old = |since: Instant| now - since >= self.time;
        kept.shared.take_if(|(used, s)| old(*used) || s.is_closed());
        let fresh = kept.own.partition_point(|(since, _)| old(*since));
        let closed: Vec<_> = kept.own.drain(..fresh).collect();
        kept.watched = kept.shared.is_some() || !kept.own.is_empty();
        let more = kept.watched;
        drop(kept);
        drop(closed);
        more
    }

    /// Whole even where a panic poisoned it: each change is one step.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn watch(idle: Weak<Idle>, time: Duration) {
    loop {
        sleep(time).await;
        let more = idle.upgrade().is_some_and(|idle| idle.close_old());
        if !more {
            return;
        }
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept")
            .field("own", &self.own.len())
            .field("shared", &self.shared.is_some())
            .finish_non_exhaustive()
    }
}
