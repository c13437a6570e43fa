//! Calls that wait here while their client is away to answer.
//!
//! A backend that asks in the middle of a call waits on its stream, and a client that takes interim
//! results has gone by then: it comes back with the answers in another request, or never. So the
//! stream is kept, read (whoever reads it upstream must not be held up) and ended after a while.
//! Everything is bounded: how many wait, how many of one caller, for how long, and what is
//! remembered of their answers.

mod keeper;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_router_protocol::Method;
use mcp_router_service::{
    CallError, McpRequest, Outcome, Principal, Reason, ResponseStream, Sent, ServerRequest, Visit,
};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Bounds for calls that wait for the answers of clients which take interim results.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Parking {
    /// Calls that wait at the same time.
    pub calls: usize,
    /// Of these, calls of one authenticated principal. (Without authentication everybody is one.)
    pub calls_per_principal: usize,
    /// How long one waits for its client.
    pub life: Duration,
    /// How long an answer is kept for a client that asks for it again, because it did not get it.
    pub answers: Duration,
}

impl Default for Parking {
    /// 1024 calls, 64 of one principal, 5 minutes; answers for 60 s.
    fn default() -> Self {
        Self {
            calls: 1024,
            calls_per_principal: 64,
            life: Duration::from_secs(300),
            answers: Duration::from_secs(60),
        }
    }
}

/// Largest answer that is kept, and the most that all together may take, in bytes.
const KEPT: (usize, usize) = (256 << 10, 16 << 20);

/// A call that waits.
pub(super) struct Parked {
    pub(super) stream: ResponseStream,
    /// What the backend waits for, by key.
    pub(super) open: VecDeque<(String, ServerRequest)>,
    /// Requests so far.
    pub(super) asked: u64,
    /// How it ended meanwhile.
    pub(super) end: Option<Result<Outcome, CallError>>,
    /// Where it runs, for the log line of the next round.
    pub(super) visit: Option<Visit>,
}

/// All calls that wait.
#[derive(Clone)]
pub(crate) struct Parks(Arc<Inner>);

struct Inner {
    replica: String,
    params: Parking,
    next: AtomicU64,
    /// Of calls that are parked, and held for a look: plain calls never come here.
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    entries: HashMap<u64, Entry>,
    /// Waiting calls by principal, and all of them.
    waiting: HashMap<Principal, usize>,
    all: usize,
    /// Bytes of kept answers.
    kept: usize,
}

enum Entry {
    /// Tells the keeper where to bring the call.
    Waiting(oneshot::Sender<oneshot::Sender<Parked>>),
    /// The client has come back; its answer is there, or will be.
    Running(watch::Receiver<Option<Outcome>>),
}

/// What there is of a round.
pub(super) enum Found {
    Nothing,
    Parked(Parked, Record),
    Answered(Outcome),
}

/// The key of a request in an interim result.
pub(super) fn key(method: &Method, number: u64) -> String {
    let kind = match method {
        Method::CreateMessage => "sampling",
        Method::RootsList => "roots",
        _ => "elicitation",
    };
    format!("{kind}-{number}")
}

impl Parks {
    pub(super) fn new(params: Parking) -> Self {
        // Only has to differ from that of other replicas: the token around it is sealed.
        let replica = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        Self(Arc::new(Inner {
            replica,
            params,
            next: AtomicU64::new(1),
            table: Mutex::default(),
        }))
    }

    /// The name of this process among its replicas.
    pub(super) fn replica(&self) -> &str {
        &self.0.replica
    }

    pub(super) fn life(&self) -> Duration {
        self.0.params.life
    }

