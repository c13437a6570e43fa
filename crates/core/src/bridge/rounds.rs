//! Clients that answer requests, in front of backends that end a call by saying what they need.
//!
//! A client of the older revisions cannot make a call in rounds, so the router makes them for it:
//! it asks the client what the backend needs, in the stream of the call, and calls again with the
//! answers and the backend's own state, as often as the backend wants it, within one deadline
//! whose clock stands still while the client is asked.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use futures::stream::{self, StreamExt};
use mcp_router_layers::CLIENT_WAIT;
use mcp_router_protocol::{ErrorObject, Method, RawJson, code};
use mcp_router_service::{
    CallError, Deadline, Event, Interim, McpRequest, McpResponse, Outcome, Reason, ResponseStream,
    Sent, ServerRequest,
};
use tokio::sync::oneshot;

use super::ask::{self, Wanted};
use super::dispatch;
use crate::hub::Hub;

/// How often a client is asked in one call.
const MAX_ROUNDS: u32 = 8;
/// The first and the longest wait before a call is made again that needs nothing of its client.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(8));

type Item = Result<Event, CallError>;
type Reply = Result<RawJson, ErrorObject>;

/// One call in as many rounds as it takes.
struct Rounds {
    hub: Arc<Hub>,
    /// The call as the client made it; then with what the next round adds.
    request: McpRequest,
    stage: Stage,
    /// What the client must see next.
    out: VecDeque<Item>,
    /// Rounds in which the client was asked.
    asked: u32,
    /// Rounds since then.
    idle: u32,
    /// The URLs that the client agreed to visit.
    visits: HashSet<String>,
}

enum Stage {
    Running(ResponseStream),
    Asking(Asking),
    Ended,
}

/// A round on its way to the client and back.
struct Asking {
    /// The answers known without the client.
    known: Vec<(String, RawJson)>,
    waiting: Vec<Waiting>,
    state: Option<RawJson>,
}

struct Waiting {
    key: String,
    /// The URL, where it is a visit.
    url: Option<String>,
    reply: oneshot::Receiver<Reply>,
}

pub(super) async fn serve(
    hub: Arc<Hub>,
    mut request: McpRequest,
) -> Result<McpResponse, CallError> {
    // Members of a dialect that this client does not speak: a backend would take them for rounds.
    if request.params.is_later_round() {
        let gone = [("requestState", None), ("inputResponses", None)];
        let params = request.params.with_members(&gone);
        request.params = params.unwrap_or_default();
    }
    let again = request.clone();
    let first = match dispatch(hub.clone(), request).await? {
        McpResponse::Ready(Outcome::InputRequired(interim)) => Err(interim),
        McpResponse::Ready(outcome) => return Ok(McpResponse::Ready(plain(&again, outcome))),
        McpResponse::Stream(stream) => Ok(stream),
    };
    let mut rounds = Rounds {
        hub,
        request: again,
        stage: Stage::Ended,
        out: VecDeque::new(),
        asked: 0,
        idle: 0,
        visits: HashSet::new(),
    };
    match first {
        Ok(stream) => rounds.stage = Stage::Running(stream),
        Err(interim) => rounds.ask(interim),
    }
    let rounds = stream::unfold(rounds, Rounds::next);
    Ok(McpResponse::Stream(ResponseStream::new(rounds)))
}

/// The outcome as a client of the older revisions knows it: theirs have no error for a capability
/// that is missing.
fn plain(request: &McpRequest, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Error(error) if error.code() == code::MISSING_CLIENT_CAPABILITY => {
            let required = error.data().and_then(|d| d.get("requiredCapabilities"));
            let required = required.unwrap_or_else(|| RawJson::from_static("{}"));
            Outcome::Error(ask::incapable(&request.context.client, &required))
        }
        outcome => outcome,
    }
}

impl Rounds {
    async fn next(mut self) -> Option<(Item, Self)> {
        loop {
            if let Some(item) = self.out.pop_front() {
                return Some((item, self));
            }
            match std::mem::replace(&mut self.stage, Stage::Ended) {
                Stage::Ended => return None,
                Stage::Running(mut stream) => {
                    let item = stream.next().await?;
                    self.hear(item, stream);
                }
                Stage::Asking(asking) => {
                    if let Err(end) = self.another(asking).await {
                        self.out.push_back(*end);
                    }
                }
            }
        }
    }

    fn hear(&mut self, item: Item, stream: ResponseStream) {
        match item {
            Ok(Event::Outcome(Outcome::InputRequired(interim))) => self.ask(interim),
            Ok(Event::Outcome(outcome)) => {
                let outcome = plain(&self.request, outcome);
                self.out.push_back(Ok(Event::Outcome(outcome)));
            }
            Err(error) => self.out.push_back(Err(error)),
            event => {
                self.out.push_back(event);
                self.stage = Stage::Running(stream);
            }
        }
    }

    /// Begins a round: puts what the client is to be asked into its stream.
    fn ask(&mut self, interim: Interim) {
        match self.requests(interim) {
            Ok(asking) => self.stage = Stage::Asking(asking),
            Err(end) => {
                self.out.clear();
                self.out.push_back(*end);
            }
        }
    }

