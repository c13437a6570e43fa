//! Who decides whether a call is made again.

use std::time::Duration;

use mcp_router_service::{CallError, McpRequest, Reason, Sent};

/// Whether to make a call again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Again {
    /// The result stands.
    No,
    /// Yes, not before the time that the backend asked for, if it did.
    After {
        /// That time.
        told: Option<Duration>,
    },
}

/// Knows which calls may be made again, and after what.
///
/// Implemented by [`ByRequest`], and by closures over requests that can be cloned.
pub trait Policy<R, T, E> {
    /// A copy to send later; `None` if the request is sent once, whatever happens.
    fn copy(&self, request: &R) -> Option<R>;

    /// Whether the call may be made again after it ended in `result`.
    fn again(&self, request: &R, result: Result<&T, &E>) -> Again;

    /// What is left of the call's time.
    fn room(&self, _request: &R) -> Duration {
        Duration::MAX
    }

    /// How long one attempt at this request may take; `None`: what the layer is told.
    fn attempt(&self, _request: &R) -> Option<Duration> {
        None
    }

    /// Hears of every attempt but the first, when it begins.
    fn repeating(&self, _request: &R) {}

    /// What to say of a call that failed with `earlier` and then, tried again, with `later`.
    fn merge(&self, _earlier: E, later: E) -> E {
        later
    }
}

/// Obeys the request: `context.repeat` says after which failures it may be made again and whether
/// here, `context.deadline` until when; attempts are noted in `context.trail`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByRequest;

/// The longest wait for a backend that is given too many calls (429). Whoever is told to come back
/// later than that is better told so than kept waiting: the queue would only grow.
pub const MAX_THROTTLED_WAIT: Duration = Duration::from_secs(10);

impl Again {
    /// Yes; not before `told`.
    pub const fn after(told: Option<Duration>) -> Self {
        Self::After { told }
    }
}

impl<T> Policy<McpRequest, T, CallError> for ByRequest {
    fn copy(&self, request: &McpRequest) -> Option<McpRequest> {
        request.context.repeat.here.then(|| request.clone())
    }

    fn again(&self, request: &McpRequest, result: Result<&T, &CallError>) -> Again {
        match result {
            Err(error) if may_repeat(request, error) => Again::after(error.retry_after),
            _ => Again::No,
        }
    }

    fn room(&self, request: &McpRequest) -> Duration {
        request.context.deadline.remaining()
    }

    fn attempt(&self, request: &McpRequest) -> Option<Duration> {
        request.context.attempt
    }

    fn repeating(&self, request: &McpRequest) {
        request.context.trail.again();
    }

    fn merge(&self, earlier: CallError, later: CallError) -> CallError {
        if !is_refusal(&later) {
            return later.after(earlier.sent);
        }
        // That we gave up says less than why; when to come back is worth knowing.
        let retry_after = later.retry_after.or(earlier.retry_after);
        earlier.retry_after(retry_after)
    }
}

impl<F, R, T, E> Policy<R, T, E> for F
where
    F: Fn(&R, Result<&T, &E>) -> Again,
    R: Clone,
{
    fn copy(&self, request: &R) -> Option<R> {
        Some(request.clone())
    }

    fn again(&self, request: &R, result: Result<&T, &E>) -> Again {
        self(request, result)
    }
}

fn may_repeat(request: &McpRequest, error: &CallError) -> bool {
    let too_long = |told| error.status == Some(429) && told > MAX_THROTTLED_WAIT;
    request.context.repeat.after.allows(error)
        && !is_refusal(error)
        && !error.retry_after.is_some_and(too_long)
}

/// Refused by the router itself, which no waiting here changes.
fn is_refusal(error: &CallError) -> bool {
    let ours = matches!(
        error.reason,
        Reason::CircuitOpen | Reason::Overloaded | Reason::NoBackend
    );
    ours && error.sent == Sent::No
}
