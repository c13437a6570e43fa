//! The answer of a balanced call: one attempt after the other.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use mcp_router_service::{CallError, HoldGuard, McpRequest};
use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower::{Service, ServiceExt};

use super::course::{Course, Step};
use super::member::Running;

pin_project! {
    /// The answer of a [`Balance`](super::Balance). Dropping it cancels the attempt that runs.
    pub struct BalanceFuture<S: Service<McpRequest>> {
        services: Arc<[S]>,
        course: Course,
        #[pin]
        attempt: Attempt<S>,
    }
}

pin_project! {
    #[project = AttemptProj]
    enum Attempt<S: Service<McpRequest>> {
        Refused { error: Option<CallError> },
        Running { at: usize, running: Option<Running>, #[pin] answer: Oneshot<S, McpRequest> },
    }
}

impl<S: Service<McpRequest> + Clone> BalanceFuture<S> {
    pub(super) fn new(services: Arc<[S]>, course: Course, first: Result<Step, CallError>) -> Self {
        let attempt = match first {
            Ok(step) => attempt(&services, step),
            Err(error) => Attempt::Refused { error: Some(error) },
        };
        Self {
            services,
            course,
            attempt,
        }
    }
}

fn attempt<S: Service<McpRequest> + Clone>(services: &[S], step: Step) -> Attempt<S> {
    Attempt::Running {
        at: step.at,
        running: Some(step.running),
        answer: services[step.at].clone().oneshot(step.request),
    }
}

impl<S> Future for BalanceFuture<S>
where
    S: Service<McpRequest> + Clone,
    S::Response: HoldGuard,
    S::Error: Into<CallError>,
{
    type Output = Result<S::Response, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let (at, running, answer) = match this.attempt.as_mut().project() {
                AttemptProj::Running {
                    at,
                    running,
                    answer,
                } => (*at, running, answer),
                AttemptProj::Refused { error } => match error.take() {
                    Some(error) => return Poll::Ready(Err(error)),
                    None => return Poll::Pending, // polled after it was done
                },
            };
            let error: CallError = match ready!(answer.poll(cx)) {
                Ok(answer) => {
                    if let Some(running) = running {
                        running.answered();
                    }
                    this.course.answered();
                    return Poll::Ready(Ok(match running.take() {
                        Some(running) => answer.hold_noting(running),
                        None => answer,
                    }));
                }
                Err(error) => error.into(),
            };
            if let Some(running) = running.take() {
                running.failed(&error);
            }
            let next = this.course.proceed(at, error)?;
            this.attempt.set(attempt(this.services, next));
        }
    }
}

impl<S: Service<McpRequest>> fmt::Debug for BalanceFuture<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BalanceFuture(..)")
    }
}
