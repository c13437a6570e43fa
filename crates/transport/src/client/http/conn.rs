//! One HTTP/1 connection, driven by the call that uses it.
//!
//! Usually a connection is a task of its own. Each call then wakes it and is woken by it, for the
//! head of the response and again for each piece of its body: more work than all the parsing, and
//! on several cores more waiting. Here whoever waits for the bytes moves them.
//!
//! So nobody looks at a connection that is idle. Whether it still stands is found out by the next
//! request, which comes back unwritten if it does not.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

use futures::task::AtomicWaker;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_rustls::MaybeHttpsStream;

use super::body::Carrier;
use super::dial::Dialled;
use super::idle::Idle;
use crate::client::rope::Rope;

/// What HTTP is spoken over.
pub(super) type Stream = MaybeHttpsStream<Dialled>;
/// A request that got no response, with the request itself if nothing of it was written.
pub(super) type Unanswered = Box<TrySendError<Request<Rope>>>;

/// How often in a row a connection is looked at that wakes itself, before others have their turn.
const ROUNDS: usize = 16;

/// A connection and the right to send the next request on it.
pub(super) struct Conn {
    sender: http1::SendRequest<Rope>,
    /// Gone once the connection has ended.
    inner: Option<http1::Connection<Stream, Rope>>,
    relay: Arc<Relay>,
    /// The relay, as the connection sees it.
    waker: Waker,
    /// Where it waits for its next call, unless that was given up meanwhile.
    home: Weak<Idle>,
}

impl Conn {
    /// Begins to speak HTTP/1. Nothing is written yet.
    ///
    /// # Errors
    /// None so far: the other side has not been asked anything.
    pub(super) async fn new(stream: Stream, home: &Arc<Idle>) -> hyper::Result<Box<Self>> {
        // hyper's own limit of 100 headers is kept: told the same number, it reads slower.
        let (sender, inner) = http1::handshake(stream).await?;
        let relay = Arc::new(Relay::default());
        Ok(Box::new(Self {
            sender,
            inner: Some(inner),
            waker: relay.clone().into(),
            relay,
            home: Arc::downgrade(home),
        }))
    }

    /// Sends a request and waits for the head of its response. Dropping the future closes the
    /// connection.
    ///
    /// # Errors
    /// If there is no response.
    pub(super) fn send(
        mut self: Box<Self>,
        request: Request<Rope>,
    ) -> impl Future<Output = Result<(Response<Incoming>, Carrier), Unanswered>> {
        // Outside of the future, which would be larger by a request.
        let answer = self.sender.try_send_request(request);
        async move {
            let mut answer = pin!(answer);
            let answered = poll_fn(|cx| self.drive(cx, |cx| answer.as_mut().poll(cx)));
            match answered.await {
                Ok(response) => Ok((response, Carrier::Own(self))),
                Err(error) => Err(Box::new(error)),
            }
        }
    }

    /// Moves bytes until `step` has what it waits for.
    pub(super) fn drive<T>(
        &mut self,
        cx: &Context<'_>,
        mut step: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.relay.task.register(cx.waker());
        let own = &mut Context::from_waker(&self.waker);
        for _ in 0..ROUNDS {
            self.relay.begin();
            let mut done = step(own);
            if done.is_pending() {
                advance(&mut self.inner, own);
                done = step(own);
            }
            let woken = self.relay.end();
            if done.is_ready() || !woken {
                return done;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Keeps it for the next call, if the last response has been read to its end. `body` is what
    /// was read of it.
    pub(super) fn rest(mut self: Box<Self>, body: Option<Incoming>) {
        // Whoever was woken for it is so no longer.
        drop(self.relay.task.take());
        drop(body);
        if !self.sender.is_ready() && !std::thread::panicking() {
            // What is left of the response may be here already.
            advance(&mut self.inner, &mut Context::from_waker(&self.waker));
        }
        if self.sender.is_ready()
            && let Some(home) = self.home.upgrade()
        {
            home.keep(self);
        }
    }
}

/// Does what can be done now. A connection that fails tells whoever waits for something on it.
fn advance(inner: &mut Option<http1::Connection<Stream, Rope>>, cx: &mut Context<'_>) {
    if let Some(connection) = inner
        && Pin::new(connection).poll(cx).is_ready()
    {
        *inner = None;
    }
}

/// Wakes whoever drives the connection now, and nobody while it is being driven: then it is looked
/// at once more.
#[derive(Debug, Default)]
struct Relay {
    task: AtomicWaker,
    state: AtomicU8,
}

impl Relay {
    const AWAY: u8 = 0;
    const DRIVEN: u8 = 1;
    const WOKEN: u8 = 2;

    fn begin(&self) {
        self.state.store(Self::DRIVEN, Ordering::Release);
    }

    /// Whether it was woken since it began.
    fn end(&self) -> bool {
        self.state.swap(Self::AWAY, Ordering::AcqRel) == Self::WOKEN
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let noted = self.state.compare_exchange(
            Self::DRIVEN,
            Self::WOKEN,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        if noted == Err(Self::AWAY) {
            self.task.wake();
        }
    }
}
