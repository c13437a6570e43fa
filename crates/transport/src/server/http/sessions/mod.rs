//! Sessions of legacy clients, by the id in their header.
//!
//! An id carries its session ([`token`]), so memory is a cache: what is here is found without a
//! look into the id, and what is not, because the router was restarted, another replica made the
//! id or room was needed, comes back from it. Only a session whose client says too much of itself
//! to fit into an id lives here alone.

mod denied;
mod token;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::{Response, StatusCode};
use mcp_router_service::seal::{Sealer, random_id};
use mcp_router_service::{Principal, SessionId};
use papaya::{Guard, HashMap};
use tokio::time::Instant;

use super::body::Body;
use super::{Shared, reply};
use crate::server::dialect::modern::Mirrored;
use crate::server::keys::WallClock;
use crate::server::params::HttpParams;
use crate::server::peer::Peer;
use denied::Denied;
use token::Content;

type Refusal = Box<Response<Body>>;

/// The end of an id by which it is looked up: the seal of its content, or random.
const KEY_LEN: usize = 24;
/// How long a session must have been silent before it makes room for another: one that its id
/// brings back, and one that would be lost.
const SEALED_IDLE: u64 = 1_000;
const STORED_IDLE: u64 = 60_000;
/// Of all sessions, how many make room at a time.
const ROOM: usize = 64;

struct Entry {
    id: Arc<str>,
    peer: Arc<Peer>,
    /// Whether the id brings the session back.
    sealed: bool,
    /// Milliseconds after the table's start: when it was used last, and when it expires.
    seen: AtomicU64,
    expires: u64,
}

/// The table of sessions.
pub(super) struct Sessions {
    table: HashMap<Box<str>, Arc<Entry>>,
    denied: Denied,
    sealer: Option<Sealer>,
    clock: WallClock,
    limit: usize,
    idle: Duration,
    life: Duration,
    start: Instant,
    /// How many came back from their ids.
    revived: AtomicU64,
}

/// What the table of sessions has come to; see [`HttpService::sessions`](super::HttpService).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SessionCounts {
    /// Sessions in memory. Others come back from their ids.
    pub open: usize,
    /// Ids that were given up, remembered until they would have expired.
    pub ended: usize,
    /// How often a session was brought back from its id since the start: after a restart, after
    /// it made room for others, or from another replica.
    pub revived: u64,
}

impl Sessions {
    /// Without a `sealer`, for want of randomness, no session can be opened.
    pub(super) fn new(params: &HttpParams, sealer: Option<Sealer>) -> Self {
        Self {
            table: HashMap::new(),
            denied: Denied::default(),
            sealer,
            clock: params.clock.clone(),
            limit: params.limits.sessions,
            idle: params.times.session_idle,
            life: params.times.session_life,
            start: Instant::now(),
            revived: AtomicU64::new(0),
        }
    }

    pub(super) fn counts(&self) -> SessionCounts {
        SessionCounts {
            open: self.table.len(),
            ended: self.denied.len(),
            revived: self.revived.load(Ordering::Relaxed),
        }
    }

    /// The session that a request names (R40). Unknown, ended, expired and foreign ones are the
    /// same to the client: it opens a new one by itself.
    ///
    /// # Errors
    /// 400 without an id, 404 for any other that is none of the caller's sessions; 503 if there
    /// is no room to bring it back.
    pub(super) fn find(
        &self,
        shared: &Shared,
        id: Mirrored<'_>,
        principal: &Principal,
    ) -> Result<Arc<Peer>, Refusal> {
        let text = match id {
            Mirrored::Text(text) => text,
            Mirrored::Absent => return Err(missing()),
            Mirrored::Unreadable => return Err(unknown()),
        };
        // What cannot be an id is not even looked for (B20).
        let key = key(text).ok_or_else(unknown)?;
        let Some(entry) = self.table.pin().get(key).cloned() else {
            return self.revive(shared, text, key, principal);
        };
        let now = self.now();
        let own = *entry.id == *text
            && entry.peer.principal() == principal
            && now <= entry.expires
            && !entry.peer.session().is_closed();
        if !own {
            return Err(unknown());
        }
        entry.seen.store(now, Ordering::Relaxed);
        Ok(entry.peer.clone())
    }

