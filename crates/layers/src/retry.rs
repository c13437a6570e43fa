//! Makes a call again that failed, when that is safe and worth it.
//!
//! Without this, each blip of a backend reaches an agent. Done carelessly it is worse than
//! nothing: a call that runs twice, a backend that is hammered when it is slow, a client that
//! waits beyond its deadline. So a failed call is made again here only
//!
//! * when its [`Policy`] says that it may: for our own requests [`ByRequest`], which obeys what the
//!   router wrote into `context.repeat` and what the error knows about what was sent, never texts;
//! * as often as [`RetryParams::max_attempts`] says, after a wait that grows and has jitter, or
//!   the one that the backend asked for, up to a minute;
//! * if the wait ends before the call's deadline, and before the time is over that all attempts
//!   and the waits between them may take by themselves; otherwise the error comes at once and says
//!   when to come back;
//! * if the [budget](BudgetParams) pays for it.
//!
//! Only failures before the first message of an answer come here (a rule of the waist). It stands
//! inside the limit and outside balancing, breaker and timeout, so that every attempt asks the
//! circuit and has its own time. An open circuit or a full queue is never waited for.
//!
//! There is no hedging: an attempt starts when the one before has failed, so that no call is ever
//! in two places at once.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use mcp_router_health::{BackoffParams, BudgetParams};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};
use tower::{Layer, Service};

mod attempts;
mod budget;
mod policy;

use attempts::Attempts;
pub use budget::Budget;
pub use policy::{Again, ByRequest, MAX_THROTTLED_WAIT, Policy};

use crate::metrics::Counter;

/// How often and how fast calls are made again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryParams {
    /// Attempts at one call, the first included; 0 counts as 1.
    pub max_attempts: u32,
    /// The wait before each further one.
    pub backoff: BackoffParams,
    /// How long one attempt may take, where the request does not say so. Nothing is ended by it
    /// here, but a backend that asks for more time than all attempts and waits may take is not
    /// waited for.
    pub attempt: Duration,
    /// What pays for further ones, of all calls together.
    pub budget: BudgetParams,
}

/// Makes failed calls again. All services of one layer value share the budget.
#[derive(Clone, Debug)]
pub struct RetryLayer<P = ByRequest> {
    policy: P,
    shared: Arc<Shared>,
}

/// A service whose failed calls are made again; see [`RetryLayer`].
#[derive(Debug)]
pub struct Retry<S, P = ByRequest> {
    inner: S,
    policy: P,
    base: Arc<Base<S>>,
}

/// What all calls of a service have in common.
#[derive(Debug)]
struct Base<S> {
    /// Where further attempts get a service of their own. Behind a lock for services that are not
    /// `Sync`; it is taken for a clone, and only when a call has failed.
    spare: Mutex<S>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    params: RetryParams,
    budget: Budget,
    retries: Counter,
}