    /// How many calls wait now.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.table().all
    }

    /// Parks a call and gives the number of its round.
    ///
    /// # Errors
    /// If too many wait already; the call is given up then.
    pub(super) fn take(
        &self,
        parked: Parked,
        request: &McpRequest,
        stop: CancellationToken,
    ) -> Result<u64, CallError> {
        let slot = self.slot(&request.context.principal)?;
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let (come, coming) = oneshot::channel();
        self.table().entries.insert(id, Entry::Waiting(come));
        tokio::spawn(keeper::keep(self.clone(), id, parked, coming, slot, stop));
        Ok(id)
    }

    fn slot(&self, principal: &Principal) -> Result<Slot, CallError> {
        let params = &self.0.params;
        let own = match principal {
            Principal::Anonymous => params.calls,
            Principal::Named(_) => params.calls_per_principal,
        };
        let mut table = self.table();
        let full = table.all >= params.calls
            || table.waiting.get(principal).is_some_and(|n| *n >= own)
            || own == 0;
        if full {
            // The tool has begun to run.
            let error = CallError::new(Reason::Overloaded, Sent::Unknown);
            return Err(error.detail("too many calls wait for their clients"));
        }
        table.all += 1;
        *table.waiting.entry(principal.clone()).or_default() += 1;
        Ok(Slot {
            parks: self.clone(),
            principal: principal.clone(),
        })
    }

    /// The call that waits as `id`, or the answer that it got since. Takes it away from here:
    /// whoever drops it ends it.
    pub(super) async fn find(&self, id: u64) -> Found {
        let (tell, told) = watch::channel(None);
        let found = {
            // One look and one change: who repeats the round at this moment must find either.
            let mut table = self.table();
            let Some(entry) = table.entries.get_mut(&id) else {
                return Found::Nothing;
            };
            match entry {
                Entry::Running(answer) => Entry::Running(answer.clone()),
                Entry::Waiting(_) => std::mem::replace(entry, Entry::Running(told)),
            }
        };
        match found {
            Entry::Running(mut answer) => {
                let outcome = answer.wait_for(Option::is_some).await;
                match outcome.ok().and_then(|outcome| outcome.clone()) {
                    Some(outcome) => Found::Answered(outcome),
                    None => Found::Nothing,
                }
            }
            Entry::Waiting(come) => {
                let record = Record {
                    parks: self.clone(),
                    id,
                    tell: Some(tell),
                };
                let (here, arriving) = oneshot::channel();
                // A keeper that has just given up sends nothing.
                let _ = come.send(here);
                match arriving.await {
                    Ok(parked) => Found::Parked(parked, record),
                    Err(_) => Found::Nothing,
                }
            }
        }
    }

    fn forget(&self, id: u64) {
        self.table().entries.remove(&id);
    }

    /// The data behind a poisoned lock is whole: nothing panics while it is held.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Parks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parks")
            .field("waiting", &self.table().all)
            .finish_non_exhaustive()
    }
}

/// A place among those that wait.
struct Slot {
    parks: Parks,
    principal: Principal,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut table = self.parks.table();
        table.all -= 1;
        if let Some(own) = table.waiting.get_mut(&self.principal) {
            *own -= 1;
            if *own == 0 {
                table.waiting.remove(&self.principal);
            }
        }
    }
}

/// Takes down the answer to a round. Dropped before, the round is forgotten.
pub(super) struct Record {
    parks: Parks,
    id: u64,
    tell: Option<watch::Sender<Option<Outcome>>>,
}

impl Record {
    /// Keeps the answer for a while, if it is not too large.
    pub(super) fn keep(mut self, outcome: &Outcome) {
        let size = match outcome {
            Outcome::Complete(result) => result.bytes().len(),
            Outcome::InputRequired(interim) => interim.result.bytes().len(),
            Outcome::Error(error) => error.raw().bytes().len(),
            Outcome::Accepted => 0,
        };
        {
            let mut table = self.parks.table();
            if size > KEPT.0 || table.kept + size > KEPT.1 {
                tracing::debug!(size, "answer to a parked call not kept: too large");
                return;
            }
            table.kept += size;
        }
        if let Some(tell) = self.tell.take() {
            tell.send_replace(Some(outcome.clone()));
        }
        let (parks, id) = (self.parks.clone(), self.id);
        tokio::spawn(async move {
            tokio::time::sleep(parks.0.params.answers).await;
            let mut table = parks.table();
            table.kept -= size;
            table.entries.remove(&id);
        });
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.tell.is_some() {
            self.parks.forget(self.id);
        }
    }
}
