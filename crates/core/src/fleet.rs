//! The backends of a running router: who is among them, who comes, who goes.
//!
//! A configuration is changed while calls run. What did not change must not notice: its connections,
//! sessions, circuits and processes go on. What is new is started beside the old and takes its place
//! when it is listed, and what goes is closed when nobody can call it any more. Each call keeps the
//! snapshot that it began with, and with it whoever it may need.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use mcp_router_health::ProbeParams;
use mcp_router_layers::Endpoint;
use mcp_router_protocol::BackendName;
use mcp_router_service::{EventStream, Prober};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::backend::{Backend, Cell, Closing, Ties};
use crate::hub::{Hub, Settings};
use crate::probe::Probing;
use crate::subscriptions::{Keeper, Subscriptions};
use crate::supervisor::Supervisor;

/// How long one that replaces another may take to be listed, before it takes its place anyway.
const SUCCESSION: Duration = Duration::from_secs(30);

/// Settings and backends, in the order of the file.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) settings: Arc<Settings>,
    pub(crate) cells: Vec<Arc<Cell>>,
}

/// Those that were started to replace others and are not listed yet.
pub(crate) type Successors = HashMap<BackendName, Arc<Cell>>;

/// How to close a backend, and how to know that nobody can call it any more.
pub(crate) struct Held {
    closing: Option<Closing>,
    gone: CancellationToken,
}

/// A backend that nobody looks after yet.
pub(crate) struct Recruit {
    pub(crate) cell: Arc<Cell>,
    events: Option<EventStream>,
    probes: Vec<(Endpoint, Prober, ProbeParams)>,
}

/// One of the backends that there shall be.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A new one, in the place of the one of its name, if there is one.
    New(Box<Backend>),
    /// The one that is there.
    Keep(BackendName),
}

/// How a running router changes to another set of backends; see
/// [`Router::update`](crate::Router::update).
#[derive(Clone, Copy, Debug)]
pub struct Transition {
    /// How long to wait for new backends to be listed, so that clients hear of all of them at once.
    /// Those that take longer come later.
    pub wait: Duration,
    /// How long calls in flight at backends that go may take.
    pub drain: Duration,
}

impl Default for Transition {
    /// Waits 1 s, drains 13 s.
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(1),
            drain: Duration::from_secs(13),
        }
    }
}

impl Entry {
    pub(crate) fn name(&self) -> &BackendName {
        match self {
            Self::New(backend) => &backend.meta.name,
            Self::Keep(name) => name,
        }
    }
}

impl Held {
    pub(crate) fn into_closing(self) -> Option<Closing> {
        self.closing
    }
}

impl Fleet {
    pub(crate) fn find(&self, name: &BackendName) -> Option<&Arc<Cell>> {
        self.cells.iter().find(|cell| cell.meta.name == *name)
    }
}

impl Hub {
    /// Takes a backend in, which replaces `before` if there is one. Nobody looks after it yet.
    pub(crate) fn enlist(&self, mut backend: Backend, before: Option<&Cell>) -> Recruit {
        let gone = CancellationToken::new();
        let heir = before.filter(|old| old.meta.namespace == backend.meta.namespace);
        let ties = Ties {
            subscriptions: match heir {
                Some(old) => old.subscriptions.clone(),
                None => Arc::new(Subscriptions::default()),
            },
            stop: self.stop.child_token(),
            gone: gone.clone().drop_guard(),
        };
        let cell = Arc::new(Cell::new(&backend, ties));
        let closing = backend.closing.take();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(cell.id, Held { closing, gone });
        Recruit {
            cell,
            events: backend.events.take(),
            probes: std::mem::take(&mut backend.probes),
        }
    }

    /// Has a backend listed and probed from now on, until its `stop`.
    pub(crate) fn launch(self: &Arc<Self>, recruit: Recruit) -> Arc<Cell> {
        let Recruit {
            cell,
            events,
            probes,
        } = recruit;
        if let Some(sources) = cell.sources.clone() {
            tokio::spawn(Supervisor::new(self.clone(), cell.clone(), sources).run(events));
        }
        for (endpoint, prober, params) in probes {
            let probing = Probing::new(cell.clone(), endpoint, prober, params);
            let stop = cell.stop.clone();
            tokio::spawn(async move { stop.run_until_cancelled(probing.run()).await });
        }
        cell
    }

    /// Looks after what is watched at a backend from now on.
    pub(crate) fn keep_watch(self: &Arc<Self>, cell: &Arc<Cell>) {
        let Some(sources) = cell.sources.clone() else {
            return;
        };
        let keeper = Keeper::new(self.clone(), cell.clone(), sources);
        let stop = cell.stop.clone();
        tokio::spawn(async move { stop.run_until_cancelled(keeper.run()).await });
    }

