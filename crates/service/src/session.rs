//! A client's session, as a handle that everyone on the way may keep things on.

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use mcp_router_protocol::name::fnv1a;
use mcp_router_protocol::{BackendName, LogLevel, Method, RawParams};
use tokio::sync::mpsc;

use crate::{ClientProfile, ServerRequest};

/// What identifies a session on the wire. Never a proof of who is asking.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct SessionId(Arc<str>);

impl SessionId {
    /// Takes the text of an id.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionId {
    /// Shows the first characters alone: an id in a log would let its reader into the session.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SessionId({}…)",
            self.0.chars().take(6).collect::<String>()
        )
    }
}

/// A message to the client outside any call.
#[derive(Debug)]
pub enum Outbox {
    /// A notification: a list changed, a resource was updated.
    Notification {
        /// Its method.
        method: Method,
        /// Its parameters.
        params: RawParams,
    },
    /// A backend asks the client outside any call.
    Request(ServerRequest),
}

/// Under what a client's id carries its upstream session at an endpoint, for
/// [`Session::carried`]. Made of names alone, so that a replica whose file lists the endpoints in
/// another order, or others beside them, finds the same ones.
pub fn carry_key(backend: &BackendName, endpoint: &str) -> Arc<str> {
    format!("{backend}#{:016x}", fnv1a(endpoint.as_bytes())).into()
}

type Closing = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

/// One client's session: a cheap handle, the same session for every clone.
///
/// Parts of the router keep what they opened for the session in typed slots, and register how to
/// close it. Closing runs every hook once, concurrently.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

type Slots = HashMap<(TypeId, Arc<str>), Arc<dyn Any + Send + Sync>>;

struct Inner {
    id: SessionId,
    client: Arc<ClientProfile>,
    slots: Mutex<Slots>,
    carried: Mutex<Carried>,
    closings: Mutex<Option<Vec<Closing>>>,
    suspended: AtomicBool,
    revived: AtomicBool,
    outbox: mpsc::Sender<Outbox>,
    /// Zero: none; otherwise one more than the place of the level.
    log_level: AtomicU8,
}

/// Upstream sessions by key, and whether the client's id is made.
#[derive(Default)]
struct Carried {
    sessions: BTreeMap<Arc<str>, Arc<str>>,
    fixed: bool,
}

/// How many messages wait for a client that has no stream open, before further ones are refused.
pub const OUTBOX_CAPACITY: usize = 256;

impl Session {
    /// Opens a session; the receiver is the edge's, which writes what arrives to the client.
    pub fn open(id: SessionId, client: Arc<ClientProfile>) -> (Self, mpsc::Receiver<Outbox>) {
        let (outbox, receiver) = mpsc::channel(OUTBOX_CAPACITY);
        let session = Self(Arc::new(Inner {
            id,
            client,
            slots: Mutex::default(),
            carried: Mutex::default(),
            closings: Mutex::new(Some(Vec::new())),
            suspended: AtomicBool::new(false),
            revived: AtomicBool::new(false),
            outbox,
            log_level: AtomicU8::new(0),
        }));
        (session, receiver)
    }

    /// The id on the wire.
    pub fn id(&self) -> &SessionId {
        &self.0.id
    }

    /// What the client said of itself in `initialize`.
    pub fn client(&self) -> &Arc<ClientProfile> {
        &self.0.client
    }

