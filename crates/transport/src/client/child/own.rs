//! A process for each client, where the operator wants that (`session: per_client`).
//!
//! A process that remembers its client must not be shared, and one that asks back asks whoever it
//! has. But whoever opens sessions could fill the machine with processes: so there are only so
//! many, and each ends with its client's session.

use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use mcp_router_protocol::BackendName;
use mcp_router_service::{CallError, Reason, Sent, Session};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ChildParams;
use super::conn::Peer;
use super::driver::Driver;
use super::opening::Opening;
use crate::client::events::Events;
use crate::client::link::Link;
use crate::client::owner::Owner;

/// The processes of single clients of one backend.
#[derive(Debug)]
pub(super) struct Own {
    params: ChildParams,
    events: Events,
    /// Under what a client's session keeps its process.
    key: Arc<str>,
    room: Arc<Semaphore>,
    stop: CancellationToken,
    running: TaskTracker,
}

/// One client's process, kept in a slot of its session.
#[derive(Debug, Default)]
struct Place(Mutex<Option<Arc<Link<Peer>>>>);

/// Ends one process.
struct Ending {
    stop: CancellationToken,
    done: JoinHandle<()>,
    _room: OwnedSemaphorePermit,
}

impl Own {
    /// At most `most` at once, all ended by `stop`.
    pub(super) fn new(
        params: &ChildParams,
        most: usize,
        events: &Events,
        stop: &CancellationToken,
    ) -> Self {
        Self {
            events: events.without_links(),
            key: key(&params.name),
            room: Arc::new(Semaphore::new(most)),
            stop: stop.child_token(),
            running: TaskTracker::new(),
            // It is there for a client that has called already.
            params: ChildParams {
                lazy: false,
                ..params.clone()
            },
        }
    }

    /// A client's process, if it was started.
    pub(super) fn started(&self, session: &Session) -> Option<Arc<Link<Peer>>> {
        let place = session.slot(&self.key, Place::default);
        let place = place.0.lock().unwrap_or_else(PoisonError::into_inner);
        place.clone()
    }

    /// A client's process; started now if there is none.
    ///
    /// # Errors
    /// If there are too many, or the session is over.
    pub(super) fn link(&self, session: &Session) -> Result<Arc<Link<Peer>>, CallError> {
        let place = session.slot(&self.key, Place::default);
        let mut place = place.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = &*place {
            return Ok(link.clone());
        }
        let room = self.room.clone().try_acquire_owned().map_err(|_| {
            let error = CallError::new(Reason::Overloaded, Sent::No);
            error.detail(
                "every process that clients may have of their own is taken; \
                 try again once another client has ended its session",
            )
        })?;
        let patience = self.params.probe_timeout + self.params.handshake_timeout;
        let link = Arc::new(Link::new(true, patience));
        let stop = self.stop.child_token();
        let driver = Driver {
            params: self.params.clone(),
            link: link.clone(),
            events: self.events.clone(),
            stop: stop.clone(),
            opening: Opening::Probe,
            owner: Owner::client(session, &self.params.identity.json()),
        };
        let done = self.running.spawn(driver.run());
        let ending = Ending {
            stop,
            done,
            _room: room,
        };
        if let Err(ending) = session.on_close(move || ending.end().boxed()) {
            tokio::spawn(ending());
            return Err(CallError::new(Reason::Draining, Sent::No).detail("session closed"));
        }
        *place = Some(link.clone());
        Ok(link)
    }

    /// Resolves when every process has ended, after [`new`](Self::new)'s `stop`.
    pub(super) async fn ended(&self) {
        self.stop.cancelled().await;
        self.running.close();
        self.running.wait().await;
    }
}

impl Ending {
    async fn end(self) {
        self.stop.cancel();
        // A driver that panicked has dropped, and so killed, its child.
        let _ = self.done.await;
    }
}

/// Two edges, of replicas or across a reload, never share a slot.
fn key(backend: &BackendName) -> Arc<str> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static EDGES: AtomicU64 = AtomicU64::new(0);
    let number = EDGES.fetch_add(1, Ordering::Relaxed);
    format!("{backend}#child{number}").into()
}
