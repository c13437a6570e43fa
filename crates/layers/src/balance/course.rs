//! The way of one call over the endpoints: where it begins, whether it goes on, where to.

use std::sync::Arc;
use std::time::Duration;

use mcp_router_service::{CallError, Class, Classify, McpRequest, Reason, Sent};

use super::bound::{Bound, Nowhere};
use super::group::{Group, Tried};
use super::member::Running;

/// How long an endpoint is left in peace that throttles without a word on it.
const THROTTLED: Duration = Duration::from_secs(1);

/// What a call needs to be tried elsewhere.
pub(super) struct Course {
    group: Arc<Group>,
    /// The call itself; absent if it has to stay where it is.
    copy: Option<McpRequest>,
    tried: Tried,
    /// Why it failed so far.
    failure: Option<CallError>,
    bound: Option<Arc<Bound>>,
}

/// A call to be made now.
pub(super) struct Step {
    pub(super) at: usize,
    pub(super) request: McpRequest,
    pub(super) running: Running,
}

// === impl Course ===

impl Course {
    /// Chooses where the call goes first.
    pub(super) fn begin(
        group: &Arc<Group>,
        request: McpRequest,
    ) -> (Self, Result<Step, CallError>) {
        let mut course = Self {
            group: group.clone(),
            copy: None,
            tried: Tried::default(),
            failure: None,
            bound: None,
        };
        let pin = request.context.pin.as_ref();
        let pin = pin.filter(|pin| !pin.endpoint.is_empty());
        let stays = pin.is_some();
        let first = match pin {
            Some(pin) => group.position(&pin.endpoint).ok_or_else(|| {
                CallError::new(Reason::NoBackend, Sent::No)
                    .detail("the endpoint that asked is gone")
            }),
            None => course.first(&request),
        };
        if group.members.len() > 1 && !stays {
            course.copy = Some(request.clone());
        }
        let step = first.map(|at| course.step(at, request));
        (course, step)
    }

    /// The call failed at `at`: where it goes next, or what its failure comes to.
    pub(super) fn proceed(&mut self, at: usize, error: CallError) -> Result<Step, CallError> {
        self.rest(at, &error);
        let next = self
            .copy
            .take()
            .filter(|copy| self.may_go_on(copy, at, &error));
        let next = next.and_then(|copy| Some((self.elsewhere(&error)?, copy)));
        let failure = joined(self.failure.take(), error);
        let Some((to, copy)) = next else {
            return Err(failure);
        };
        tracing::debug!(
            backend = %self.group.backend,
            from = &**self.group.members[at].endpoint.key(),
            to = &**self.group.members[to].endpoint.key(),
            reason = %failure.reason,
            "call goes to another endpoint"
        );
        copy.context.trail.again();
        self.failure = Some(failure);
        self.copy = Some(copy.clone());
        Ok(self.step(to, copy))
    }

    fn step(&mut self, at: usize, request: McpRequest) -> Step {
        self.tried.insert(at);
        let running = Running::begin(self.group.clone(), at);
        Step {
            at,
            request,
            running,
        }
    }

    /// The session's endpoint, else the policy's.
    fn first(&mut self, request: &McpRequest) -> Result<usize, CallError> {
        let group = self.group.clone();
        let pick = || group.first();
        let session = request.context.session.as_ref();
        let Some(session) = session.filter(|_| group.members.iter().any(|m| m.may_remember()))
        else {
            return pick().ok_or_else(|| group.refusal());
        };
        let bound = session.slot(&group.slot, || Bound::of(session, &group));
        let at = bound.keep(&group, &self.tried, pick, |_| true);
        self.bound = Some(bound);
        at.map_err(|nowhere| match nowhere {
            Nowhere::Unfit => group.refusal(),
            Nowhere::Lost => CallError::new(Reason::CircuitOpen, Sent::No).detail(
                "the server that keeps something for this session is away; \
                 the next call begins anew at another",
            ),
        })
    }

    /// The next endpoint after a failure, if that is paid for: what was not sent was no load. The
    /// session moves along, unless another of its calls has moved it already.
    fn elsewhere(&self, error: &CallError) -> Option<usize> {
        let group = &self.group;
        let pick = || group.next(&self.tried);
        let pays = |at| error.sent == Sent::No || group.pays_for(at);
        match &self.bound {
            Some(bound) => bound.keep(group, &self.tried, pick, pays).ok(),
            None => pick().filter(|at| pays(*at)),
        }
    }

    /// The call has its answer, and the endpoint may remember it from now on.
    pub(super) fn answered(&self) {
        if let Some(bound) = &self.bound {
            bound.used();
        }
    }

    /// An endpoint that throttles without saying for how long has a second's peace: it fails
    /// nothing that would open its circuit, and every call would go on to knock there.
    fn rest(&self, at: usize, error: &CallError) {
        if error.class() == Class::Throttled && error.retry_after.is_none() {
            self.group.members[at].endpoint.rest_for(THROTTLED);
        }
    }

    fn may_go_on(&self, copy: &McpRequest, at: usize, error: &CallError) -> bool {
        let context = &copy.context;
        // It is there and will take the call later, and only it knows the session.
        let later = error.sent == Sent::RejectedUnexecuted && error.retry_after.is_some();
        let throttles = later || error.class() == Class::Throttled;
        let stays = throttles && self.bound.is_some() && self.group.members[at].may_remember();
        !stays && context.repeat.after.allows(error) && !context.deadline.remaining().is_zero()
    }
}

/// What two failures of one call come to: the last, unless that was only a refusal to try. It may
/// be tried again as soon as either endpoint may.
fn joined(before: Option<CallError>, last: CallError) -> CallError {
    let Some(before) = before else {
        return last;
    };
    // `None` is less than any time.
    let retry_after = before.retry_after.min(last.retry_after);
    let telling = match last.reason {
        Reason::CircuitOpen => before,
        _ => last.after(before.sent),
    };
    telling.retry_after(retry_after)
}
