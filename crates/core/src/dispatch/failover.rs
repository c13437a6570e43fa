//! One call, at one backend after the other, as far as that is safe.
//!
//! Without it an agent meets every failure of every backend. With too much of it a payment is made
//! twice. So a call goes on only after a failure that [allows](mcp_router_service::RepeatAfter) it
//! by what is known about the request, never by what a message says, and then at once: while
//! another usable backend is left nobody waits. Waiting and trying again is for the layers of one
//! backend, and they are told when the turn is theirs ([`Turn::here`]).

use std::sync::Arc;

use mcp_router_protocol::RawParams;
use mcp_router_routing::{Course, Fitness, Turn};
use mcp_router_service::{
    CallError, Event, Mark, McpRequest, McpResponse, Outcome, Reason, Repeat, RepeatAfter,
    ResponseStream, Sent, SharedContext,
};
use tower::ServiceExt;

use crate::backend::Cell;
use crate::catalogue::Choice;
use crate::counted::Counted;

/// Where the candidates of a call come from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidates<'a> {
    pub(super) choices: &'a [Choice],
    /// Whether to take them as they come, however they fare.
    pub(super) fixed: bool,
    /// What the call is counted as, if it is.
    pub(super) counted: Option<Counted<'a>>,
}

impl<'a> From<&'a [Choice]> for Candidates<'a> {
    fn from(choices: &'a [Choice]) -> Self {
        Self {
            choices,
            fixed: false,
            counted: None,
        }
    }
}

impl<'a> Candidates<'a> {
    /// Counts the call.
    pub(super) const fn counted(mut self, what: Counted<'a>) -> Self {
        self.counted = Some(what);
        self
    }

    /// The turn of a call that has been `course` so far.
    fn next(self, course: &mut Course) -> Option<(Turn, &'a Choice)> {
        // Nothing to decide for nearly every call: nobody is asked how it fares.
        let lone = self.choices.len() == 1 || self.fixed;
        let turn = course.next(self.choices.len(), |at| match lone {
            true => Fitness::Usable,
            false => self.choices[at].cell.fitness(),
        })?;
        Some((turn, &self.choices[turn.at]))
    }

    /// All of them in the order in which a call that begins now would try them.
    pub(super) fn in_order(self) -> impl Iterator<Item = &'a Choice> {
        let mut course = Course::default();
        std::iter::from_fn(move || self.next(&mut course).map(|(_, choice)| choice))
    }
}

/// Sends a call to the candidates in turn; `params` says how one of them wants it. Tells who
/// answered.
///
/// # Errors
/// What went wrong at the candidate that got furthest; [`Sent::Unknown`] if the call may have run
/// at any of them.
pub(super) async fn send<'a>(
    candidates: Candidates<'a>,
    request: McpRequest,
    params: impl Fn(&Choice, &RawParams) -> Option<RawParams>,
) -> Result<(McpResponse, &'a Choice), CallError> {
    let mut course = Course::default();
    let mut failed: Option<CallError> = None;
    // Given away to the last candidate; the others get clones, which share its bytes.
    let mut request = Some(request);
    while let Some((turn, choice)) = candidates.next(&mut course) {
        // It may have run elsewhere, and running it here too does harm as far as this one says.
        let maybe_ran = failed.as_ref().is_some_and(|e| e.sent == Sent::Unknown);
        if maybe_ran && choice.repeat < RepeatAfter::Failed {
            continue;
        }
        let copy = match turn.more {
            true => request.clone(),
            false => request.take(),
        };
        let Some(mut attempt) = copy else {
            break; // nobody is left after the last
        };
        if let Some(own) = params(choice, &attempt.params) {
            attempt.params = own;
        }
        order(&mut attempt.context, choice, turn);
        let deadline = turn.more.then(|| attempt.context.deadline.clone());
        let mark = || Some(choice.counters(candidates.counted?));
        let error = match send_marked(&choice.cell, attempt, mark).await {
            Ok(answer) => return Ok((answer, choice)),
            Err(error) => error,
        };
        let goes_on = choice.repeat.allows(&error)
            && deadline.is_some_and(|deadline| !deadline.remaining().is_zero());
        if goes_on {
            tracing::debug!(backend = %choice.cell.meta.name, reason = %error.reason, "call moves on");
        }
        failed = Some(furthest(failed, error));
        if !goes_on {
            break;
        }
    }
    Err(failed.unwrap_or_else(|| CallError::new(Reason::NoBackend, Sent::No)))
}

/// Tells the layers and the edge of a candidate what its call must obey. Writing copies the
/// context, and most tools want nothing beside what holds for every call: then nothing is written.
fn order(context: &mut SharedContext, choice: &Choice, turn: Turn) {
    let repeat = Repeat {
        after: choice.repeat,
        here: context.repeat.here && turn.here,
    };
    let attempt = choice.attempt.or(context.attempt);
    let mirrored = context.mirror.is_some() || choice.mirror.is_some();
    if mirrored || (context.repeat, context.attempt) != (repeat, attempt) {
        let context = &mut **context;
        (context.repeat, context.attempt) = (repeat, attempt);
        context.mirror = choice.mirror.clone();
    }
}

/// Of two failures of a call the one to tell: a refusal by an open circuit or a full queue hides
/// no failure of a call that was made.
fn furthest(earlier: Option<CallError>, later: CallError) -> CallError {
    let refusal = |e: &CallError| {
        matches!(
            e.reason,
            Reason::CircuitOpen | Reason::Overloaded | Reason::NoBackend
        )
    };
    match earlier {
        None => later,
        Some(earlier) if refusal(&later) && !refusal(&earlier) => earlier.after(later.sent),
        Some(earlier) => later.after(earlier.sent),
    }
}

/// Sends `request` to the backend; failures and the call's trail name it.
pub(super) async fn send_to(
    cell: &Arc<Cell>,
    request: McpRequest,
) -> Result<McpResponse, CallError> {
    send_marked(cell, request, || None).await
}

/// The same, with a mark on the trail.
async fn send_marked(
    cell: &Arc<Cell>,
    request: McpRequest,
    mark: impl FnOnce() -> Option<Mark>,
) -> Result<McpResponse, CallError> {
    let Some(service) = cell.service.clone() else {
        return Err(CallError::new(Reason::NoBackend, Sent::No).on(&cell.meta.name));
    };
    // Held by the answer to its end: a backend that is removed is closed when nobody holds it.
    let cell = cell.clone();
    let trail = &request.context.trail;
    trail.visit_marked(&cell.meta.name, mark);
    match service.oneshot(request).await {
        Ok(McpResponse::Stream(stream)) => {
            use futures::StreamExt;
            let named = stream.map(move |event| match event {
                Ok(Event::Outcome(Outcome::InputRequired(mut interim))) => {
                    interim.on(&cell.meta.name);
                    Ok(Event::Outcome(Outcome::InputRequired(interim)))
                }
                event => event.map_err(|e| e.on(&cell.meta.name)),
            });
            Ok(McpResponse::Stream(ResponseStream::new(named)))
        }
        Ok(McpResponse::Ready(Outcome::InputRequired(mut interim))) => {
            interim.on(&cell.meta.name);
            Ok(McpResponse::Ready(Outcome::InputRequired(interim)))
        }
        Ok(ready) => Ok(ready),
        Err(error) => Err(error.on(&cell.meta.name)),
    }
}
