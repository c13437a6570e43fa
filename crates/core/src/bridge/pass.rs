//! Answers for clients that take interim results.
//!
//! One that comes from the backend travels on, with its state sealed: the client cannot read it,
//! nor use it for another call, and the next round finds the way back to the endpoint that gave
//! it. A backend that asks by a request instead parks the call and becomes an interim result.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use mcp_router_protocol::json::{self, set_members};
use mcp_router_protocol::{ErrorObject, Method, RawJson, RawParams, code};
use mcp_router_service::{
    CallError, Event, Interim, McpRequest, McpResponse, Outcome, ResponseStream, ServerRequest,
};
use tokio::time::{Instant, timeout_at};

use super::ask::{self, MAX_REQUESTS, Wanted};
use super::dispatch;
use super::park::{Parked, Record};
use super::token::{Bound, State};
use crate::hub::Hub;

/// How long the state of a call that waits nowhere is good.
const STATE_LIFE: Duration = Duration::from_secs(3600);
/// How long further requests of a backend are waited for, once there is one: what it asks at the
/// same time becomes one round.
const GATHER: Duration = Duration::from_millis(10);

type Item = Result<Event, CallError>;

/// A call of such a client, as far as later rounds and their results need it.
pub(super) struct Call {
    pub(super) hub: Arc<Hub>,
    /// As the client made it.
    pub(super) request: McpRequest,
    /// Takes down the answer, where the same round may be asked for twice.
    pub(super) record: Option<Record>,
}

pub(super) async fn serve(hub: Arc<Hub>, request: McpRequest) -> Result<McpResponse, CallError> {
    let call = Call {
        hub: hub.clone(),
        request: request.clone(),
        record: None,
    };
    call.answer(dispatch(hub, request).await?)
}

impl Call {
    /// The answer as the client gets it.
    ///
    /// # Errors
    /// If it asks for what there is not.
    pub(super) fn answer(mut self, answer: McpResponse) -> Result<McpResponse, CallError> {
        match answer {
            McpResponse::Ready(outcome) => {
                let outcome = self.outcome(outcome)?;
                Ok(McpResponse::Ready(outcome))
            }
            McpResponse::Stream(stream) => Ok(self.stream(stream, VecDeque::new(), 0)),
        }
    }

    /// The stream as the client gets it: first what is in `open`, then what comes. `asked` requests
    /// were made in earlier rounds.
    pub(super) fn stream(
        self,
        stream: ResponseStream,
        open: VecDeque<(String, ServerRequest)>,
        asked: u64,
    ) -> McpResponse {
        let watched = Watched {
            call: self,
            stream: Some(stream),
            out: VecDeque::new(),
            open,
            asked,
        };
        let events = stream::unfold(watched, Watched::next);
        McpResponse::Stream(ResponseStream::new(events))
    }

    /// An outcome as the client gets it, and as it would get it again.
    pub(super) fn outcome(&mut self, outcome: Outcome) -> Result<Outcome, CallError> {
        let outcome = match outcome {
            Outcome::InputRequired(interim) => self.sealed(interim)?,
            Outcome::Error(error) if error.code() == code::URL_ELICITATION_REQUIRED => {
                self.visits(error)
            }
            Outcome::Complete(result) => Outcome::Complete(self.uncached(result)),
            outcome => outcome,
        };
        if let Some(record) = self.record.take() {
            record.keep(&outcome);
        }
        Ok(outcome)
    }

    fn seal(&self, state: State, life: Duration) -> RawJson {
        let bound = Bound::of(&self.request);
        RawJson::of(&state.seal(&self.hub.bridge.sealer, &bound, life))
    }

    /// A backend's interim result, its state sealed.
    fn sealed(&self, interim: Interim) -> Result<Outcome, CallError> {
        let wanted = Wanted::read(&interim.result).map_err(|error| match &interim.by {
            Some(pin) => error.on(&pin.backend),
            None => error,
        })?;
        let client = &self.request.context.client;
        for request in &wanted.requests {
            if let Some(error) = ask::refusal(client, &request.method, &request.params) {
                return Ok(Outcome::Error(error));
            }
        }
        let state = State::Backend {
            pin: interim.by.map(|pin| *pin),
            state: wanted.state,
        };
        let state = self.seal(state, STATE_LIFE);
        let sealed = set_members(&interim.result, &[("requestState", Some(state.bytes()))]);
        Ok(Outcome::InputRequired(
            sealed.unwrap_or(interim.result).into(),
        ))
    }

    /// A backend's word that URLs must be visited first, as an interim result: the next round is
    /// the call made afresh.
    fn visits(&self, error: ErrorObject) -> Outcome {
        let Some(visits) = error.data().and_then(|d| d.get("elicitations")) else {
            return Outcome::Error(error);
        };
        let places = json::elements(visits.bytes()).unwrap_or_default();
        if places.is_empty() || places.len() > MAX_REQUESTS {
            return Outcome::Error(error);
        }
        let mut requests = Vec::new();
        for (at, place) in places.into_iter().enumerate() {
            let visit = visits.bytes().slice(place);
            // The modern revision names no visit by an id, and always by its mode.
            let changes = [("mode", Some(&b"\"url\""[..])), ("elicitationId", None)];
            let params = RawParams::parse(Some(visit)).map(|p| p.with_members(&changes));
            let Ok(Ok(params)) = params else {
                return Outcome::Error(error);
            };
            let client = &self.request.context.client;
            if let Some(error) = ask::refusal(client, &Method::Elicit, &params) {
                return Outcome::Error(error);
            }
            requests.push((format!("elicitation-{}", at + 1), Method::Elicit, params));
        }
        let state = self.seal(State::Afresh, STATE_LIFE);
        let requests = requests.iter().map(|(k, m, p)| (&**k, m, p));
        interim(requests, &state)
    }