    /// Brings a session back from its id.
    fn revive(
        &self,
        shared: &Shared,
        id: &str,
        key: &str,
        principal: &Principal,
    ) -> Result<Arc<Peer>, Refusal> {
        let sealer = self.sealer.as_ref().ok_or_else(unknown)?;
        let now = self.clock.seconds();
        let content = Content::open(id, sealer, principal, now).ok_or_else(unknown)?;
        if self.denied.has(key) {
            return Err(unknown());
        }
        self.need_room()?;
        let left = content.left(now);
        let serial = SessionId::new(content.serial);
        let peer = Peer::revive(
            &shared.router,
            serial,
            content.hello,
            principal.clone(),
            shared.asking.clone(),
        );
        for (key, upstream) in content.carried {
            peer.session().set_carried(key, upstream);
        }
        peer.session().fix_carried();
        let new = self.entry(id.into(), peer, true, left);
        let table = self.table.pin();
        // Of several at once, one is the session.
        let entry = table.get_or_insert(key.into(), new.clone()).clone();
        if self.denied.has(key) {
            table.remove(key);
            return Err(unknown());
        }
        if Arc::ptr_eq(&entry, &new) {
            self.revived.fetch_add(1, Ordering::Relaxed);
            let session = entry.peer.session().id();
            tracing::debug!(?session, "session brought back from its id");
        }
        Ok(entry.peer.clone())
    }

    /// A new session's name among the router's own parts.
    ///
    /// # Errors
    /// 503 if there is no room, 500 if there is no randomness.
    pub(super) fn fresh(&self) -> Result<SessionId, Refusal> {
        self.need_room()?;
        let mut serial = random_id().map_err(|_| no_randomness())?;
        serial.truncate(KEY_LEN);
        Ok(SessionId::new(serial))
    }

    /// Takes a new session in and gives its id, which carries what the session carries by now.
    ///
    /// # Errors
    /// 500 if there is no randomness.
    pub(super) fn add(&self, peer: Arc<Peer>) -> Result<Arc<str>, Refusal> {
        let issued = self.clock.seconds();
        let content = Content {
            hello: peer.hello(),
            serial: peer.session().id().as_str().into(),
            carried: peer.session().fix_carried(),
            issued,
            expires: issued.saturating_add(self.life.as_secs()),
        };
        let sealer = self.sealer.as_ref().ok_or_else(no_randomness)?;
        let sealed = content.seal(sealer, peer.principal());
        let is_sealed = sealed.is_some();
        let id: Arc<str> = match sealed {
            Some(id) => id.into(),
            None => random_id().map_err(|_| no_randomness())?.into(),
        };
        let key: Box<str> = key(&id).ok_or_else(no_randomness)?.into();
        let entry = self.entry(id.clone(), peer, is_sealed, self.life);
        self.table.pin().insert(key, entry);
        Ok(id)
    }

