//! Later rounds of clients that take interim results.
//!
//! The client brings the answers, and the sealed state that says where they belong. A state that
//! was not given for this very call, by this client, is refused without a word on why (R34): who
//! tries should learn nothing.

use std::sync::Arc;

use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::{ErrorObject, RawJson, code, json};
use mcp_router_service::{CallError, McpRequest, McpResponse, Pin};

use super::ask;
use super::dispatch;
use super::park::Found;
use super::pass::Call;
use super::token::{Bound, State};
use crate::hub::Hub;

/// The client's answers by key.
type Answers = Vec<(String, RawJson)>;

pub(super) async fn serve(hub: Arc<Hub>, request: McpRequest) -> Result<McpResponse, CallError> {
    let Some(answers) = answers(&request) else {
        return Ok(invalid("params.inputResponses must be an object"));
    };
    let token = request.params.request_state();
    let token = token.and_then(|t| t.read_owned::<String>().ok());
    let bound = Bound::of(&request);
    let state = token.and_then(|token| State::open(&hub.bridge.sealer, &bound, &token));
    match state {
        None => Ok(invalid("params.requestState is not valid for this call")),
        Some(State::Backend { pin, state }) => go_on(hub, request, pin, state).await,
        Some(State::Afresh) => afresh(hub, request, &answers).await,
        Some(State::Parked { replica, id }) => {
            if replica != hub.bridge.parks.replica() {
                return Ok(McpResponse::error(lost()));
            }
            resume(hub, request, id, answers).await
        }
    }
}

fn invalid(text: &str) -> McpResponse {
    McpResponse::error(ErrorObject::new(code::INVALID_PARAMS, text))
}

/// -32603 for a call that does not wait here: its replica went away, or it was given up.
pub(super) fn lost() -> ErrorObject {
    let text = "The call that these answers are for is not waiting any more";
    ask::ended("state_lost", text)
}

/// What the client answered; `None` if that is no object.
fn answers(request: &McpRequest) -> Option<Answers> {
    let Some(given) = request.params.input_responses() else {
        return Some(Vec::new());
    };
    let members = json::members(given.bytes(), |_| true).ok()?;
    let answer = |m: json::Member<'_>| {
        let value = RawJson::from_checked(given.bytes().slice(m.value));
        (m.key.into_owned(), value)
    };
    Some(members.into_iter().map(answer).collect())
}

/// The next round at the backend that asked, which gets its own state back byte for byte (R32).
async fn go_on(
    hub: Arc<Hub>,
    request: McpRequest,
    pin: Option<Pin>,
    state: Option<RawJson>,
) -> Result<McpResponse, CallError> {
    let mut round = request.clone();
    let change = ("requestState", state.as_ref().map(|s| &s.bytes()[..]));
    match round.params.with_members(&[change]) {
        Ok(params) => round.params = params,
        Err(_) => return Ok(invalid("params cannot be read")),
    }
    round.context.pin = pin;
    let answer = dispatch(hub.clone(), round).await?;
    let record = None;
    Call {
        hub,
        request,
        record,
    }
    .answer(answer)
}

/// The call once more, now that its client has been where the backend wanted it to go.
async fn afresh(
    hub: Arc<Hub>,
    request: McpRequest,
    answers: &Answers,
) -> Result<McpResponse, CallError> {
    let accepted = |a: &RawJson| a.get_str("action").as_deref() == Some("accept");
    if answers.is_empty() || !answers.iter().all(|(_, answer)| accepted(answer)) {
        let text = "The client did not agree to the visit that the call needs";
        return Ok(McpResponse::error(ask::ended("input_refused", text)));
    }
    let mut first = request.clone();
    let gone = [("requestState", None), ("inputResponses", None)];
    match first.params.with_members(&gone) {
        Ok(params) => first.params = params,
        Err(_) => return Ok(invalid("params cannot be read")),
    }
    let answer = dispatch(hub.clone(), first).await?;
    let record = None;
    Call {
        hub,
        request,
        record,
    }
    .answer(answer)
}

/// Brings the answers to a parked call and waits on with it.
async fn resume(
    hub: Arc<Hub>,
    request: McpRequest,
    id: u64,
    answers: Answers,
) -> Result<McpResponse, CallError> {
    let (mut parked, record) = match hub.bridge.parks.find(id).await {
        Found::Nothing => return Ok(McpResponse::error(lost())),
        // The same round once more: its client did not get the answer.
        Found::Answered(outcome) => return Ok(McpResponse::Ready(outcome)),
        Found::Parked(parked, record) => (parked, record),
    };
    if let Some(visit) = parked.visit.take() {
        let trail = &request.context.trail;
        trail.visit_marked(&visit.backend, || visit.mark);
    }
    for (key, answer) in answers {
        let at = parked.open.iter().position(|(open, _)| *open == key);
        match at.and_then(|at| parked.open.remove(at)) {
            // A backend that has stopped waiting for this one goes on by itself.
            Some((_, asked)) => drop(asked.reply.send(Ok(answer))),
            None => dropped::count(Dropped::ClientAnswerUnknown),
        }
    }
    let mut call = Call {
        hub,
        request,
        record: Some(record),
    };
    match parked.end {
        // It went on without the answers.
        Some(Ok(outcome)) => Ok(McpResponse::Ready(call.outcome(outcome)?)),
        Some(Err(error)) => Err(error),
        // What has no answer yet is asked again, together with what was asked meanwhile.
        None => Ok(call.stream(parked.stream, parked.open, parked.asked)),
    }
}