    /// Changes to these backends and settings. Each of [`Entry::Keep`] must be there.
    pub(crate) async fn update(
        self: Arc<Self>,
        settings: Settings,
        entries: Vec<Entry>,
        how: Transition,
    ) {
        let mut successors = self.updating.lock().await;
        if self.stop.is_cancelled() {
            return; // the router is closed
        }
        let old = self.fleet.load_full();
        let begun = self.begin(&old, entries, &mut successors, how.drain);
        let arriving = begun.iter().filter_map(Place::arriving);
        let listed = arriving.map(|cell| cell.until(|live| live.is_there()));
        let listed = timeout(how.wait, futures::future::join_all(listed));
        // Who takes longer comes later.
        let _ = self.stop.run_until_cancelled(listed).await;

        let mut cells = Vec::with_capacity(begun.len());
        let mut leaving: Vec<Arc<Cell>> = old.cells.clone();
        for place in begun {
            let cell = match place {
                Place::Same(cell) => cell,
                Place::New(cell) => {
                    self.keep_watch(&cell);
                    cell
                }
                Place::Replaced { old, new } if new.live.load().is_there() || !old.usable() => {
                    self.hand_over(&old, &new);
                    new
                }
                Place::Replaced { old, new } => {
                    successors.insert(new.meta.name.clone(), new.clone());
                    let hub = self.clone();
                    tokio::spawn(hub.succeed(old.clone(), new, how.drain));
                    old
                }
            };
            cell.set_position(cells.len());
            leaving.retain(|old| old.id != cell.id);
            cells.push(cell);
        }
        let settings = Arc::new(settings);
        self.fleet.store(Arc::new(Fleet { settings, cells }));
        self.publish();
        for cell in leaving {
            self.retire(&cell, how.drain);
        }
    }

    /// Starts whoever is new, and stops successors that nobody needs any more.
    fn begin(
        self: &Arc<Self>,
        fleet: &Fleet,
        entries: Vec<Entry>,
        successors: &mut Successors,
        drain: Duration,
    ) -> Vec<Place> {
        let kept = |name: &BackendName| {
            let mut all = entries.iter();
            all.any(|entry| matches!(entry, Entry::Keep(kept) if kept == name))
        };
        let needless: Vec<_> = successors.keys().filter(|n| !kept(n)).cloned().collect();
        for name in needless {
            if let Some(cell) = successors.remove(&name) {
                self.retire(&cell, drain);
            }
        }
        let place = |entry| match entry {
            Entry::Keep(name) => fleet.find(&name).cloned().map(Place::Same),
            Entry::New(backend) => {
                let before = fleet.find(&backend.meta.name).cloned();
                let recruit = self.enlist(*backend, before.as_deref());
                let new = self.launch(recruit);
                Some(match before {
                    Some(old) => Place::Replaced { old, new },
                    None => Place::New(new),
                })
            }
        };
        entries.into_iter().filter_map(place).collect()
    }

    /// Lets one that replaces another take its place when it is listed, or when that takes too long.
    async fn succeed(self: Arc<Self>, old: Arc<Cell>, new: Arc<Cell>, drain: Duration) {
        tokio::select! {
            // Something newer takes the place, or the router ends.
            () = new.stop.cancelled() => return,
            () = new.until(|live| live.is_there()) => {}
            () = sleep(SUCCESSION) => {
                let backend = &new.meta.name;
                tracing::warn!(%backend, "not listed yet; takes the place of the one before anyway");
            }
        }
        let mut successors = self.updating.lock().await;
        let name = &new.meta.name;
        if successors.get(name).is_none_or(|next| next.id != new.id) {
            return;
        }
        successors.remove(name);
        let fleet = self.fleet.load_full();
        let mut cells = fleet.cells.clone();
        if let Some(place) = cells.iter_mut().find(|cell| cell.id == old.id) {
            new.set_position(place.position());
            self.hand_over(&old, &new);
            *place = new;
        }
        let settings = fleet.settings.clone();
        self.fleet.store(Arc::new(Fleet { settings, cells }));
        self.publish();
        self.retire(&old, drain);
    }

    /// What clients watch at `old`, they watch at `new` from now on.
    fn hand_over(self: &Arc<Self>, old: &Cell, new: &Arc<Cell>) {
        old.stop.cancel();
        // What was open is gone: who may have missed something is told.
        old.subscriptions.unsettle();
        self.keep_watch(new);
    }

    /// Closes a backend that is no longer in any new snapshot, when nobody can call it any more.
    fn retire(&self, cell: &Arc<Cell>, drain: Duration) {
        cell.stop.cancel();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Held { closing, gone }) = held.remove(&cell.id) else {
            return; // closed with the router
        };
        drop(held);
        let (stop, backend) = (self.stop.clone(), cell.meta.name.clone());
        self.leaving.spawn(async move {
            tokio::select! {
                () = gone.cancelled() => {}
                () = stop.cancelled() => {}
                () = sleep(drain) => {
                    tracing::warn!(%backend, "calls in flight at a backend that is gone are cut off");
                }
            }
            if let Some(close) = closing {
                close().await;
            }
            tracing::info!(%backend, "backend closed");
        });
    }
}

/// A place among the backends during a change.
enum Place {
    Same(Arc<Cell>),
    New(Arc<Cell>),
    Replaced { old: Arc<Cell>, new: Arc<Cell> },
}

impl Place {
    fn arriving(&self) -> Option<&Arc<Cell>> {
        match self {
            Self::Same(_) => None,
            Self::New(cell) | Self::Replaced { new: cell, .. } => Some(cell),
        }
    }
}
