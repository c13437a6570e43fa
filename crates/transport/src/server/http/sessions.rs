//! Sessions of legacy clients, by the id in their header.
//!
//! They live in this process. What the rest of the edge needs of them is [`Sessions::find`],
//! [`Sessions::add`] and [`Sessions::remove`]; ids that carry their own content can come in behind
//! these three.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::{Response, StatusCode};
use mcp_router_service::seal::random_id;
use mcp_router_service::{Principal, SessionId};
use papaya::HashMap;
use tokio::time::Instant;

use super::body::Body;
use super::{Shared, reply};
use crate::server::dialect::modern::Mirrored;
use crate::server::peer::Peer;

/// Length of an id: 256 bits as base64url.
const ID_LEN: usize = 43;
/// How long a session must have been silent before it makes room for a new one.
const MIN_IDLE: Duration = Duration::from_secs(60);

struct Entry {
    peer: Arc<Peer>,
    /// Milliseconds after the table's start.
    seen: AtomicU64,
}

/// The table of sessions.
pub(super) struct Sessions {
    table: HashMap<Arc<str>, Arc<Entry>>,
    limit: usize,
    idle: Duration,
    start: Instant,
}

impl Sessions {
    pub(super) fn new(limit: usize, idle: Duration) -> Self {
        Self {
            table: HashMap::new(),
            limit,
            idle,
            start: Instant::now(),
        }
    }

    /// The session that a request names (R40). Unknown, ended and foreign ones are the same to
    /// the client: it opens a new one by itself.
    ///
    /// # Errors
    /// 400 without an id, 404 for any other that is none of the caller's sessions.
    pub(super) fn find(
        &self,
        id: Mirrored<'_>,
        principal: &Principal,
    ) -> Result<Arc<Peer>, Box<Response<Body>>> {
        let text = match id {
            Mirrored::Text(text) => text,
            Mirrored::Absent => return Err(missing()),
            Mirrored::Unreadable => return Err(unknown()),
        };
        // What cannot be an id is not even looked for (B20).
        let well_formed = text.len() == ID_LEN
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        let found = well_formed.then(|| self.table.pin().get(text).cloned());
        let Some(entry) = found
            .flatten()
            .filter(|e| e.peer.principal() == principal && !e.peer.session().is_closed())
        else {
            return Err(unknown());
        };
        entry.seen.store(self.now(), Ordering::Relaxed);
        Ok(entry.peer.clone())
    }

    /// A new id.
    ///
    /// # Errors
    /// 503 if there is no room, or no randomness.
    pub(super) fn fresh(&self) -> Result<SessionId, Box<Response<Body>>> {
        if self.table.len() >= self.limit && !self.make_room() {
            return Err(Box::new(reply::full("sessions")));
        }
        random_id().map(SessionId::new).map_err(|error| {
            tracing::error!(%error, "no session id can be made");
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Box::new(reply::refused(status, "no session id can be made"))
        })
    }

    pub(super) fn add(&self, peer: Arc<Peer>) {
        let id: Arc<str> = peer.session().id().as_str().into();
        let entry = Entry {
            peer,
            seen: AtomicU64::new(self.now()),
        };
        self.table.pin().insert(id, Arc::new(entry));
    }

    /// Takes a session off the table; the caller closes it.
    pub(super) fn remove(&self, peer: &Peer) {
        self.table.pin().remove(peer.session().id().as_str());
    }

    pub(super) fn take_all(&self) -> Vec<Arc<Peer>> {
        self.take(|_, _| true)
    }

    fn take(&self, unwanted: impl Fn(&Entry, Duration) -> bool) -> Vec<Arc<Peer>> {
        let table = self.table.pin();
        let now = self.now();
        let mut taken = Vec::new();
        for (id, entry) in &table {
            let silent = now.saturating_sub(entry.seen.load(Ordering::Relaxed));
            if unwanted(entry, Duration::from_millis(silent)) && table.remove(id).is_some() {
                taken.push(entry.peer.clone());
            }
        }
        taken
    }

    /// Ends the session that was silent longest.
    fn make_room(&self) -> bool {
        let table = self.table.pin();
        let oldest = table
            .iter()
            .filter(|(_, e)| !e.peer.is_busy())
            .min_by_key(|(_, e)| e.seen.load(Ordering::Relaxed));
        let Some((_, entry)) = oldest else {
            return false;
        };
        let seen = entry.seen.load(Ordering::Relaxed);
        if self.now().saturating_sub(seen) < MIN_IDLE.as_millis() as u64 {
            return false;
        }
        tracing::warn!("too many sessions: the one silent longest was ended");
        self.remove(&entry.peer);
        close(entry.peer.clone());
        true
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Closes a session that is off the table already. Nobody waits for the backends to be told.
pub(super) fn close(peer: Arc<Peer>) {
    tokio::spawn(async move { peer.close().await });
}

/// Ends silent sessions from time to time, as long as the edge lives.
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
            let idle = shared.sessions.idle;
            let silent = |e: &Entry, time| time >= idle && !e.peer.is_busy();
            for peer in shared.sessions.take(silent) {
                close(peer);
            }
        }
    });
}

fn missing() -> Box<Response<Body>> {
    let text = "Mcp-Session-Id is missing; `initialize` opens a session";
    Box::new(reply::refused(StatusCode::BAD_REQUEST, text))
}

fn unknown() -> Box<Response<Body>> {
    let text = "no such session; open a new one with `initialize`";
    Box::new(reply::refused(StatusCode::NOT_FOUND, text))
}