    /// What some part of the router keeps under `key` (an endpoint's name, say), made by `init`
    /// at the first call. The lock is held for the look-up only, never across an await.
    pub fn slot<T: Send + Sync + 'static>(
        &self,
        key: &Arc<str>,
        init: impl FnOnce() -> T,
    ) -> Arc<T> {
        let mut slots = lock(&self.0.slots);
        let slot = slots
            .entry((TypeId::of::<T>(), key.clone()))
            .or_insert_with(|| Arc::new(init()))
            .clone();
        drop(slots);
        slot.downcast()
            .unwrap_or_else(|_| unreachable!("slots are keyed by their type"))
    }

    /// The upstream session that the client's own id carries under [a key](carry_key). Whoever
    /// opens a conversation for this session goes on in that one instead, on whatever replica.
    pub fn carried(&self, key: &str) -> Option<Arc<str>> {
        lock(&self.0.carried).sessions.get(key).cloned()
    }

    /// Whether an upstream session is carried at all.
    pub fn carries_any(&self) -> bool {
        !lock(&self.0.carried).sessions.is_empty()
    }

    /// Whether an upstream session at some endpoint of `backend` is carried.
    pub fn carries(&self, backend: &BackendName) -> bool {
        let carried = lock(&self.0.carried);
        let of = |key: &Arc<str>| {
            key.rsplit_once('#')
                .map(|(name, _)| name == backend.as_str())
        };
        carried.sessions.keys().any(|key| of(key) == Some(true))
    }

    /// Notes an upstream session to be carried. Once the client's id is made it is too late, and
    /// nothing is noted.
    pub fn set_carried(&self, key: impl Into<Arc<str>>, upstream: impl Into<Arc<str>>) {
        let mut carried = lock(&self.0.carried);
        if !carried.fixed {
            carried.sessions.insert(key.into(), upstream.into());
        }
    }

    /// Everything that is carried, by key. From now on that stays as it is: the id is made of it.
    pub fn fix_carried(&self) -> Vec<(Arc<str>, Arc<str>)> {
        let mut carried = lock(&self.0.carried);
        carried.fixed = true;
        let all = carried.sessions.iter();
        all.map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// Registers how to close something that was opened for this session. A session that is
    /// closed already gives the hook back: run it now.
    ///
    /// # Errors
    /// The hook, if it is too late.
    pub fn on_close<F>(&self, closing: F) -> Result<(), F>
    where
        F: FnOnce() -> BoxFuture<'static, ()> + Send + 'static,
    {
        match &mut *lock(&self.0.closings) {
            Some(hooks) => {
                hooks.push(Box::new(closing));
                Ok(())
            }
            None => Err(closing),
        }
    }

    /// Ends the session: runs every hook, once, all at the same time. Later calls do nothing.
    pub async fn close(&self) {
        let hooks = lock(&self.0.closings).take().unwrap_or_default();
        futures::future::join_all(hooks.into_iter().map(|hook| hook())).await;
        lock(&self.0.slots).clear();
    }

    /// Ends the session here alone: its client goes on with it later, or on another replica.
    /// Hooks run as in [`close`](Self::close), but must leave what is
    /// [carried](Self::carried) as it is.
    pub async fn suspend(&self) {
        self.0.suspended.store(true, Ordering::Release);
        self.close().await;
    }

    /// Whether the session ended here alone; see [`suspend`](Self::suspend).
    pub fn is_suspended(&self) -> bool {
        self.0.suspended.load(Ordering::Acquire)
    }

    /// Notes that the session was begun elsewhere, or earlier and forgotten since: what the client
    /// has asked for meanwhile is not known here.
    pub fn set_revived(&self) {
        self.0.revived.store(true, Ordering::Release);
    }

    /// Whether the session came back from its id; see [`set_revived`](Self::set_revived).
    pub fn is_revived(&self) -> bool {
        self.0.revived.load(Ordering::Acquire)
    }

    /// Whether [`close`](Self::close) was called.
    pub fn is_closed(&self) -> bool {
        lock(&self.0.closings).is_none()
    }

    /// Puts a message into the client's queue, without waiting.
    ///
    /// # Errors
    /// The message, if the queue is full or the client gone: the caller counts it as dropped.
    pub fn send(&self, message: Outbox) -> Result<(), Box<Outbox>> {
        self.0.outbox.try_send(message).map_err(|e| match e {
            mpsc::error::TrySendError::Full(m) | mpsc::error::TrySendError::Closed(m) => {
                Box::new(m)
            }
        })
    }

    /// The level that `logging/setLevel` set last.
    pub fn log_level(&self) -> Option<LogLevel> {
        let place = self.0.log_level.load(Ordering::Relaxed).checked_sub(1)?;
        LogLevel::at(place)
    }

    /// Keeps the level that the client asked for.
    pub fn set_log_level(&self, level: LogLevel) {
        self.0.log_level.store(level as u8 + 1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.0.id)
            .finish_non_exhaustive()
    }
}

