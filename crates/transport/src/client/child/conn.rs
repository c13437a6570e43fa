//! One life of a child, as calls see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::{Era, ItemKind, Method, RawJson, RawParams};
use mcp_router_service::{
    BackendInfo, CallError, HoldGuard, McpRequest, McpResponse, Outcome, Reason, RequestContext,
    Scope, Sent,
};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

use super::pipes::{Line, Stuck};
use crate::client::asks::Asks;
use crate::client::dialect::{Answer, Asked, Dialect};
use crate::client::events::Events;
use crate::client::handshake;
use crate::client::info::described;
use crate::client::level::{self, Wants};
use crate::client::mux::{Mux, SentMark, Ticket};
use crate::client::rope::Rope;
use crate::client::subscribe::Subscribed;

/// A write that has not gone out for so long, in milliseconds, is one strike when its caller
/// gives up.
const STUCK_MS: u64 = 1000;
/// So many strikes in a row, and the child is started again (F30).
const STRIKES: u32 = 2;

/// The messages to and from one process.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) mux: Arc<Mux>,
    out: mpsc::Sender<Line>,
    ids: AtomicU64,
    pub(super) stuck: Stuck,
    strikes: AtomicU32,
    /// Told when the child must be started again.
    pub(super) restart: Notify,
    used: watch::Sender<Used>,
    /// What a legacy child is subscribed to.
    pub(super) subscribed: Arc<Subscribed>,
}

/// How much clients use a child. The router's own questions do not count.
#[derive(Clone, Copy, Debug)]
struct Used {
    calls: usize,
    last: Instant,
}

/// A client's call in flight.
pub(super) struct InUse(Arc<Conn>);

/// A process whose era is known.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) conn: Arc<Conn>,
    pub(super) dialect: Dialect,
    pub(super) info: BackendInfo,
    /// Whether it is of the legacy era and logs: then it has to be told a level.
    pub(super) logs: bool,
}

impl Conn {
    pub(super) fn new(events: Events, scope: Scope, out: mpsc::Sender<Line>) -> Self {
        let answers = out.clone();
        let send = move |rope| {
            if answers
                .try_send(Line::new(rope, SentMark::default()))
                .is_err()
            {
                dropped::count(Dropped::ChildNotReading);
            }
        };
        let asks = Asks::new(Arc::new(send));
        Self {
            mux: Arc::new(Mux::new(asks, events, scope)),
            out,
            ids: AtomicU64::new(1),
            stuck: Stuck::new(),
            strikes: AtomicU32::new(0),
            restart: Notify::new(),
            used: watch::Sender::new(Used {
                calls: 0,
                last: Instant::now(),
            }),
            subscribed: Arc::default(),
        }
    }

    /// Whether a client's call is in flight.
    pub(super) fn is_used(&self) -> bool {
        self.used.borrow().calls > 0
    }