    fn entry(&self, id: Arc<str>, peer: Arc<Peer>, sealed: bool, left: Duration) -> Arc<Entry> {
        let now = self.now();
        Arc::new(Entry {
            id,
            peer,
            sealed,
            seen: AtomicU64::new(now),
            expires: now.saturating_add(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
        })
    }

    /// Takes a session off the table for good; the caller closes it.
    pub(super) fn end(&self, id: Mirrored<'_>) {
        let Mirrored::Text(id) = id else { return };
        let Some(key) = key(id) else { return };
        let table = self.table.pin();
        if let Some(entry) = table.get(key)
            && entry.sealed
        {
            // First denied, then gone: nobody may bring it back in between.
            // The id itself is good for a little longer than its session was in memory.
            let until = entry.expires.saturating_add(token::LEEWAY * 1000);
            self.denied.add(key, until, self.now());
        }
        table.remove(key);
        self.let_go();
    }

    pub(super) fn take_all(&self) -> Vec<Arc<Peer>> {
        let taken = self.take(|_, _| true);
        taken.iter().map(|entry| entry.peer.clone()).collect()
    }

    fn take(&self, unwanted: impl Fn(&Entry, u64) -> bool) -> Vec<Arc<Entry>> {
        let table = self.table.pin();
        let now = self.now();
        let mut taken = Vec::new();
        for (key, entry) in &table {
            if unwanted(entry, now) && table.remove(key).is_some() {
                taken.push(entry.clone());
            }
        }
        self.let_go();
        taken
    }

    /// Frees what was removed. The table keeps up to 32 removed entries of each thread until more
    /// are, which may be never; and each of them keeps a page of the allocator's, or several.
    fn let_go(&self) {
        self.table.guard().flush();
    }

    fn need_room(&self) -> Result<(), Refusal> {
        if self.table.len() < self.limit || self.make_room() {
            return Ok(());
        }
        Err(Box::new(reply::full("sessions")))
    }

    /// Puts those away that were silent longest.
    fn make_room(&self) -> bool {
        let (table, now) = (self.table.pin(), self.now());
        let mut idle: Vec<_> = table
            .iter()
            .filter(|(_, e)| e.is_idle(now))
            .map(|(key, e)| (!e.sealed, e.seen.load(Ordering::Relaxed), key))
            .collect();
        idle.sort_unstable();
        idle.truncate((self.limit / ROOM).max(1));
        tracing::warn!(
            put_away = idle.len(),
            "too many sessions: those silent longest make room"
        );
        for (_, _, key) in &idle {
            if let Some(entry) = table.remove(*key) {
                put_away(entry.clone());
            }
        }
        !idle.is_empty()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Entry {
    fn silent(&self, now: u64) -> u64 {
        now.saturating_sub(self.seen.load(Ordering::Relaxed))
    }

    /// Whether it may make room.
    fn is_idle(&self, now: u64) -> bool {
        let least = if self.sealed {
            SEALED_IDLE
        } else {
            STORED_IDLE
        };
        self.silent(now) >= least && !self.peer.is_busy()
    }
}

/// Closes a session for good that is off the table already. Nobody waits for the backends to be
/// told.
pub(super) fn close(shared: &Shared, peer: Arc<Peer>) {
    let router = shared.router.clone();
    tokio::spawn(async move { peer.finish(router).await });
}

/// Forgets a session that is off the table already, until its id brings it back.
fn put_away(entry: Arc<Entry>) {
    tokio::spawn(async move {
        if entry.sealed {
            entry.peer.suspend().await;
        } else {
            entry.peer.close().await;
        }
    });
}

/// Ends expired sessions and puts silent ones away from time to time, as long as the edge lives.
pub(super) fn sweep(shared: &Arc<Shared>) {
    let shared: Weak<Shared> = Arc::downgrade(shared);
    tokio::spawn(async move {
        loop {
            let Some(period) = shared.upgrade().map(|s| s.sessions.idle / 4) else {
                return;
            };
            let most = Duration::from_secs(60);
            tokio::time::sleep(period.clamp(Duration::from_millis(10), most)).await;
            let Some(shared) = shared.upgrade() else {
                return;
            };
            let expired = |e: &Entry, now| now > e.expires && e.peer.calls().is_empty();
            for entry in shared.sessions.take(expired) {
                close(&shared, entry.peer.clone());
            }
            shared.sessions.denied.forget(shared.sessions.now());
            let idle = u64::try_from(shared.sessions.idle.as_millis()).unwrap_or(u64::MAX);
            let silent = |e: &Entry, now| e.silent(now) >= idle && !e.peer.is_busy();
            shared.sessions.take(silent).into_iter().for_each(put_away);
            shared.replays.sweep();
        }
    });
}

fn key(id: &str) -> Option<&str> {
    if id.len() > token::MAX_LEN {
        return None;
    }
    id.get(id.len().checked_sub(KEY_LEN)?..)
}

fn missing() -> Refusal {
    let text = "Mcp-Session-Id is missing; `initialize` opens a session";
    Box::new(reply::refused(StatusCode::BAD_REQUEST, text))
}

fn unknown() -> Refusal {
    let text = "no such session; open a new one with `initialize`";
    Box::new(reply::refused(StatusCode::NOT_FOUND, text))
}

fn no_randomness() -> Refusal {
    tracing::error!("no session id can be made");
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    Box::new(reply::refused(status, "no session id can be made"))
}
