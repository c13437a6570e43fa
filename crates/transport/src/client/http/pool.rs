//! Conversations that many clients have together.
//!
//! One principal's may never serve another (R37), and each kind of client needs its own. Were they
//! kept for ever, whoever makes up principals or capabilities would fill the backend with sessions:
//! so there are only so many, and those that nobody uses are closed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures::future::join_all;
use mcp_router_service::{CallError, Principal, Reason, RequestContext, Sent};
use tokio::time::Instant;

use super::edge::Edge;
use super::lane::Lane;
use super::lanes::{self, Place};
use crate::client::able;
use crate::client::owner::Owner;

/// Interactive conversations with one backend at once, of one principal and in all.
const OF_ONE: usize = 8;
const OF_ALL: usize = 64;
/// One that nobody has used for so long is closed; where there is no room for another, one that
/// nobody has used for this little time.
const IDLE: Duration = Duration::from_secs(300);
const SPARE: Duration = Duration::from_secs(5);

/// Conversations of one kind for clients that cannot be told apart. In one whose calls take turns, a
/// call that waits for its client would hold up everybody.
const COPIES: u8 = 16;

/// Whose an interactive conversation is: a principal's, what of its clients was declared, and which
/// of several like it.
type Key = (Principal, Bytes, u8);
type Table = HashMap<Key, Arc<Kept>>;

/// The shared conversation, and the interactive ones.
#[derive(Debug, Default)]
pub(super) struct Pool {
    shared: Place,
    /// Read by every call of a client that can be asked; written when one is opened or closed.
    interactive: ArcSwap<Table>,
    writing: Mutex<()>,
}

#[derive(Debug)]
struct Kept {
    place: Place,
    last: Mutex<Instant>,
}

impl Kept {
    fn new() -> Self {
        Self {
            place: Place::default(),
            last: Mutex::new(Instant::now()),
        }
    }

    fn use_it(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether a call that takes turns would have to wait here.
    fn is_taken(&self) -> bool {
        self.place
            .get()
            .is_some_and(|lane| lane.mux().turn_is_taken())
    }

    fn is_idle(&self, time: Duration) -> bool {
        let used = self
            .place
            .get()
            .is_some_and(|lane| lane.mux().in_flight() > 0);
        if used {
            self.use_it();
        }
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.elapsed() >= time
    }
}

impl Pool {
    /// The conversation for calls of a client without one of its own.
    ///
    /// # Errors
    /// If it cannot be opened, or there are too many. Nothing was sent then.
    pub(super) async fn find(
        &self,
        edge: &Arc<Edge>,
        catalogue: &Lane,
        context: &RequestContext,
    ) -> Result<Lane, CallError> {
        if !able::can_be_asked(&context.client) {
            let owner = || Owner::many(able::nothing(), &edge.identity);
            let open = || lanes::open(edge, catalogue, owner());
            return self.shared.lane(edge, catalogue, open).await;
        }
        let declared = able::declared(&context.client);
        let kept = self.free(edge, &context.principal, declared.bytes())?;
        kept.use_it();
        let open = || async {
            let lane = lanes::open(edge, catalogue, Owner::many(declared, &edge.identity)).await?;
            if matches!(lane, Lane::Channel(_)) {
                // Nothing but the order of calls says whom a question is for.
                lane.mux().take_turns();
            }
            Ok(lane)
        };
        kept.place.lane(edge, catalogue, open).await
    }

    /// A conversation of this kind where no other call has the turn, or else the first one, where
    /// the call waits for it.
    fn free(
        &self,
        edge: &Arc<Edge>,
        principal: &Principal,
        declared: &Bytes,
    ) -> Result<Arc<Kept>, CallError> {
        let key = |copy| (principal.clone(), declared.clone(), copy);
        let table = self.interactive.load();
        let Some(first) = table.get(&key(0)) else {
            return self.make_room(edge, key(0));
        };
        if *principal != Principal::Anonymous || !first.is_taken() {
            return Ok(first.clone());
        }
        for copy in 1..COPIES {
            match table.get(&key(copy)) {
                Some(kept) if kept.is_taken() => {}
                Some(kept) => return Ok(kept.clone()),
                None => {
                    return self
                        .make_room(edge, key(copy))
                        .or_else(|_| Ok(first.clone()));
                }
            }
        }
        Ok(first.clone())
    }

    /// A place for another conversation.
    fn make_room(&self, edge: &Arc<Edge>, key: Key) -> Result<Arc<Kept>, CallError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = Table::clone(&self.interactive.load());
        if let Some(kept) = table.get(&key) {
            return Ok(kept.clone());
        }
        let is_own = |(who, _, copy): &Key| *who == key.0 && *copy == 0;
        let own = table.keys().filter(|other| is_own(other)).count();
        let own = if key.2 == 0 { own } else { 0 };
        if own >= OF_ONE || table.len() >= OF_ALL {
            let only_own = own >= OF_ONE;
            let spare = table
                .iter()
                .filter(|((who, ..), kept)| (!only_own || *who == key.0) && kept.is_idle(SPARE))
                .map(|(key, _)| key.clone())
                .next();
            let Some(spare) = spare.and_then(|spare| table.remove(&spare)) else {
                return Err(full(only_own));
            };
            let edge = edge.clone();
            tokio::spawn(async move { spare.place.close(&edge).await });
        }
        let kept = Arc::new(Kept::new());
        table.insert(key, kept.clone());
        self.interactive.store(Arc::new(table));
        Ok(kept)
    }

    /// Closes the interactive conversations that nobody has used for long.
    pub(super) async fn close_idle(&self, edge: &Arc<Edge>) {
        let idle: Vec<_> = {
            let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            let table = self.interactive.load();
            let (idle, kept): (Vec<_>, Vec<_>) = table
                .iter()
                .map(|(key, kept)| (key.clone(), kept.clone()))
                .partition(|(_, kept)| kept.is_idle(IDLE));
            if !idle.is_empty() {
                self.interactive.store(Arc::new(kept.into_iter().collect()));
            }
            idle
        };
        let closing = idle.iter().map(|(_, kept)| kept.place.close(edge));
        let closed = join_all(closing).await.len();
        if closed > 0 {
            tracing::debug!(backend = %edge.params.name, closed, "idle conversations closed");
        }
    }

    /// Every conversation that is there.
    pub(super) fn all(&self) -> Vec<Lane> {
        let table = self.interactive.load();
        let places = table.values().map(|kept| &kept.place).chain([&self.shared]);
        let lanes = places.filter_map(Place::get);
        lanes.map(|lane| Lane::clone(&lane)).collect()
    }

    /// Closes everything, all at once.
    pub(super) async fn close_all(&self, edge: &Arc<Edge>) {
        let table = {
            let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            self.interactive.swap(Arc::default())
        };
        let interactive = join_all(table.values().map(|kept| kept.place.close(edge)));
        tokio::join!(self.shared.close(edge), interactive);
    }
}

/// Why there is no room: for want of a place for this principal, or for anybody.
fn full(only_own: bool) -> CallError {
    let (most, whose) = match only_own {
        true => (OF_ONE, "of yours "),
        false => (OF_ALL, ""),
    };
    CallError::new(Reason::Overloaded, Sent::No).detail(format!(
        "all {most} conversations {whose}with clients that it may ask something are in use; \
         try again once one has had no call for {} s, or declare what another client of yours does",
        SPARE.as_secs()
    ))
}

#[cfg(test)]
mod tests;