pin_project! {
    /// The answer of a [`Retry`]. Dropping it ends the attempt, or the wait for the next one.
    pub struct RetryFuture<S: Service<R>, R, P> {
        #[pin]
        state: State<S, S::Future>,
        // Absent when the call is made once, whatever happens.
        attempts: Option<Attempts<S, R, P, S::Error>>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F> {
        Running { #[pin] answer: F },
        Waiting { sleep: Pin<Box<Sleep>> },
        Readying { service: S },
    }
}

// === impl RetryParams ===

impl Default for RetryParams {
    /// 3 attempts of 30 s; waits of 1 s doubling to 10 s with jitter 0.5; a fifth of the requests.
    fn default() -> Self {
        Self {
            max_attempts: 3,
            backoff: BackoffParams::RETRY,
            attempt: Duration::from_secs(30),
            budget: BudgetParams::default(),
        }
    }
}

// === impl RetryLayer ===

impl RetryLayer {
    /// Makes calls again as their requests say.
    pub fn new(params: RetryParams) -> Self {
        Self {
            policy: ByRequest,
            shared: Arc::new(Shared {
                params,
                budget: Budget::new(params.budget),
                retries: Counter::default(),
            }),
        }
    }
}

impl<P> RetryLayer<P> {
    /// Decides in another way: for types that are not ours. A closure
    /// `Fn(&Request, Result<&Answer, &Error>) -> Again` will do; requests are cloned.
    ///
    /// ```
    /// use mcp_router_layers::{Again, RetryLayer, RetryParams};
    ///
    /// let layer = RetryLayer::new(RetryParams::default()).policy(
    ///     |request: &String, result: Result<&u16, &tower::BoxError>| match result {
    ///         Ok(503) if request.starts_with("get") => Again::after(None),
    ///         _ => Again::No,
    ///     },
    /// );
    /// # let _ = layer;
    /// ```
    pub fn policy<Q>(self, policy: Q) -> RetryLayer<Q> {
        RetryLayer {
            policy,
            shared: self.shared,
        }
    }

    /// Counts attempts beyond the first.
    pub fn retries(&self) -> &Counter {
        &self.shared.retries
    }

    /// Counts calls that would have been made again if there had been budget left.
    pub fn withheld(&self) -> &Counter {
        self.shared.budget.withheld()
    }

    /// What pays for further attempts, for whoever else makes some.
    pub fn budget(&self) -> &Budget {
        &self.shared.budget
    }
}

impl<S: Clone, P: Clone> Layer<S> for RetryLayer<P> {
    type Service = Retry<S, P>;

    fn layer(&self, inner: S) -> Retry<S, P> {
        Retry {
            base: Arc::new(Base {
                spare: Mutex::new(inner.clone()),
                shared: self.shared.clone(),
            }),
            inner,
            policy: self.policy.clone(),
        }
    }
}

// === impl Retry ===

impl<S: Clone, P: Clone> Clone for Retry<S, P> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            policy: self.policy.clone(),
            base: self.base.clone(),
        }
    }
}

impl<S, R, P> Service<R> for Retry<S, P>
where
    S: Service<R> + Clone,
    P: Policy<R, S::Response, S::Error> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = RetryFuture<S, R, P>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let now = Instant::now();
        let shared = &self.base.shared;
        shared.budget.deposit_at(now);
        let copy = match shared.params.max_attempts {
            0 | 1 => None,
            _ => self.policy.copy(&request),
        };
        let attempts = copy.map(|r| Attempts::new(r, self.policy.clone(), self.base.clone(), now));
        RetryFuture {
            attempts,
            state: State::Running {
                answer: self.inner.call(request),
            },
        }
    }
}

// === impl RetryFuture ===

impl<S, R, P> Future for RetryFuture<S, R, P>
where
    S: Service<R> + Clone,
    P: Policy<R, S::Response, S::Error>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Running { answer } => {
                    let result = ready!(answer.poll(cx));
                    let Some(attempts) = this.attempts else {
                        return Poll::Ready(result);
                    };
                    match attempts.ended(result) {
                        Ok(wait) => State::Waiting {
                            sleep: Box::pin(sleep(wait)),
                        },
                        Err(result) => return Poll::Ready(result),
                    }
                }
                StateProj::Waiting { sleep } => {
                    ready!(sleep.as_mut().poll(cx));
                    let Some(attempts) = this.attempts else {
                        return Poll::Pending; // who waits does so for another one
                    };
                    State::Readying {
                        service: attempts.service(),
                    }
                }
                StateProj::Readying { service } => {
                    let ready = ready!(service.poll_ready(cx));
                    let Some(attempts) = this.attempts else {
                        return Poll::Pending; // as above
                    };
                    if let Err(error) = ready {
                        return Poll::Ready(Err(attempts.merge::<S::Response>(error)));
                    }
                    match attempts.begin::<S::Response>() {
                        Some(request) => State::Running {
                            answer: service.call(request),
                        },
                        None => return Poll::Pending, // polled after it was done
                    }
                }
            };
            this.state.set(next);
        }
    }
}

impl<S: Service<R>, R, P> std::fmt::Debug for RetryFuture<S, R, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RetryFuture(..)")
    }
}

/// The longest wait that a backend may ask for.
const MAX_WAIT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
