//! One stream: what is kept of it, and who reads it.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::stream::BoxStream;
use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_service::SessionId;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::{Budget, EventId};
use crate::server::dialect::Wire;
use crate::server::http::events::Numbered;

/// Most that is kept of one stream. The last message, which may be the answer, always is, unless
/// all streams together keep too much.
const EVENTS: usize = 256;
const BYTES: usize = 1 << 20;
/// What an event costs beside its text.
const OVERHEAD: usize = 128;

pub(super) type Source = BoxStream<'static, Wire>;

/// A stream that its client may come back to.
pub(super) struct Replay {
    pub(super) session: SessionId,
    id: EventId,
    budget: Arc<Budget>,
    inner: Mutex<Inner>,
}

struct Inner {
    /// `None` once there is nothing more to come.
    source: Option<Source>,
    kept: VecDeque<Kept>,
    bytes: usize,
    /// The number of the next message.
    next: u64,
    /// The newest reader has the stream.
    readers: u64,
    reading: bool,
    waker: Option<Waker>,
    /// Runs the call while nobody reads.
    driver: Option<AbortHandle>,
    ended: Option<Instant>,
}

struct Kept {
    event: u64,
    parts: Vec<Bytes>,
    size: usize,
}

impl Replay {
    pub(super) fn new(
        id: EventId,
        session: SessionId,
        source: Source,
        budget: Arc<Budget>,
    ) -> Arc<Self> {
        let inner = Inner {
            source: Some(source),
            kept: VecDeque::new(),
            bytes: 0,
            next: 1,
            readers: 0,
            reading: false,
            waker: None,
            driver: None,
            ended: None,
        };
        Arc::new(Self {
            session,
            id,
            budget,
            inner: Mutex::new(inner),
        })
    }

    pub(super) fn is_stale(&self, now: Instant, keep: Duration) -> bool {
        let ended = self.lock().ended;
        ended.is_some_and(|at| now.duration_since(at) >= keep)
    }

    /// The data behind a poisoned lock is whole enough: a source that panicked is not polled
    /// again, since panics of calls end inside it.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next message, numbered and kept; `None` at the end.
    fn pull(&self, inner: &mut Inner, cx: &mut Context<'_>) -> Poll<Option<Wire>> {
        let Some(source) = &mut inner.source else {
            return Poll::Ready(None);
        };
        let Some(wire) = std::task::ready!(source.as_mut().poll_next(cx)) else {
            inner.end();
            return Poll::Ready(None);
        };
        self.keep(inner, &wire.parts);
        Poll::Ready(Some(wire))
    }

    fn keep(&self, inner: &mut Inner, parts: &[Bytes]) {
        let size = parts.iter().map(Bytes::len).sum::<usize>() + OVERHEAD;
        let event = inner.next;
        inner.next += 1;
        inner.bytes += size;
        self.budget.used.fetch_add(size, Ordering::Relaxed);
        inner.kept.push_back(Kept {
            event,
            parts: parts.to_vec(),
            size,
        });
        let over = |inner: &Inner| {
            let many = inner.kept.len() > EVENTS || inner.bytes > BYTES;
            (many && inner.kept.len() > 1) || self.budget.is_over()
        };
        while over(inner) {
            let Some(oldest) = inner.kept.pop_front() else {
                break;
            };
            dropped::count(Dropped::ClientReplayFull);
            inner.bytes -= oldest.size;
            self.budget.used.fetch_sub(oldest.size, Ordering::Relaxed);
        }
    }

    /// Runs the call until it is over, or somebody reads again.
    async fn drive(self: Arc<Self>) {
        std::future::poll_fn(|cx| {
            let mut inner = self.lock();
            // Polled on beside a reader, the source would wake this task in the reader's place.
            while !inner.reading {
                if std::task::ready!(self.pull(&mut inner, cx)).is_none() {
                    break;
                }
            }
            Poll::Ready(())
        })
        .await;
    }
}

impl Inner {
    fn end(&mut self) {
        self.source = None;
        self.ended.get_or_insert_with(Instant::now);
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        let bytes = self.lock().bytes;
        self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay").finish_non_exhaustive()
    }
}

/// A reader: what is kept from some event on, then what comes. It ends when another one takes
/// over. Dropped before the end, the call runs on without a reader, for as long as the edge keeps
/// calls whose client is away.
#[derive(Debug)]
pub(in crate::server::http) struct Resumed {
    replay: Arc<Replay>,
    number: u64,
    /// The first event not read yet.
    at: u64,
    keep: Duration,
}

impl Resumed {
    /// Reads from event `at` on.
    pub(super) fn new(replay: Arc<Replay>, keep: Duration, at: u64) -> Self {
        let mut inner = replay.lock();
        inner.readers += 1;
        inner.reading = true;
        let number = inner.readers;
        let (waker, driver) = (inner.waker.take(), inner.driver.take());
        drop(inner);
        // The one before ends: a connection that broke on the way may look open for long.
        waker.into_iter().for_each(Waker::wake);
        driver.into_iter().for_each(|driver| driver.abort());
        Self {
            replay,
            number,
            at,
            keep,
        }
    }
}

impl Stream for Resumed {
    type Item = Numbered;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Numbered>> {
        let replay = self.replay.clone();
        let mut inner = replay.lock();
        if inner.readers != self.number {
            return Poll::Ready(None);
        }
        let number = |event| Bytes::from(format!("id: {}\n", replay.id.at(event)));
        if let Some(kept) = inner.kept.iter().find(|kept| kept.event >= self.at) {
            let wire = Wire::of(kept.parts.clone());
            self.at = kept.event + 1;
            return Poll::Ready(Some((number(kept.event), wire)));
        }
        let event = inner.next;
        if inner.source.is_none() && self.at < event {
            // What this reader is owed, the answer above all, was not kept.
            self.at = event;
            let lost = replay.id.request().map(|id| super::lost(&id));
            return Poll::Ready(lost);
        }
        inner.waker = Some(cx.waker().clone());
        let wire = std::task::ready!(replay.pull(&mut inner, cx));
        self.at = event + 1;
        Poll::Ready(wire.map(|wire| (number(event), wire)))
    }
}

impl Drop for Resumed {
    fn drop(&mut self) {
        let mut inner = self.replay.lock();
        if inner.readers != self.number {
            return;
        }
        inner.reading = false;
        // Outside a runtime everything is coming down anyway.
        let runtime = tokio::runtime::Handle::try_current();
        let (Some(_), Ok(runtime)) = (&inner.source, runtime) else {
            return;
        };
        let (replay, keep) = (self.replay.clone(), self.keep);
        let driving = runtime.spawn(async move {
            if tokio::time::timeout(keep, replay.clone().drive())
                .await
                .is_err()
            {
                tracing::info!("a call whose client left was cancelled");
                // Dropping the source is what cancels.
                let mut inner = replay.lock();
                if !inner.reading {
                    inner.end();
                }
            }
        });
        inner.driver = Some(driving.abort_handle());
    }
}

#[cfg(test)]
mod tests;