    /// Resolves when no client has had a call in flight for `time`.
    pub(super) async fn unused_for(&self, time: Duration) {
        let mut used = self.used.subscribe();
        loop {
            let now = *used.borrow_and_update();
            let over = async {
                if now.calls > 0 {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep_until(now.last + time).await;
            };
            tokio::select! {
                () = over => return,
                // The sender lives in `self`.
                _ = used.changed() => {}
            }
        }
    }

    pub(super) fn use_it(self: &Arc<Self>) -> InUse {
        self.used.send_modify(|used| used.calls += 1);
        InUse(self.clone())
    }

    pub(super) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    fn queue(&self, rope: Rope, mark: SentMark) -> Result<(), CallError> {
        use mpsc::error::TrySendError;
        let error = |reason| CallError::new(reason, Sent::No);
        self.out
            .try_send(Line::new(rope, mark))
            .map_err(|e| match e {
                TrySendError::Full(_) => error(Reason::Overloaded).detail("it does not read"),
                TrySendError::Closed(_) => error(Reason::BackendLost),
            })
    }

    /// A message without an answer.
    pub(super) fn tell(&self, rope: Rope) -> Result<(), CallError> {
        self.queue(rope, SentMark::default())
    }

    /// A request of the router's own.
    pub(super) async fn ask(&self, id: u64, rope: Rope) -> Result<Answer, CallError> {
        let ticket = self.mux.open(id, None);
        self.queue(rope, ticket.sent().clone())?;
        ticket.answer().await
    }

    /// A request that is answered when the other side has enough of it.
    pub(super) fn subscribe(
        self: &Arc<Self>,
        dialect: &Dialect,
        request: &McpRequest,
    ) -> Result<Ticket, CallError> {
        self.subscribe_as(self.next_id(), dialect, request)
    }

    fn subscribe_as(
        self: &Arc<Self>,
        id: u64,
        dialect: &Dialect,
        request: &McpRequest,
    ) -> Result<Ticket, CallError> {
        let rope = dialect.request(id, request)?;
        let mut ticket = self.mux.open(id, Some(request));
        let conn = self.clone();
        ticket.on_leave(move |mark| conn.left(id, mark));
        self.queue(rope, ticket.sent().clone())?;
        Ok(ticket)
    }

    /// The same, with its acknowledgement.
    pub(super) fn subscribe_acknowledged(
        self: &Arc<Self>,
        dialect: &Dialect,
        request: &McpRequest,
    ) -> Result<(Ticket, oneshot::Receiver<RawParams>), CallError> {
        let id = self.next_id();
        let acknowledged = self.mux.acks().expect(id);
        let ticket = self.subscribe_as(id, dialect, request)?;
        Ok((ticket, acknowledged))
    }

    /// A question that may be given up: then nothing of it stays in the queue. Only calls judge
    /// whether a child reads.
    pub(super) async fn try_ask(&self, id: u64, rope: Rope) -> Result<Answer, CallError> {
        let mut ticket = self.mux.open(id, None);
        ticket.on_leave(|mark| {
            mark.abandon();
        });
        self.queue(rope, ticket.sent().clone())?;
        ticket.answer().await
    }

    /// A caller left before its answer.
    fn left(&self, id: u64, mark: &SentMark) {
        if mark.is_written() {
            self.strikes.store(0, Ordering::Relaxed);
        } else if self.stuck.millis() >= STUCK_MS
            && self.strikes.fetch_add(1, Ordering::Relaxed) + 1 >= STRIKES
        {
            self.restart.notify_one();
        }
        if !mark.abandon() && self.tell(handshake::cancelled(id)).is_err() {
            dropped::count(Dropped::ChildNotReading);
        }
    }
}

impl Peer {
    /// One call.
    pub(super) async fn call(&self, request: McpRequest) -> Result<McpResponse, CallError> {
        let legacy = self.dialect.era() == Era::Legacy;
        if request.method.is_notification() {
            if legacy && self.conn.mux.is_of_one() {
                let told = self.dialect.notification(&request.method, &request.params);
                self.conn.tell(told)?;
                return Ok(McpResponse::Ready(Outcome::Accepted));
            }
            // What one client tells of itself does not concern a process that all share.
            dropped::count_of(Dropped::ClientNotificationShared, &request.method);
            return Ok(McpResponse::Ready(Outcome::Accepted));
        }
        if legacy && request.method == Method::Discover {
            return self.describe().await;
        }
        if request.method == Method::SetLevel {
            // Told to legacy children before, and to modern ones in each request.
            return Ok(McpResponse::complete(RawJson::from_static("{}")));
        }
        self.pass_on(request).await
    }

    async fn pass_on(&self, request: McpRequest) -> Result<McpResponse, CallError> {
        // Lists are the router's own questions: clients get theirs from the catalogue.
        let own = ItemKind::of_list_method(&request.method).is_some();
        let in_use = (!own).then(|| self.conn.use_it());
        let turn = self.conn.mux.turn(&request.context).await?;
        let mut ticket = self.conn.subscribe(&self.dialect, &request)?;
        ticket.keep(turn);
        let answer = ticket.response(self.dialect.clone(), Asked::of(&request));
        Ok(answer.await?.hold(in_use))
    }

    /// Sees to it that a legacy child logs what a call needs.
    pub(super) async fn keep_level(&self, wants: &Arc<Wants>, context: &RequestContext) {
        if self.logs {
            let (told, own) = (self.conn.mux.level(), self.conn.mux.is_of_one());
            let tell = |request| self.pass_on(request);
            level::keep(wants, told, own, context, tell).await;
        }
    }

    /// Has a legacy child log less, if nobody wants more.
    pub(super) async fn lower_level(&self, wants: &Arc<Wants>) {
        if self.logs {
            let tell = |request| self.pass_on(request);
            level::lower(wants, self.conn.mux.level(), tell).await;
        }
    }

    /// Whether the child answers at all; any answer will do.
    ///
    /// # Errors
    /// If its pipe is closed or full.
    pub(super) async fn ping(&self) -> Result<(), CallError> {
        let id = self.conn.next_id();
        let question = match self.dialect.era() {
            Era::Modern => handshake::discover(id, &self.dialect.identity)?,
            Era::Legacy => handshake::ping(id),
        };
        // An error is a sign of life too.
        self.conn.try_ask(id, question).await.map(drop)
    }

    /// What a modern backend would say of itself, once this one has shown that it lives.
    async fn describe(&self) -> Result<McpResponse, CallError> {
        self.ping().await?;
        Ok(McpResponse::complete(described(&self.info)))
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.used.send_modify(|used| {
            used.calls = used.calls.saturating_sub(1);
            used.last = Instant::now();
        });
    }
}