/// The data behind a poisoned lock is whole: nothing panics while one of these is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn session() -> (Session, mpsc::Receiver<Outbox>) {
        Session::open(SessionId::new("secret-session-id"), Arc::default())
    }

    #[tokio::test]
    async fn closing_runs_every_hook_once() {
        let (session, _outbox) = session();
        let ran = Arc::new(AtomicUsize::new(0));
        for _ in 0..3 {
            let ran = ran.clone();
            let hook = move || -> BoxFuture<'static, ()> {
                Box::pin(async move {
                    ran.fetch_add(1, Ordering::Relaxed);
                })
            };
            assert!(session.on_close(hook).is_ok());
        }
        session.close().await;
        session.clone().close().await;
        assert_eq!(ran.load(Ordering::Relaxed), 3);
        assert!(session.is_closed());
        assert!(session.on_close(|| Box::pin(async {})).is_err());
        assert!(!session.is_suspended());
    }

    #[tokio::test]
    async fn a_suspended_session_is_closed_here_and_says_so_to_its_hooks() {
        let (session, _outbox) = session();
        let seen = Arc::new(AtomicBool::new(false));
        let (hooked, saw) = (session.clone(), seen.clone());
        let hook = move || -> BoxFuture<'static, ()> {
            Box::pin(async move { saw.store(hooked.is_suspended(), Ordering::Relaxed) })
        };
        assert!(session.on_close(hook).is_ok());
        session.suspend().await;
        assert!(session.is_closed() && seen.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn slots_are_made_once_per_type_and_key() {
        let (session, _outbox) = session();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        assert_eq!(*session.slot(&a, || 1_u8), 1);
        assert_eq!(*session.slot(&a, || 2_u8), 1);
        assert_eq!(*session.slot(&b, || 3_u8), 3);
        assert_eq!(*session.slot(&a, || 4_u16), 4);
    }

    #[tokio::test]
    async fn what_is_carried_is_fixed_once_the_id_is_made() {
        let (session, _outbox) = session();
        assert_eq!(session.carried("a#0"), None);
        session.set_carried("b#1", "two");
        session.set_carried("a#0", "one");
        assert_eq!(session.carried("a#0").as_deref(), Some("one"));
        let all = session.fix_carried();
        assert_eq!(all.len(), 2);
        assert_eq!(&*all[1].1, "two");
        session.set_carried("a#0", "late");
        assert_eq!(session.carried("a#0").as_deref(), Some("one"));
    }

    #[tokio::test]
    async fn what_is_carried_is_found_by_the_names_of_backend_and_endpoint() {
        let (session, _outbox) = session();
        let [db, other]: [BackendName; 2] = ["db", "d"].map(|name| name.parse().unwrap());
        assert!(!session.carries_any());
        session.set_carried(carry_key(&db, "http://one/mcp"), "s");
        assert!(session.carries_any() && session.carries(&db) && !session.carries(&other));
        let carried = |endpoint| session.carried(&carry_key(&db, endpoint));
        assert_eq!(carried("http://one/mcp").as_deref(), Some("s"));
        assert_eq!(carried("http://two/mcp"), None);
        // Other processes make the same key, for ever.
        assert_eq!(&*carry_key(&db, "http://one/mcp"), "db#8bb7f61cc96a713e");
    }

    #[tokio::test]
    async fn a_full_outbox_gives_the_message_back() {
        let (session, _outbox) = session();
        let message = || Outbox::Notification {
            method: Method::ToolsChanged,
            params: RawParams::default(),
        };
        for _ in 0..OUTBOX_CAPACITY {
            session.send(message()).unwrap();
        }
        assert!(session.send(message()).is_err());
    }

    #[tokio::test]
    async fn ids_do_not_show_in_logs() {
        let (session, _outbox) = session();
        assert!(!format!("{session:?}").contains("session-id"));
    }
}
