//! Answers what is still in flight when the router must go.
//!
//! A router that stops waits for its calls, but not for ever. Cutting the connections of those that
//! are left would leave their clients without an answer, and many client sessions do not survive
//! that. So this layer ends the calls instead: each fails as `draining`, and its edge has time to
//! say so. It stands at the front of the router, inside [`TraceLayer`](crate::TraceLayer).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::Stream;
use mcp_router_service::{CallError, Event, McpRequest, McpResponse, Reason, ResponseStream, Sent};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

mod cut;

use cut::{Cut, Waiting};

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
        waiting: Waiting,
    }
}

struct DrainStream {
    inner: Option<ResponseStream>,
    waiting: Waiting,
}

// === impl DrainLayer ===

impl DrainLayer {
    /// Ends nothing until it is told to.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends every call in flight, and every later one before it is sent. For good.
    pub fn cut(&self) {
        self.cut.cut();
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
        DrainFuture {
            inner: (!self.cut.is_done()).then(|| self.inner.call(request)),
            waiting: Waiting::new(&self.cut),
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
                    let stream = DrainStream {
                        inner: Some(stream),
                        waiting: this.waiting.another(),
                    };
                    Ok(McpResponse::Stream(ResponseStream::new(stream)))
                }
                ready @ McpResponse::Ready(_) => Ok(ready),
            });
        }
        ready!(this.waiting.poll(cx));
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
        if busy && this.waiting.poll(cx).is_ready() {
            this.inner = None;
            let error = CallError::new(Reason::Draining, Sent::Unknown);
            return Poll::Ready(Some(Err(error)));
        }
        polled
    }
}

#[cfg(test)]
mod tests;
