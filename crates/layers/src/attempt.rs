//! Records each attempt at an endpoint as a span of its call's trace.
//!
//! A call that was slow because its first replica was dead looks, from outside, like one whose
//! backend was slow. With a span for each attempt, retries and failover can be seen: where each
//! went, how it ended, and whether it may have run. The backend gets the attempt's own span as its
//! parent (`context.trace`), so that its spans hang below the attempt that reached it.
//!
//! It stands around the [breaker](crate::BreakerLayer): what an open circuit refuses is shown, too.
//! A call that is not traced costs a look at its context. A streamed answer ends at its outcome, an
//! attempt that is given up at its drop.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::Stream;
use mcp_router_observe::traces::{Span, Tracer};
use mcp_router_service::{CallError, Event, McpRequest, McpResponse, ResponseStream};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::spans;

/// Records attempts at one endpoint. Around its breaker.
#[derive(Clone, Debug)]
pub struct AttemptLayer {
    place: Option<Arc<Place>>,
}

/// A service whose attempts are recorded; see [`AttemptLayer`].
#[derive(Clone, Debug)]
pub struct Attempt<S> {
    inner: S,
    place: Option<Arc<Place>>,
}

/// Where attempts go.
#[derive(Debug)]
struct Place {
    tracer: Tracer,
    backend: Box<str>,
    endpoint: Box<str>,
}

pin_project! {
    /// The answer of an [`Attempt`].
    #[derive(Debug)]
    pub struct AttemptFuture<F> {
        #[pin]
        inner: F,
        open: Option<Box<Open>>,
    }
}

/// An attempt that is being made. Dropped before its end: it was given up.
#[derive(Debug)]
struct Open {
    span: Span,
    ended: bool,
}

struct Recorded {
    inner: ResponseStream,
    open: Option<Box<Open>>,
}

// === impl AttemptLayer ===

impl AttemptLayer {
    /// Records attempts at an endpoint of a backend. Without a tracer nothing is.
    pub fn new(tracer: Option<Tracer>, backend: &str, endpoint: &str) -> Self {
        let place = |tracer| {
            Arc::new(Place {
                tracer,
                backend: backend.into(),
                endpoint: endpoint.into(),
            })
        };
        Self {
            place: tracer.map(place),
        }
    }
}

impl<S> Layer<S> for AttemptLayer {
    type Service = Attempt<S>;

    fn layer(&self, inner: S) -> Attempt<S> {
        Attempt {
            inner,
            place: self.place.clone(),
        }
    }
}

// === impl Attempt ===

impl<S> Service<McpRequest> for Attempt<S>
where
    S: Service<McpRequest, Response = McpResponse>,
    S::Error: Into<CallError>,
{
    type Response = McpResponse;
    type Error = CallError;
    type Future = AttemptFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: McpRequest) -> Self::Future {
        let open = match (&self.place, request.context.trace) {
            (Some(place), Some(_)) => place.open(&mut request),
            _ => None,
        };
        AttemptFuture {
            inner: self.inner.call(request),
            open,
        }
    }
}

impl Place {
    fn open(&self, request: &mut McpRequest) -> Option<Box<Open>> {
        let mut span = spans::attempt(&self.tracer, request)?;
        span.set(spans::BACKEND, &self.backend);
        span.set(spans::ENDPOINT, &self.endpoint);
        request.context.trace = Some(spans::context(&span));
        Some(Box::new(Open { span, ended: false }))
    }
}

// === impl AttemptFuture ===

impl<F, E> Future for AttemptFuture<F>
where
    F: Future<Output = Result<McpResponse, E>>,
    E: Into<CallError>,
{
    type Output = Result<McpResponse, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = this.inner.poll(cx).map_err(Into::into);
        if this.open.is_none() {
            return answer;
        }
        answer.map(|answer| match this.open.take() {
            Some(open) => open.told(answer),
            None => answer,
        })
    }
}

// === impl Recorded ===

impl Stream for Recorded {
    type Item = Result<Event, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let item = ready!(Pin::new(&mut this.inner).poll_next(cx));
        let end = match &item {
            Some(Ok(Event::Outcome(outcome))) => Ok(outcome),
            Some(Err(error)) => Err(error),
            _ => return Poll::Ready(item),
        };
        if let Some(mut open) = this.open.take() {
            open.ended(|span| spans::outcome(span, end));
        }
        Poll::Ready(item)
    }
}

// === impl Open ===

impl Open {
    /// Tells how it ended, or will tell at the end of its stream.
    // Out of the way of the many that are not recorded.
    #[cold]
    fn told(
        mut self: Box<Self>,
        answer: Result<McpResponse, CallError>,
    ) -> Result<McpResponse, CallError> {
        let end = match answer {
            Ok(McpResponse::Stream(inner)) => {
                let open = Some(self);
                return Ok(McpResponse::Stream(ResponseStream::new(Recorded {
                    inner,
                    open,
                })));
            }
            Ok(McpResponse::Ready(ref outcome)) => Ok(outcome),
            Err(ref error) => Err(error),
        };
        self.ended(|span| spans::outcome(span, end));
        answer
    }

    fn ended(&mut self, tell: impl FnOnce(&mut Span)) {
        self.ended = true;
        tell(&mut self.span);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.ended {
            spans::cancelled(&mut self.span);
        }
    }
}

#[cfg(test)]
mod tests;
