//! Calls that share one incoming channel: a pipe, an HTTP+SSE stream, a session's GET stream.
//!
//! Answers come in any order, some twice, some to nobody; progress comes under tokens. Whoever
//! reads the channel must never wait for one call's consumer, or it would hold up all the others:
//! events that find no room are dropped and counted, answers always find theirs.

mod acks;
mod ticket;
mod who;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::params::meta;
use mcp_router_protocol::{ItemKind, Message, Method, RawJson, RawParams, RequestId};
use mcp_router_service::{
    CallError, ClientProfile, Event, McpRequest, Reason, RequestContext, Scope, Sent,
};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::client::able;
use crate::client::asks::Asks;
use crate::client::dialect::Answer;
use crate::client::events::Events;
use crate::client::level::Level;

pub(crate) use acks::Acks;
pub(crate) use ticket::{Arrival, Ticket};
use who::{Found, Turns, Who};

/// Events that wait for the consumer of one call.
const WAITING: usize = 256;
/// How the names of notifications about tasks begin.
const TASKS: &str = "notifications/tasks";

/// The calls in flight on one channel.
#[derive(Debug)]
pub(crate) struct Mux {
    calls: Mutex<BTreeMap<u64, Slot>>,
    asks: Asks,
    events: Events,
    scope: Scope,
    acks: Acks,
    /// The log level that the backend was told here.
    level: Level,
    /// Whether the router has subscribed to resources here, and nowhere else.
    watched: AtomicBool,
    turns: Turns,
    dropped: AtomicU64,
}

#[derive(Debug)]
struct Slot {
    answer: oneshot::Sender<Result<Answer, CallError>>,
    events: Option<mpsc::Sender<Event>>,
    progress: bool,
    /// Whose call it is, if that client can be asked for anything.
    who: Option<Who>,
    /// Whose call it is, if everything that concerns it comes here.
    client: Option<Arc<ClientProfile>>,
    /// What its client would have been asked, had it declared this.
    lacked: Option<RawJson>,
    sent: SentMark,
}

/// How far a message got on its way out.
#[derive(Clone, Debug, Default)]
pub(crate) struct SentMark(Arc<AtomicU8>);

impl SentMark {
    const QUEUED: u8 = 0;
    const WRITING: u8 = 1;
    const WRITTEN: u8 = 2;
    const ABANDONED: u8 = 3;

    /// The message is about to be written; `false` if its caller has left.
    pub(crate) fn begin(&self) -> bool {
        self.step(Self::QUEUED, Self::WRITING)
    }

    /// The message was written completely, or must be taken for it.
    pub(crate) fn written(&self) {
        self.0.store(Self::WRITTEN, Ordering::Release);
    }

    /// The caller leaves; `true` if nothing was written and nothing will be.
    pub(crate) fn abandon(&self) -> bool {
        self.step(Self::QUEUED, Self::ABANDONED)
    }

    pub(crate) fn is_written(&self) -> bool {
        self.0.load(Ordering::Acquire) == Self::WRITTEN
    }

    /// A message cut off before its end was not received by any parser of whole messages.
    pub(crate) fn sent(&self) -> Sent {
        if self.is_written() {
            Sent::Unknown
        } else {
            Sent::No
        }
    }

