//! One call's end of the channel.

use std::fmt;
use std::sync::Arc;

use mcp_router_service::{CallError, Event, McpResponse, Reason};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::{Mux, SentMark};
use crate::client::dialect::{Answer, Asked, Dialect};
use crate::client::respond::{Source, respond};

/// What came for a call on another stream than its own.
pub(crate) enum Arrival {
    Event(Event),
    Answer(Result<Answer, CallError>),
}

type Leave = Box<dyn FnOnce(&SentMark) + Send + Sync>;

/// The right to one answer. Dropping it before the answer takes the call out of the channel and
/// runs what was registered with [`on_leave`](Self::on_leave): that is how a backend hears of it.
pub(crate) struct Ticket {
    mux: Arc<Mux>,
    id: u64,
    answer: oneshot::Receiver<Result<Answer, CallError>>,
    events: Option<mpsc::Receiver<Event>>,
    /// The answer, while events that came before it are still to be told.
    last: Option<Result<Answer, CallError>>,
    sent: SentMark,
    leave: Option<Leave>,
    /// Held as long as the call, also while it waits for its client.
    turn: Option<OwnedSemaphorePermit>,
}

impl Ticket {
    pub(super) fn new(
        mux: Arc<Mux>,
        id: u64,
        answer: oneshot::Receiver<Result<Answer, CallError>>,
        events: Option<mpsc::Receiver<Event>>,
        sent: SentMark,
    ) -> Self {
        Self {
            mux,
            id,
            answer,
            events,
            last: None,
            sent,
            leave: None,
            turn: None,
        }
    }

    /// Keeps the call's turn until its end.
    pub(crate) fn keep(&mut self, turn: Option<OwnedSemaphorePermit>) {
        self.turn = turn;
    }

    /// How far the request got.
    pub(crate) fn sent(&self) -> &SentMark {
        &self.sent
    }

    /// What to do if the caller leaves before the answer.
    pub(crate) fn on_leave(&mut self, leave: impl FnOnce(&SentMark) + Send + Sync + 'static) {
        self.leave = Some(Box::new(leave));
    }

    /// Nothing is to be done any more if the caller leaves: the backend has refused the call.
    pub(crate) fn forget(&mut self) {
        self.leave = None;
    }

    /// The answer, without what comes before it. For the router's own requests.
    pub(crate) async fn answer(mut self) -> Result<Answer, CallError> {
        let answer = (&mut self.answer).await;
        answer.unwrap_or_else(|_| Err(self.lost()))
    }

    /// The answer as the waist wants it.
    pub(crate) async fn response(
        self,
        dialect: Dialect,
        asked: Asked,
    ) -> Result<McpResponse, CallError> {
        let call = Call {
            ticket: self,
            dialect,
            asked,
        };
        respond(call).await
    }

    /// What comes next for this call alone, where the answer should come another way.
    pub(crate) async fn event(&mut self) -> Event {
        match &mut self.events {
            Some(events) => match events.recv().await {
                Some(event) => event,
                None => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }

    /// What comes next, the answer included: some servers send it on any stream that is open.
    pub(crate) async fn arrival(&mut self) -> Arrival {
        if self.last.is_none() {
            let answer = match &mut self.events {
                Some(events) => tokio::select! {
                    biased;
                    Some(event) = events.recv() => return Arrival::Event(event),
                    answer = &mut self.answer => answer,
                },
                None => (&mut self.answer).await,
            };
            self.last = Some(answer.unwrap_or_else(|_| Err(self.lost())));
        }
        match self.events.as_mut().and_then(|e| e.try_recv().ok()) {
            Some(event) => Arrival::Event(event),
            None => Arrival::Answer(self.last.take().unwrap_or_else(|| Err(self.lost()))),
        }
    }

    fn lost(&self) -> CallError {
        CallError::new(Reason::BackendLost, self.sent.sent())
    }
}

/// A ticket, with what is needed to read its answer.
struct Call {
    ticket: Ticket,
    dialect: Dialect,
    asked: Asked,
}

impl Source for Call {
    async fn next(&mut self) -> Result<Event, CallError> {
        let ticket = &mut self.ticket;
        if ticket.last.is_none() {
            let answer = match &mut ticket.events {
                Some(events) => tokio::select! {
                    biased;
                    Some(event) = events.recv() => return Ok(event),
                    answer = &mut ticket.answer => answer,
                },
                None => (&mut ticket.answer).await,
            };
            ticket.last = Some(answer.unwrap_or_else(|_| Err(ticket.lost())));
        }
        // What the reader queued before the answer, between our looks at the one and the other.
        if let Some(event) = ticket.events.as_mut().and_then(|e| e.try_recv().ok()) {
            return Ok(event);
        }
        let answer = ticket.last.take().unwrap_or_else(|| Err(ticket.lost()))?;
        Ok(Event::Outcome(self.dialect.outcome(&self.asked, answer)?))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.mux.close(self.id)
            && let Some(leave) = self.leave.take()
        {
            leave(&self.sent);
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
