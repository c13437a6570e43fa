//! Bounds how many calls a backend has at once.
//!
//! Without this, one saturated backend collects every call that anyone sends it, and with them
//! the memory and the patience of all clients. Here a call runs at once while there is room,
//! waits its turn in a short queue otherwise, and is refused unsent when that is full or too slow.
//!
//! It stands outside the timeout: time in the queue is not time of the attempt. It is never a
//! load shedder over a buffer, which would shed whenever a task's cooperative budget runs out.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::BoxFuture;
use mcp_router_service::{CallError, HoldGuard, Place, Places, Reason, Sent};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

/// How much a backend is given to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LimitParams {
    /// Calls at once; a streamed answer counts until it has ended.
    pub max_concurrency: usize,
    /// Calls that may wait for their turn.
    pub max_queue: usize,
    /// How long one may wait.
    pub max_wait: Duration,
}

/// Bounds concurrency with a short queue. All services of one layer value share the bound.
#[derive(Clone, Debug)]
pub struct LimitLayer {
    gate: Arc<Gate>,
}

/// A bounded service; see [`LimitLayer`]. Clones share the bound.
#[derive(Clone, Debug)]
pub struct Limit<S> {
    inner: S,
    gate: Arc<Gate>,
}

pin_project! {
    /// The answer of a [`Limit`]: waiting, running or refused. Dropping it leaves the queue.
    pub struct LimitFuture<S: Service<R>, R> {
        #[pin]
        state: State<S, R, S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, R, F> {
        Waiting { turn: BoxFuture<'static, Result<Place, CallError>>, call: Option<(S, R)> },
        Running { #[pin] answer: F, permit: Option<Place> },
    }
}

#[derive(Debug)]
struct Gate {
    permits: Places,
    queued: AtomicUsize,
    params: LimitParams,
}

/// A place in the queue, given back when dropped.
struct Queued(Arc<Gate>);

// === impl LimitParams ===

impl Default for LimitParams {
    /// What one HTTP backend takes: 256 calls at once, 64 waiting, 1 s.
    fn default() -> Self {
        Self {
            max_concurrency: 256,
            max_queue: 64,
            max_wait: Duration::from_secs(1),
        }
    }
}

impl LimitParams {
    /// What one child process takes: 64 calls at once, 64 waiting, 1 s.
    pub fn child() -> Self {
        Self {
            max_concurrency: 64,
            ..Self::default()
        }
    }
}

// === impl LimitLayer ===

impl LimitLayer {
    /// A bound of its own.
    pub fn new(params: LimitParams) -> Self {
        Self {
            gate: Arc::new(Gate {
                permits: Places::new(params.max_concurrency),
                queued: AtomicUsize::new(0),
                params,
            }),
        }
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = Limit<S>;

    fn layer(&self, inner: S) -> Limit<S> {
        Limit {
            inner,
            gate: self.gate.clone(),
        }
    }
}

// === impl Gate ===

impl Gate {
    fn overloaded(&self, detail: &str) -> CallError {
        CallError::new(Reason::Overloaded, Sent::No).detail(detail)
    }

    /// A place in the queue, if there is one.
    fn enter(self: &Arc<Self>) -> Option<Queued> {
        let max = self.params.max_queue;
        let enter = |n| (n < max).then_some(n + 1);
        self.queued
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, enter)
            .ok()
            .map(|_| Queued(self.clone()))
    }

    /// Waits for a permit, in the order of arrival.
    async fn turn(self: Arc<Self>) -> Result<Place, CallError> {
        let Some(_queued) = self.enter() else {
            return Err(self.overloaded("queue full"));
        };
        let permit = tokio::time::timeout(self.params.max_wait, self.permits.take()).await;
        permit.map_err(|_| self.overloaded("queue too slow"))
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, Ordering::AcqRel);
    }
}

// === impl Limit ===

impl<S, R> Service<R> for Limit<S>
where
    S: Service<R> + Clone,
    S::Response: HoldGuard,
    S::Error: Into<CallError>,
{
    type Response = S::Response;
    type Error = CallError;
    type Future = LimitFuture<S, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: R) -> Self::Future {
        // While anyone waits, a freed permit is handed on and none is free here: no overtaking.
        let state = match self.gate.permits.try_take() {
            Some(permit) => State::Running {
                answer: self.inner.call(request),
                permit: Some(permit),
            },
            None => {
                let clone = self.inner.clone();
                let ready = mem::replace(&mut self.inner, clone);
                State::Waiting {
                    turn: Box::pin(self.gate.clone().turn()),
                    call: Some((ready, request)),
                }
            }
        };
        LimitFuture { state }
    }
}

// === impl LimitFuture ===

impl<S, R> Future for LimitFuture<S, R>
where
    S: Service<R>,
    S::Response: HoldGuard,
    S::Error: Into<CallError>,
{
    type Output = Result<S::Response, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let (answer, permit) = match this.state.as_mut().project() {
                StateProj::Running { answer, permit } => {
                    let answer = ready!(answer.poll(cx)).map_err(Into::into)?;
                    return Poll::Ready(Ok(answer.hold(permit.take())));
                }
                StateProj::Waiting { turn, call } => {
                    let permit = ready!(turn.as_mut().poll(cx))?;
                    let Some((mut service, request)) = call.take() else {
                        return Poll::Pending; // polled after it was done
                    };
                    (service.call(request), Some(permit))
                }
            };
            this.state.set(State::Running { answer, permit });
        }
    }
}

impl<S: Service<R>, R> std::fmt::Debug for LimitFuture<S, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LimitFuture(..)")
    }
}

#[cfg(test)]
mod tests;
