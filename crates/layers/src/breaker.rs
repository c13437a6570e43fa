//! Leaves an endpoint alone that keeps failing.
//!
//! Without this, one dead endpoint costs every caller a full timeout, and an endpoint that comes
//! back is met by everybody at once. When the circuit of the [`Endpoint`] is open, a call is
//! refused here at once and unsent; when it is half-open, a few trials go through.
//!
//! It stands outside the timeout, so that a slow endpoint counts as a failing one, and inside
//! retry and balancing, so that each attempt counts and asks. A streamed answer is judged by its
//! end. A call that is given up, trial or not, says nothing and gives its slot back.
//!
//! What an answer says of the endpoint is read through `Classify` and `HoldGuard`, which our own
//! types implement. For somebody else's types give a closure to [`BreakerLayer::judge`].

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use mcp_router_service::{CallError, Reason, Sent};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::endpoint::{Admitted, Endpoint};
use crate::judge::{ByTraits, Judge};

/// Refuses calls to an endpoint whose circuit is open. Around one endpoint's timeout.
#[derive(Clone, Debug)]
pub struct BreakerLayer<J = ByTraits> {
    endpoint: Endpoint,
    judge: J,
}

/// A service with a circuit; see [`BreakerLayer`].
#[derive(Clone, Debug)]
pub struct Breaker<S, J = ByTraits> {
    inner: S,
    endpoint: Endpoint,
    judge: J,
}

pin_project! {
    /// The answer of a [`Breaker`]: running, or refused. Dropping it gives a trial's slot back.
    #[derive(Debug)]
    pub struct BreakerFuture<F, J> {
        #[pin]
        state: State<F>,
        judge: J,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = StateProj]
    enum State<F> {
        Running { #[pin] answer: F, admitted: Option<Admitted> },
        Refused { error: Option<CallError> },
    }
}

// === impl BreakerLayer ===

impl BreakerLayer {
    /// With the circuit of `endpoint`, or with one of its own from mere parameters. All services
    /// of one layer value share it.
    pub fn new(endpoint: impl Into<Endpoint>) -> Self {
        Self {
            endpoint: endpoint.into(),
            judge: ByTraits,
        }
    }
}

impl<J> BreakerLayer<J> {
    /// Judges answers and errors in another way: for types that are not ours.
    ///
    /// ```
    /// use mcp_router_health::BreakerParams;
    /// use mcp_router_layers::BreakerLayer;
    /// use mcp_router_service::Class;
    ///
    /// let layer = BreakerLayer::new(BreakerParams::default()).judge(
    ///     |result: Result<&u16, &tower::BoxError>| match result {
    ///         Ok(status) if *status < 500 => Class::Success,
    ///         _ => Class::Failure,
    ///     },
    /// );
    /// # let _ = layer;
    /// ```
    pub fn judge<K>(self, judge: K) -> BreakerLayer<K> {
        BreakerLayer {
            endpoint: self.endpoint,
            judge,
        }
    }

    /// Whose circuit it is: to read its state, or to give it to probes.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl<S, J: Clone> Layer<S> for BreakerLayer<J> {
    type Service = Breaker<S, J>;

    fn layer(&self, inner: S) -> Breaker<S, J> {
        Breaker {
            inner,
            endpoint: self.endpoint.clone(),
            judge: self.judge.clone(),
        }
    }
}

// === impl Breaker ===

impl<S, R, J> Service<R> for Breaker<S, J>
where
    S: Service<R>,
    S::Error: Into<CallError>,
    J: Judge<S::Response, S::Error> + Clone,
{
    type Response = S::Response;
    type Error = CallError;
    type Future = BreakerFuture<S::Future, J>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        // An open circuit is no reason to wait: whoever asks wants to know, and go elsewhere.
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let state = match self.endpoint.admit() {
            Ok(admitted) => State::Running {
                answer: self.inner.call(request),
                admitted: Some(admitted),
            },
            Err(refused) => {
                let error = CallError::new(Reason::CircuitOpen, Sent::No);
                State::Refused {
                    error: Some(error.retry_after(Some(refused.retry_in))),
                }
            }
        };
        BreakerFuture {
            state,
            judge: self.judge.clone(),
        }
    }
}

// === impl BreakerFuture ===

impl<F, T, E, J> Future for BreakerFuture<F, J>
where
    F: Future<Output = Result<T, E>>,
    E: Into<CallError>,
    J: Judge<T, E>,
{
    type Output = Result<T, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.state.project() {
            StateProj::Refused { error } => {
                error.take().map_or(Poll::Pending, |e| Poll::Ready(Err(e)))
            }
            StateProj::Running { answer, admitted } => {
                let result = ready!(answer.poll(cx));
                Poll::Ready(match admitted.take() {
                    Some(admitted) => {
                        let watch =
                            move |class, error: Option<&CallError>| admitted.ended(class, error);
                        this.judge.judge(result, watch)
                    }
                    None => result.map_err(Into::into),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests;
