//! Answers what is still in flight when the router must go.
//!
//! A router that stops waits for its calls, but not for ever. Cutting the connections of those that
//! are left would leave their clients without an answer, and many client sessions do not survive
//! that. So this layer ends the calls instead: each fails as `draining`, and its edge has time to
//! say so. It stands at the front of the router, inside [`TraceLayer`](crate::TraceLayer).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use futures::Stream;
use mcp_router_service::{CallError, Event, McpRequest, McpResponse, Reason, ResponseStream, Sent};
use pin_project_lite::pin_project;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tower::{Layer, Service};

use crate::woken::Registered;

/// Ends calls on demand. Clones are the same one; keep one for [`cut`](Self::cut).
#[derive(Clone, Debug, Default)]
pub struct DrainLayer {
    cut: Arc<Cut>,
}

/// A service whose calls can be ended; see [`DrainLayer`].
#[derive(Clone, Debug)]
pub struct Drain<S> {
    inner: S,
    cut: Arc<Cut>,
}

pin_project! {
    /// The answer of a [`Drain`].
    #[derive(Debug)]
    pub struct DrainFuture<F> {
        // Gone once it is cut: the backend hears of it before the caller does.
        #[pin]
        inner: Option<F>,
        #[pin]
        waiting: Waiting,
        cut: Arc<Cut>,
    }
}

struct DrainStream {
    inner: Option<ResponseStream>,
    waiting: Pin<Box<Waiting>>,
    cut: Arc<Cut>,
}

pin_project! {
    #[derive(Debug)]
    struct Waiting {
        #[pin]
        notified: OwnedNotified,
        // Whom it wakes.
        registered: Registered,
        // It had been cut before.
        late: bool,
    }
}

/// How many places to wait at: requests on different threads must not meet at one lock.
const SHARDS: usize = 16;

#[derive(Debug)]
struct Cut {
    done: AtomicBool,
    shards: [Arc<Notify>; SHARDS],
}

// === impl DrainLayer ===

impl DrainLayer {
    /// Ends nothing until it is told to.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends every call in flight, and every later one before it is sent. For good.
    pub fn cut(&self) {
        self.cut.done.store(true, Ordering::SeqCst);
        for shard in &self.cut.shards {
            shard.notify_waiters();
        }
    }
}

impl<S> Layer<S> for DrainLayer {
    type Service = Drain<S>;

    fn layer(&self, inner: S) -> Drain<S> {
        Drain {
            inner,
            cut: self.cut.clone(),
        }
    }
}

// === impl Cut ===

impl Default for Cut {
    fn default() -> Self {
        Self {
            done: AtomicBool::new(false),
            shards: std::array::from_fn(|_| Arc::default()),
        }
    }
}

impl Cut {
    fn wait(&self) -> Waiting {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static SHARD: usize = THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS;
        }
        let shard = &self.shards[SHARD.with(|shard| *shard)];
        // In this order: a cut between the two lines is seen by both.
        let notified = shard.clone().notified_owned();
        Waiting {
            notified,
            registered: Registered::default(),
            late: self.done.load(Ordering::SeqCst),
        }
    }
}

// === impl Waiting ===

impl Waiting {
    fn poll_cut(self: Pin<&mut Self>, cut: &Cut, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if *this.late {
            return Poll::Ready(());
        }
        // Said before anybody is woken.
        if this.registered.is(cx) && !cut.done.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        this.notified.poll(cx)
    }
}

// === impl Drain ===

impl<S> Service<McpRequest> for Drain<S>
where
    S: Service<McpRequest, Response = McpResponse>,
    S::Error: Into<CallError>,
{
    type Response = McpResponse;
    type Error = CallError;
    type Future = DrainFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: McpRequest) -> Self::Future {
        let waiting = self.cut.wait();
        DrainFuture {
            inner: (!waiting.late).then(|| self.inner.call(request)),
            waiting,
            cut: self.cut.clone(),
        }
    }
}

// === impl DrainFuture ===

impl<F, E> Future for DrainFuture<F>
where
    F: Future<Output = Result<McpResponse, E>>,
    E: Into<CallError>,
{
    type Output = Result<McpResponse, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else {
            return Poll::Ready(Err(CallError::new(Reason::Draining, Sent::No)));
        };
        if let Poll::Ready(answer) = inner.poll(cx) {
            return Poll::Ready(match answer.map_err(Into::into)? {
                McpResponse::Stream(stream) => {
                    let inner = Some(stream);
                    let waiting = Box::pin(this.cut.wait());
                    let cut = this.cut.clone();
                    let stream = DrainStream {
                        inner,
                        waiting,
                        cut,
                    };
                    Ok(McpResponse::Stream(ResponseStream::new(stream)))
                }
                ready @ McpResponse::Ready(_) => Ok(ready),
            });
        }
        ready!(this.waiting.poll_cut(this.cut, cx));
        this.inner.set(None);
        Poll::Ready(Err(CallError::new(Reason::Draining, Sent::Unknown)))
    }
}

// === impl DrainStream ===

impl Stream for DrainStream {
    type Item = Result<Event, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(inner) = this.inner.as_mut() else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(inner).poll_next(cx);
        let busy = matches!(
            polled,
            Poll::Pending | Poll::Ready(Some(Ok(Event::Notification { .. })))
        );
        // A backend that never stops telling how far it is must stop here, too.
        if busy && this.waiting.as_mut().poll_cut(&this.cut, cx).is_ready() {
            this.inner = None;
            let error = CallError::new(Reason::Draining, Sent::Unknown);
            return Poll::Ready(Some(Err(error)));
        }
        polled
    }
}

#[cfg(test)]
mod tests;