    fn step(&self, from: u8, to: u8) -> bool {
        self.0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

impl Mux {
    pub(crate) fn new(asks: Asks, events: Events, scope: Scope) -> Self {
        Self {
            calls: Mutex::default(),
            asks,
            events,
            scope,
            acks: Acks::default(),
            level: Level::default(),
            watched: AtomicBool::new(false),
            turns: Turns::new(),
            dropped: AtomicU64::new(0),
        }
    }

    /// Whether all calls here are one client session's.
    pub(crate) fn is_of_one(&self) -> bool {
        matches!(self.scope, Scope::Session(_))
    }

    /// From now on calls whose clients cannot be told apart take turns, if they can be asked for
    /// anything: nothing here says which of them a question belongs to.
    pub(crate) fn take_turns(&self) {
        self.turns.begin();
    }

    /// Whether a call would have to wait for its turn.
    pub(crate) fn turn_is_taken(&self) -> bool {
        self.turns.are_taken()
    }

    /// A call's turn, if it needs one; see [`Ticket::keep`].
    ///
    /// # Errors
    /// If it does not come in time. Nothing was sent then.
    pub(crate) async fn turn(
        &self,
        context: &RequestContext,
    ) -> Result<Option<OwnedSemaphorePermit>, CallError> {
        self.turns.take(context).await
    }

    /// Expects the answer to request `id`, and what belongs to it until then.
    pub(crate) fn open(self: &Arc<Self>, id: u64, request: Option<&McpRequest>) -> Ticket {
        // Lists are the router's own questions, for which nobody is asked anything.
        let calls = request.filter(|r| ItemKind::of_list_method(&r.method).is_none());
        let client = calls.map(|r| r.context.client.clone());
        self.enter(id, request, client)
    }

    /// Expects what comes here for a call that has a stream of its own.
    pub(crate) fn open_beside(self: &Arc<Self>, id: u64, request: &McpRequest) -> Ticket {
        self.enter(id, Some(request), None)
    }

    fn enter(
        self: &Arc<Self>,
        id: u64,
        request: Option<&McpRequest>,
        client: Option<Arc<ClientProfile>>,
    ) -> Ticket {
        let progress = request.is_some_and(|r| r.context.wants_progress);
        let who = request.and_then(|r| Who::of(&r.context));
        let (answer, answered) = oneshot::channel();
        let listens = request.is_some_and(|r| r.method == Method::Listen);
        let events = progress || listens || who.is_some();
        let (sender, receiver) = events.then(|| mpsc::channel(WAITING)).unzip();
        let sent = SentMark::default();
        let slot = Slot {
            answer,
            events: sender,
            progress,
            who,
            client,
            lacked: None,
            sent: sent.clone(),
        };
        self.lock().insert(id, slot);
        Ticket::new(self.clone(), id, answered, receiver, sent)
    }

    /// Whether anything but answers can come for calls here.
    pub(crate) fn needs_events(&self, request: &McpRequest) -> bool {
        request.context.wants_progress || able::can_be_asked(&request.context.client)
    }

    /// From now on updates of resources are taken here. Many servers tell every conversation of
    /// them, whoever subscribed; taken on each, one update would be several.
    pub(crate) fn watch(&self) {
        self.watched.store(true, Ordering::Release);
    }

    /// The log level that the backend was told here.
    pub(crate) const fn level(&self) -> &Level {
        &self.level
    }

    /// Acknowledgements of listen streams.
    pub(crate) const fn acks(&self) -> &Acks {
        &self.acks
    }

    /// The asking side of this conversation.
    pub(crate) fn asks(&self) -> &Asks {
        &self.asks
    }

    /// Gives a message that arrived to whom it concerns. Never waits.
    pub(crate) fn dispatch(&self, message: Message) {
        match message {
            Message::Response { id, answer } => self.answered(id.as_ref(), answer),
            Message::Notification { method, params } => self.notified(method, params),
            Message::Request { id, method, params } => self.asked(id, method, params),
        }
    }

    fn answered(&self, id: Option<&RequestId>, answer: Answer) {
        let slot = id
            .and_then(RequestId::as_number)
            .and_then(|id| self.lock().remove(&id));
        match slot {
            Some(slot) => {
                let lacked = slot.client.as_ref().zip(slot.lacked.as_ref());
                let answer = match lacked {
                    Some((client, lacked)) => able::ended(answer, client, lacked),
                    None => answer,
                };
                // Its caller may have left this very moment.
                let _ = slot.answer.send(Ok(answer));
            }
            None => self.drop_message(Dropped::BackendAnswerUnknown),
        }
    }

    fn notified(&self, method: Method, params: RawParams) {
        match method {
            Method::Progress => {
                let token = params.get(meta::PROGRESS_TOKEN);
                let id = token.and_then(|t| t.read::<u64>().ok());
                let event = Event::Notification { method, params };
                let delivered = id.is_some_and(|id| {
                    let calls = self.lock();
                    let slot = calls.get(&id).filter(|slot| slot.progress);
                    slot.and_then(|s| s.events.as_ref())
                        .is_some_and(|events| events.try_send(event).is_ok())
                });
                if !delivered {
                    self.drop_message(Dropped::ProgressUnwanted);
                }
            }
            Method::ResourceUpdated if !self.watched.load(Ordering::Acquire) => {
                self.drop_message(Dropped::UpdateUnsubscribed);
            }
            Method::Cancelled => self.asks.take_back(&params),
            Method::Other(ref name) if name.starts_with(TASKS) => self.of_task(method, params),
            Method::SubscriptionsAcknowledged => self.acks.come(params),
            _ => self.events.notification(method, params, self.scope.clone()),
        }
    }

    /// No stream says which call a question belongs to: see [`who`].
    fn asked(&self, id: RequestId, method: Method, params: RawParams) {
        let Some((id, method)) = self.asks.pong(id, method) else {
            return;
        };
        // A client's own conversation is nobody else's, whatever comes in it.
        if !self.is_of_one() {
            self.turns.begin();
        }
        let calls: Vec<_> = {
            let calls = self.lock();
            let of_slot = |slot: &Slot| Some((slot.who.clone()?, slot.events.clone()?));
            calls.values().rev().filter_map(of_slot).collect()
        };
        match who::find(calls.into_iter(), &method, &params) {
            Found::One(events, client) => {
                let request = self.asks.take(id, method, params, &client);
                // A full queue drops the question, which answers the backend.
                if request.is_some_and(|r| events.try_send(Event::ServerRequest(r)).is_err()) {
                    self.drop_message(Dropped::CallQueueFull);
                }
            }
            Found::Incapable(error) => {
                self.lacks(&method, &params);
                self.dropped.fetch_add(1, Ordering::Relaxed);
                let why = Dropped::ClientIncapable;
                self.asks.refuse(&id, &method, &error, why);
            }
            Found::Nobody => {
                self.lacks(&method, &params);
                self.dropped.fetch_add(1, Ordering::Relaxed);
                let why = Dropped::BackendRequestUnattributed;
                self.asks.nobody(&id, &method, why);
            }
        }
    }

    /// A question that no client could be asked. Where one call alone is in flight, it is that
    /// call's, which may fail for it; of several nobody knows.
    fn lacks(&self, method: &Method, params: &RawParams) {
        let mut calls = self.lock();
        let mut able = calls.values_mut().filter(|slot| slot.client.is_some());
        if let (Some(only), None) = (able.next(), able.next()) {
            only.lacked = able::required(method, params);
        }
    }

    /// A task's state is its own client's business: it goes to the listen stream that asked for it
    /// and to nobody else.
    fn of_task(&self, method: Method, params: RawParams) {
        let id = params.meta_value(meta::SUBSCRIPTION_ID);
        let id = id.and_then(|id| id.read::<u64>().ok());
        let events = id.and_then(|id| self.lock().get(&id)?.events.clone());
        let event = Event::Notification { method, params };
        match events {
            Some(events) if events.try_send(event).is_ok() => {}
            Some(_) => self.drop_message(Dropped::CallQueueFull),
            None => self.drop_message(Dropped::BackendNotificationUnwanted),
        }
    }

    /// The channel is gone: every call on it fails.
    pub(crate) fn fail_all(&self, reason: Reason, detail: &'static str) {
        let calls = std::mem::take(&mut *self.lock());
        for slot in calls.into_values() {
            let error = CallError::new(reason, slot.sent.sent()).detail(detail);
            // Its caller may have left this very moment.
            let _ = slot.answer.send(Err(error));
        }
    }

    /// How many calls wait for an answer.
    pub(crate) fn in_flight(&self) -> usize {
        self.lock().len()
    }

    /// How many messages found nobody.
    #[cfg(test)]
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn close(&self, id: u64) -> bool {
        self.lock().remove(&id).is_some()
    }

    fn drop_message(&self, reason: Dropped) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        dropped::count(reason);
    }

    /// The map is whole even where a panic poisoned it: nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Slot>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
