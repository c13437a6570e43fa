//! Counts calls: how many are running, how they ended, how long they took.
//!
//! Nobody can run what they cannot count. Who counts is somebody else's choice, so the layer only
//! says when a call starts and how it ends, to a [`Recorder`]; [`CallStats`] is one that anybody
//! can read. A streamed answer ends at its outcome, a call that is given up at its drop.
//!
//! It stands around everything whose time and failures it shall tell of: the whole stack of a
//! backend, or one layer that one wants to know about.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use mcp_router_service::{CallError, Class};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

mod stats;

pub use stats::{BOUNDS, CallStats, Counter, Running};

use crate::judge::{ByTraits, Judge};

/// Who wants to know of calls.
pub trait Recorder<R> {
    /// What goes with the call.
    type Call: CallRecord;

    /// A call starts.
    fn start(&self, request: &R) -> Self::Call;
}

/// What a [`Recorder`] keeps of a running call. Dropped without a word: the call was given up.
pub trait CallRecord: Send + 'static {
    /// The call has ended.
    fn end(self, class: Class, error: Option<&CallError>);
}

/// Tells a [`Recorder`] of every call.
#[derive(Clone, Debug)]
pub struct MetricsLayer<M, J = ByTraits> {
    recorder: M,
    judge: J,
}

/// A service whose calls are counted; see [`MetricsLayer`].
#[derive(Clone, Debug)]
pub struct Metrics<S, M, J = ByTraits> {
    inner: S,
    recorder: M,
    judge: J,
}

pin_project! {
    /// The answer of a [`Metrics`].
    #[derive(Debug)]
    pub struct MetricsFuture<F, C, J> {
        #[pin]
        inner: F,
        call: Option<C>,
        judge: J,
    }
}

// === impl MetricsLayer ===

impl<M> MetricsLayer<M> {
    /// Tells `recorder`, for instance a [`CallStats`].
    pub fn new(recorder: M) -> Self {
        Self {
            recorder,
            judge: ByTraits,
        }
    }
}

impl<M, J> MetricsLayer<M, J> {
    /// Judges answers in another way; see [`BreakerLayer::judge`](crate::BreakerLayer::judge).
    pub fn judge<K>(self, judge: K) -> MetricsLayer<M, K> {
        MetricsLayer {
            recorder: self.recorder,
            judge,
        }
    }
}

impl<S, M: Clone, J: Clone> Layer<S> for MetricsLayer<M, J> {
    type Service = Metrics<S, M, J>;

    fn layer(&self, inner: S) -> Metrics<S, M, J> {
        Metrics {
            inner,
            recorder: self.recorder.clone(),
            judge: self.judge.clone(),
        }
    }
}

// === impl Metrics ===

impl<S, R, M, J> Service<R> for Metrics<S, M, J>
where
    S: Service<R>,
    S::Error: Into<CallError>,
    M: Recorder<R>,
    J: Judge<S::Response, S::Error> + Clone,
{
    type Response = S::Response;
    type Error = CallError;
    type Future = MetricsFuture<S::Future, M::Call, J>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: R) -> Self::Future {
        MetricsFuture {
            call: Some(self.recorder.start(&request)),
            judge: self.judge.clone(),
            inner: self.inner.call(request),
        }
    }
}

// === impl MetricsFuture ===

impl<F, T, E, C, J> Future for MetricsFuture<F, C, J>
where
    F: Future<Output = Result<T, E>>,
    E: Into<CallError>,
    C: CallRecord,
    J: Judge<T, E>,
{
    type Output = Result<T, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(cx));
        Poll::Ready(match this.call.take() {
            Some(call) => this
                .judge
                .judge(result, |class, error| call.end(class, error)),
            None => result.map_err(Into::into),
        })
    }
}

#[cfg(test)]
mod tests;
