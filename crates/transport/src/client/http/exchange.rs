//! One call over streamable HTTP: its request, and every message until its answer.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderValue, header};
use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::params::meta;
use mcp_router_protocol::{Message, Method, RawJson, RawParams, RequestId};
use mcp_router_service::{CallError, ClientProfile, Event, McpRequest, Reason, Scope, Sent};
use tokio::sync::OwnedSemaphorePermit;

use super::edge::Edge;
use super::messages::Messages;
use super::session::Session;
use crate::client::able;
use crate::client::dialect::{Answer, Asked, Dialect};
use crate::client::handshake;
use crate::client::mux::{Arrival, SentMark, Ticket};
use crate::client::respond::Source;

/// Wait before a stream is resumed whose server did not say how long, and the longest that one
/// can ask for.
const RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// What a posted request leads to.
pub(super) type Posting = BoxFuture<'static, Result<(Messages, Dialect), CallError>>;

/// One call in flight.
pub(super) struct Exchange {
    pub(super) edge: Arc<Edge>,
    /// The legacy session of the call; modern backends have none.
    session: Option<Arc<Session>>,
    id: u64,
    asked: Asked,
    /// Who would answer what the backend asks.
    client: Arc<ClientProfile>,
    /// What it would have been asked, had it declared this.
    lacked: Option<RawJson>,
    progress: bool,
    logs: bool,
    state: State,
    /// What comes for the call on other streams of its session.
    elsewhere: Option<Ticket>,
    /// Where the stream was resumed last.
    resumed: Option<Bytes>,
    cancel: Option<Cancel>,
}

#[expect(
    clippy::large_enum_variant,
    reason = "a call is in the large state for most of its life"
)]
enum State {
    Posting(Posting),
    Reading(Messages, Dialect),
}

impl Exchange {
    /// A call whose request is still to be posted.
    pub(super) fn posting(
        edge: &Arc<Edge>,
        request: &McpRequest,
        id: u64,
        posting: Posting,
    ) -> Self {
        Self::new(edge, request, id, State::Posting(posting))
    }

    /// A call to which something has come back.
    pub(super) fn reading(
        edge: &Arc<Edge>,
        request: &McpRequest,
        id: u64,
        messages: Messages,
        dialect: Dialect,
    ) -> Self {
        Self::new(edge, request, id, State::Reading(messages, dialect))
    }

    fn new(edge: &Arc<Edge>, request: &McpRequest, id: u64, state: State) -> Self {
        let context = &request.context;
        Self {
            edge: edge.clone(),
            session: None,
            id,
            asked: Asked::of(request),
            client: context.client.clone(),
            lacked: None,
            progress: context.wants_progress,
            // A legacy client's level is a matter of its session.
            logs: context.log_level.is_some() || context.session.is_some(),
            state,
            elsewhere: None,
            resumed: None,
            cancel: None,
        }
    }

    /// The same in a legacy session: cancelled by a message.
    pub(super) fn within(mut self, cancel: Cancel) -> Self {
        self.session = Some(cancel.session.clone());
        self.cancel = Some(cancel);
        self
    }

    /// And reached by other streams, in its turn.
    pub(super) fn reached(
        mut self,
        request: &McpRequest,
        turn: Option<OwnedSemaphorePermit>,
    ) -> Self {
        self.elsewhere = self.session.as_ref().map(|session| {
            let mut ticket = session.mux.open_beside(self.id, request);
            ticket.keep(turn);
            ticket
        });
        self
    }

    /// What a message means for this call, if anything.
    fn take(&mut self, message: Message) -> Result<Option<Event>, CallError> {
        match message {
            Message::Response { id, answer } => {
                let theirs = id.as_ref().map(RequestId::as_number);
                // On the stream of one request, an error without an id is about that request.
                let ours = theirs == Some(Some(self.id)) || (theirs.is_none() && answer.is_err());
                if !ours {
                    dropped::count_of(Dropped::BackendAnswerUnknown, &self.edge.params.name);
                    return Ok(None);
                }
                self.answered(answer)
            }
            Message::Notification { method, params } => Ok(self.notified(method, params)),
            Message::Request { id, method, params } => {
                let request = match &self.session {
                    Some(session) => {
                        if able::refusal(&self.client, &method, &params).is_some() {
                            self.lacked = able::required(&method, &params);
                        }
                        let asks = session.mux.asks();
                        asks.take(id, method, params, &self.client)
                    }
                    None => {
                        dropped::count_of(Dropped::BackendRequestForbidden, method);
                        None
                    }
                };
                Ok(request.map(Event::ServerRequest))
            }
        }
    }

    /// The end of this call, wherever its answer came.
    fn answered(&mut self, answer: Answer) -> Result<Option<Event>, CallError> {
        self.settled();
        let State::Reading(messages, dialect) = &self.state else {
            return Ok(None);
        };
        if messages.refused() && self.session.is_some() {
            // Legacy servers do not answer so: something else may have taken its place.
            self.edge.link.wake();
        }
        let answer = match &self.lacked {
            Some(lacked) => able::ended(answer, &self.client, lacked),
            None => answer,
        };
        let outcome = dialect.outcome(&self.asked, answer)?;
        Ok(Some(Event::Outcome(outcome)))
    }