    fn requests(&mut self, interim: Interim) -> Result<Asking, Box<Item>> {
        let wanted = Wanted::read(&interim.result).map_err(|error| {
            let named = interim.by.as_ref().map(|pin| &pin.backend);
            Box::new(Err(match named {
                Some(backend) => error.on(backend),
                None => error,
            }))
        })?;
        if let Some(by) = interim.by {
            self.request.context.pin = Some(*by);
        }
        let mut asking = Asking {
            known: Vec::new(),
            waiting: Vec::new(),
            state: wanted.state,
        };
        for request in wanted.requests {
            let client = &self.request.context.client;
            if let Some(error) = ask::refusal(client, &request.method, &request.params) {
                return Err(failed(error));
            }
            let url = match request.method {
                Method::Elicit => request.params.get("url"),
                _ => None,
            };
            let url = url.and_then(|url| url.read_owned::<String>().ok());
            if url.as_ref().is_some_and(|url| self.visits.contains(url)) {
                // Asked once, a person has been there or still is: the backend wants to know
                // nothing new, only to be called again.
                let accepted = RawJson::from_static(r#"{"action":"accept"}"#);
                asking.known.push((request.key, accepted));
                continue;
            }
            let (sender, reply) = oneshot::channel();
            self.out.push_back(Ok(Event::ServerRequest(ServerRequest {
                method: request.method,
                params: request.params,
                reply: sender,
                origin: None,
            })));
            let key = request.key;
            asking.waiting.push(Waiting { key, url, reply });
        }
        if asking.waiting.is_empty() {
            self.idle += 1;
        } else {
            self.idle = 0;
            self.asked += 1;
        }
        if self.asked > MAX_ROUNDS {
            let text = "The backend asks the client again and again; the call was ended";
            return Err(failed(ask::ended("too_many_rounds", text)));
        }
        Ok(asking)
    }

    /// Ends a round: waits for the answers and calls again.
    async fn another(&mut self, asking: Asking) -> Result<(), Box<Item>> {
        let mut answers = asking.known;
        if asking.waiting.is_empty() {
            let deadline = self.request.context.deadline.clone();
            let waited = back_off(deadline, self.idle).await;
            waited.map_err(|e| Box::new(Err(e)))?;
        } else {
            answers.extend(self.answers(asking.waiting).await?);
        }
        let responses = (!answers.is_empty()).then(|| object(&answers));
        let changes = [
            ("inputResponses", responses.as_ref().map(|r| &r.bytes()[..])),
            (
                "requestState",
                asking.state.as_ref().map(|s| &s.bytes()[..]),
            ),
        ];
        // Later rounds replace what an earlier one has set, or take it away.
        let params = self.request.params.with_members(&changes);
        self.request.params =
            params.map_err(|_| failed(ask::ended("internal", "internal error")))?;
        match dispatch(self.hub.clone(), self.request.clone()).await {
            Ok(McpResponse::Stream(stream)) => self.stage = Stage::Running(stream),
            Ok(McpResponse::Ready(Outcome::InputRequired(interim))) => self.ask(interim),
            Ok(McpResponse::Ready(outcome)) => {
                let outcome = plain(&self.request, outcome);
                self.out.push_back(Ok(Event::Outcome(outcome)));
            }
            Err(error) => return Err(Box::new(Err(error))),
        }
        Ok(())
    }

    /// The client's answers, all of them, or the end of the call if one is an error.
    async fn answers(
        &mut self,
        waiting: Vec<Waiting>,
    ) -> Result<Vec<(String, RawJson)>, Box<Item>> {
        let _clock = self.request.context.deadline.pause(CLIENT_WAIT);
        let all = waiting
            .into_iter()
            .map(|Waiting { key, url, reply }| async {
                match reply.await {
                    Ok(Ok(result)) => Ok((key, url, result)),
                    Ok(Err(error)) => Err(refused(Some(&error))),
                    // Nobody was there to be asked, or did not answer for too long.
                    Err(_) => Err(refused(None)),
                }
            });
        let answers = tokio::time::timeout(CLIENT_WAIT, try_join_all(all)).await;
        let answers = answers.unwrap_or_else(|_| Err(refused(None)))?;
        let mut pairs = Vec::with_capacity(answers.len());
        for (key, url, result) in answers {
            let accepted = result.get_str("action").as_deref() == Some("accept");
            self.visits.extend(url.filter(|_| accepted));
            pairs.push((key, result));
        }
        Ok(pairs)
    }
}

/// Waits before the `idle`th round in a row that brings nothing new.
async fn back_off(deadline: Deadline, idle: u32) -> Result<(), CallError> {
    let doubled = BACKOFF
        .0
        .saturating_mul(1 << idle.saturating_sub(1).min(10));
    tokio::select! {
        () = deadline.expired() => {
            let late = CallError::new(Reason::Timeout, Sent::Unknown);
            Err(late.detail("at the deadline of the call"))
        }
        () = tokio::time::sleep(doubled.min(BACKOFF.1)) => Ok(()),
    }
}

/// The end of a call by an error.
fn failed(error: ErrorObject) -> Box<Item> {
    Box::new(Ok(Event::Outcome(Outcome::Error(error))))
}

fn refused(error: Option<&ErrorObject>) -> Box<Item> {
    let text = match error {
        Some(_) => "The client refused to give the input that the call needs",
        None => "The client did not give the input that the call needs",
    };
    failed(ask::ended("input_refused", text))
}

/// A JSON object of these members.
fn object(members: &[(String, RawJson)]) -> RawJson {
    let mut text = String::from("{");
    for (at, (key, value)) in members.iter().enumerate() {
        text.push_str(if at == 0 { "" } else { "," });
        text.push_str(RawJson::of(key).as_str());
        text.push(':');
        text.push_str(value.as_str());
    }
    text.push('}');
    RawJson::from_checked(text.into())
}