    /// A result that hangs on what the client answered is good for this one call.
    fn uncached(&self, result: RawJson) -> RawJson {
        let later = self.request.params.is_later_round();
        if !later || self.request.method != Method::ResourcesRead {
            return result;
        }
        let never = [
            ("ttlMs", Some(&b"0"[..])),
            ("cacheScope", Some(&b"\"private\""[..])),
        ];
        set_members(&result, &never).unwrap_or(result)
    }

    /// The interim result that stands for the requests of a parked call.
    fn park(&self, parked: Parked) -> Result<Outcome, CallError> {
        let parks = &self.hub.bridge.parks;
        let keys = parked.open.iter().map(|(key, request)| {
            let key = key.clone();
            (key, request.method.clone(), request.params.clone())
        });
        let requests: Vec<_> = keys.collect();
        let id = parks.take(parked, &self.request, self.hub.stop.clone())?;
        let replica = parks.replica().to_owned();
        let state = self.seal(State::Parked { replica, id }, parks.life());
        let requests = requests.iter().map(|(k, m, p)| (&**k, m, p));
        Ok(interim(requests, &state))
    }
}

/// An interim result of the router's own.
fn interim<'a>(
    requests: impl Iterator<Item = (&'a str, &'a Method, &'a RawParams)>,
    state: &RawJson,
) -> Outcome {
    let mut text = String::from(r#"{"resultType":"input_required","inputRequests":{"#);
    for (at, (key, method, params)) in requests.enumerate() {
        text.push_str(if at == 0 { "" } else { "," });
        text.push_str(RawJson::of(key).as_str());
        text.push_str(r#":{"method":"#);
        text.push_str(RawJson::of(method.as_str()).as_str());
        if let Some(params) = params.json() {
            text.push_str(r#","params":"#);
            text.push_str(params.as_str());
        }
        text.push('}');
    }
    text.push_str(r#"},"requestState":"#);
    text.push_str(state.as_str());
    text.push('}');
    Outcome::InputRequired(RawJson::from_checked(text.into()).into())
}

/// A stream on its way to such a client.
struct Watched {
    call: Call,
    /// `None` once the answer was given, or waits elsewhere.
    stream: Option<ResponseStream>,
    /// What the client gets next.
    out: VecDeque<Item>,
    /// What the backend waits for.
    open: VecDeque<(String, ServerRequest)>,
    /// Requests so far, which makes their keys unique.
    asked: u64,
}

impl Watched {
    async fn next(mut self) -> Option<(Item, Self)> {
        loop {
            if let Some(item) = self.out.pop_front() {
                return Some((item, self));
            }
            if !self.open.is_empty() {
                self.gather().await;
                continue;
            }
            let item = self.stream.as_mut()?.next().await?;
            self.hear(item);
        }
    }

    fn hear(&mut self, item: Item) {
        match item {
            Ok(Event::ServerRequest(request)) => {
                self.asked += 1;
                let key = super::park::key(&request.method, self.asked);
                self.open.push_back((key, request));
            }
            Ok(Event::Outcome(outcome)) => {
                let outcome = self.call.outcome(outcome);
                self.end(outcome.map(Event::Outcome));
            }
            Err(error) => self.end(Err(error)),
            notification => self.out.push_back(notification),
        }
    }

    /// The call is over: what it still asked needs no answer.
    fn end(&mut self, item: Item) {
        self.stream = None;
        self.open.clear();
        self.out.push_back(item);
    }

    /// Waits a moment for what is asked at the same time, then parks the call.
    async fn gather(&mut self) {
        let until = Instant::now() + GATHER;
        while self.open.len() < MAX_REQUESTS {
            let Some(stream) = &mut self.stream else {
                return;
            };
            match timeout_at(until, stream.next()).await {
                Ok(Some(item)) => self.hear(item),
                // It broke off; so does the call, when the stream is read on.
                Ok(None) => return self.open.clear(),
                Err(_) => break,
            }
            if self.open.is_empty() {
                return;
            }
        }
        let outcome = self.park();
        self.end(outcome.map(Event::Outcome));
    }

    fn park(&mut self) -> Result<Outcome, CallError> {
        let client = self.call.request.context.client.clone();
        for (_, request) in &self.open {
            if let Some(error) = ask::refusal(&client, &request.method, &request.params) {
                // Dropped with all that it asked: the backend is told that the call is over.
                let (_gone, _refused) = (self.stream.take(), std::mem::take(&mut self.open));
                return self.call.outcome(Outcome::Error(error));
            }
        }
        let Some(stream) = self.stream.take() else {
            return self.call.outcome(Outcome::Error(super::retry::lost()));
        };
        let parked = Parked {
            stream,
            open: std::mem::take(&mut self.open),
            asked: self.asked,
            end: None,
            visit: self.call.request.context.trail.notes().last,
        };
        let outcome = self.call.park(parked)?;
        if let Some(record) = self.call.record.take() {
            record.keep(&outcome);
        }
        Ok(outcome)
    }
}
