//! Messages to a client that belong to no call: list changes, resource updates, requests.
//!
//! A legacy client may read them from several streams, and each message must go to exactly one
//! (R25): the newest. While there is none they wait: queued ones in the session's bounded outbox,
//! list changes in the router's change stream, which coalesces them. So no task and no second
//! queue is needed; whoever holds the newest stream polls the sources.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures::Stream;
use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::{Method, RawParams};
use mcp_router_service::{Event, Outbox, ResponseStream};
use tokio::sync::mpsc;

use super::Peer;
use crate::server::dialect::{Floor, Wire, ask};

/// The sources, and who waits for them.
pub(super) struct Standing(Mutex<Inner>);

struct Inner {
    outbox: mpsc::Receiver<Outbox>,
    news: Option<ResponseStream>,
    /// Streams in the order of their opening, with their wakers.
    readers: Vec<(u64, Option<Waker>)>,
    next: u64,
    /// The router drains, or the session is closed.
    ended: bool,
}

impl Standing {
    pub(super) fn new(outbox: mpsc::Receiver<Outbox>, news: Option<ResponseStream>) -> Self {
        Self(Mutex::new(Inner {
            outbox,
            news,
            readers: Vec::new(),
            next: 0,
            ended: false,
        }))
    }

    pub(super) fn end(&self) {
        self.lock().end();
    }

    /// The data behind a poisoned lock is whole enough: at worst a source is not polled again.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standing").finish_non_exhaustive()
    }
}

impl Inner {
    fn end(&mut self) {
        self.ended = true;
        self.news = None;
        for (_, waker) in &mut self.readers {
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
    }

    fn poll_sources(&mut self, peer: &Arc<Peer>, cx: &mut Context<'_>) -> Poll<Option<Wire>> {
        loop {
            match self.outbox.poll_recv(cx) {
                Poll::Ready(Some(message)) => match from_outbox(peer, message) {
                    Some(wire) => return Poll::Ready(Some(wire)),
                    None => continue,
                },
                Poll::Ready(None) | Poll::Pending => {}
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let Some(news) = &mut self.news else {
                return Poll::Pending;
            };
            match std::task::ready!(Pin::new(news).poll_next(cx)) {
                Some(Ok(Event::Notification { method, params })) => {
                    if let Some(wire) = told(peer, &method, &params) {
                        return Poll::Ready(Some(wire));
                    }
                }
                Some(Ok(Event::ServerRequest(request))) => request.refuse(),
                Some(Ok(Event::Outcome(_)) | Err(_)) | None => self.end(),
            }
        }
    }
}

fn from_outbox(peer: &Arc<Peer>, message: Outbox) -> Option<Wire> {
    match message {
        Outbox::Request(request) => ask::put(peer, request, None),
        Outbox::Notification { method, params } => told(peer, &method, &params),
    }
}

/// A notification as the client gets it; `None` if it must not.
fn told(peer: &Peer, method: &Method, params: &RawParams) -> Option<Wire> {
    if *method == Method::SubscriptionsAcknowledged {
        return None; // it did not ask
    }
    let level = peer.session.log_level();
    if *method == Method::LogMessage && !Floor::Session.lets(params, level) {
        dropped::count(Dropped::LogBelowLevel);
        return None;
    }
    Some(Wire::notification(method, params))
}

/// One stream of the session. It ends when the router drains or the session is closed.
#[derive(Debug)]
pub(crate) struct StandingStream {
    peer: Arc<Peer>,
    number: u64,
}

impl StandingStream {
    /// The newest stream from now on.
    pub(super) fn new(peer: Arc<Peer>) -> Self {
        let mut inner = peer.standing.lock();
        let number = inner.next;
        inner.next += 1;
        inner.readers.push((number, None));
        drop(inner);
        Self { peer, number }
    }
}

impl Stream for StandingStream {
    type Item = Wire;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Wire>> {
        let mut inner = self.peer.standing.lock();
        if let Some((_, waker)) = inner.readers.iter_mut().find(|(n, _)| *n == self.number) {
            // The newest needs it too: nothing else wakes it when the session is closed.
            *waker = Some(cx.waker().clone());
        }
        let newest = inner.readers.last().map(|(n, _)| *n) == Some(self.number);
        match inner.ended {
            _ if newest => inner.poll_sources(&self.peer, cx),
            true => Poll::Ready(None),
            false => Poll::Pending,
        }
    }
}

impl Drop for StandingStream {
    fn drop(&mut self) {
        let mut inner = self.peer.standing.lock();
        inner.readers.retain(|(n, _)| *n != self.number);
        // The next newest takes over.
        if let Some((_, Some(waker))) = inner.readers.last_mut().map(|(n, w)| (n, w.take())) {
            waker.wake();
        }
        drop(inner);
        self.peer.streams.fetch_sub(1, Ordering::AcqRel);
    }
}