    fn notified(&self, method: Method, params: RawParams) -> Option<Event> {
        let ours = match method {
            Method::Progress => {
                let token = params.get(meta::PROGRESS_TOKEN);
                self.progress && token.and_then(|t| t.read().ok()) == Some(self.id)
            }
            Method::LogMessage => self.logs,
            _ => false,
        };
        if ours {
            return Some(Event::Notification { method, params });
        }
        match &self.session {
            Some(session) => session
                .mux
                .dispatch(Message::Notification { method, params }),
            None if method == Method::Progress => dropped::count(Dropped::ProgressUnwanted),
            None if method == Method::LogMessage => dropped::count(Dropped::LogNotAsked),
            None => self.edge.events.notification(method, params, Scope::Shared),
        }
        None
    }

    /// Goes on reading where the stream ended, if its server allows for that (R48). Modern
    /// streams cannot be resumed, and one that ends twice at the same place has been lost.
    async fn resume(&mut self, why: Option<CallError>) -> Result<(), CallError> {
        let lost = || CallError::new(Reason::BackendLost, Sent::Unknown);
        let give_up = |why: Option<CallError>| Err(why.unwrap_or_else(lost));
        let (State::Reading(messages, dialect), Some(session)) = (&self.state, &self.session)
        else {
            return give_up(why);
        };
        let id = messages.last_id().cloned();
        let Some(id) = id.filter(|id| Some(id) != self.resumed.as_ref()) else {
            return give_up(why);
        };
        let Ok(value) = HeaderValue::from_maybe_shared(id.clone()) else {
            return give_up(why);
        };
        let wait = messages.retry().unwrap_or(RETRY).min(LONGEST_RETRY);
        let dialect = dialect.clone();
        tokio::time::sleep(wait).await;
        let mut headers = session.headers();
        headers.insert(header::HeaderName::from_static("last-event-id"), value);
        match self.edge.get(session.url(), headers).await {
            Ok(messages) => {
                self.resumed = Some(id);
                self.state = State::Reading(messages, dialect);
                Ok(())
            }
            Err(failed) => Err(why.unwrap_or_else(lost).because(failed.error)),
        }
    }

    /// There is nothing left to cancel.
    fn settled(&mut self) {
        if let Some(cancel) = &mut self.cancel {
            cancel.settled();
        }
    }
}

async fn elsewhere(ticket: &mut Option<Ticket>) -> Event {
    match ticket {
        Some(ticket) => ticket.event().await,
        None => pending().await,
    }
}

async fn arrival(ticket: &mut Option<Ticket>) -> Arrival {
    match ticket {
        Some(ticket) => ticket.arrival().await,
        None => pending().await,
    }
}

impl Source for Exchange {
    async fn next(&mut self) -> Result<Event, CallError> {
        loop {
            let arrived = match &mut self.state {
                State::Posting(posting) => {
                    let posted = tokio::select! {
                        biased;
                        event = elsewhere(&mut self.elsewhere) => return Ok(event),
                        posted = posting => posted,
                    };
                    let (messages, dialect) = match posted {
                        Ok(reading) => reading,
                        Err(error) => {
                            self.settled();
                            return Err(error);
                        }
                    };
                    self.state = State::Reading(messages, dialect);
                    continue;
                }
                State::Reading(messages, _) => tokio::select! {
                    biased;
                    arrival = arrival(&mut self.elsewhere) => match arrival {
                        Arrival::Event(event) => return Ok(event),
                        Arrival::Answer(answer) => match self.answered(answer?)? {
                            Some(event) => return Ok(event),
                            None => continue,
                        },
                    },
                    arrived = messages.next() => arrived,
                },
            };
            match arrived {
                Ok(Some(message)) => {
                    if let Some(event) = self.take(message)? {
                        return Ok(event);
                    }
                }
                Ok(None) => self.resume(None).await?,
                Err(error) if error.reason == Reason::BackendLost => {
                    self.resume(Some(error)).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Tells a legacy backend that a call is of no interest any more. (A modern one sees its stream
/// closed, which is the same.)
pub(super) struct Cancel {
    edge: Arc<Edge>,
    session: Arc<Session>,
    id: u64,
    /// Begun once the request is on its way.
    mark: SentMark,
    settled: bool,
}

impl Cancel {
    /// Of request `id`, of which `mark` says whether it is on its way.
    pub(super) fn new(edge: &Arc<Edge>, session: &Arc<Session>, id: u64, mark: SentMark) -> Self {
        Self {
            edge: edge.clone(),
            session: session.clone(),
            id,
            mark,
            settled: false,
        }
    }

    /// There is nothing left to cancel.
    pub(super) fn settled(&mut self) {
        self.settled = true;
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        if !self.settled && !self.mark.abandon() {
            let (url, headers) = (self.session.url().clone(), self.session.headers());
            let cancelled = handshake::cancelled(self.id);
            self.edge.tell_aside(url, headers, cancelled);
        }
    }
}
