//! How a router is put together.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use mcp_router_observe::metrics::Meters;
use mcp_router_observe::recent::RecentCalls;
use mcp_router_protocol::{BackendName, InvalidName, name};
use mcp_router_routing::{CustomStrategy, Strategy};
use mcp_router_service::seal::{KeyError, Purpose, Sealer};

use crate::backend::{Backend, Cell, Meta};
use crate::bridge::{Bridge, Parking};
use crate::fleet::{Entry, Fleet, Transition};
use crate::hub::{Hub, Settings};
use crate::listing::Bounds;
use crate::manager::Manager;
use crate::router::Router;
use crate::strategy::Custom;

/// Why a router could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two backends of one name.
    #[error("two backends are named `{0}`")]
    DuplicateBackend(BackendName),
    /// A backend was to be kept that is not there.
    #[error("backend `{0}` is to be kept, but is not there")]
    NotRunning(BackendName),
    /// A route falls back to nobody.
    #[error("backend `{backend}` falls back to `{fallback_to}`, which is no backend")]
    UnknownFallback {
        /// Whose route it is.
        backend: BackendName,
        /// Whom it names.
        fallback_to: BackendName,
    },
    /// A tool cannot be offered under the name it should get.
    #[error("backend `{backend}` renames a tool to what is no name")]
    InvalidRename {
        /// Whose tool it is.
        backend: BackendName,
        /// What is wrong with the name.
        source: InvalidName,
    },
    /// No key for cursors or states.
    #[error("no key for sealed tokens")]
    Key(#[from] KeyError),
}

/// Collects backends and settings; see [`Router::builder`].
#[derive(Debug)]
pub struct RouterBuilder {
    settings: Settings,
    entries: Vec<Entry>,
    cursors: Option<Sealer>,
    states: Option<Sealer>,
    tasks: Option<Sealer>,
    parking: Parking,
    meters: Meters,
    recent: Option<Arc<RecentCalls>>,
}

impl Default for RouterBuilder {
    fn default() -> Self {
        let settings = Settings {
            server_name: "mcp-router".into(),
            server_version: env!("CARGO_PKG_VERSION").into(),
            namespaces: true,
            fitted: false,
            stale_ttl: Duration::from_secs(300),
            cache_ttl: Duration::from_secs(300),
            startup_wait: Duration::from_secs(2),
            page_size: 1000,
            bounds: Bounds::default(),
            default: Strategy::default(),
            strategy: None,
            manager: None,
        };
        Self {
            settings,
            entries: Vec::new(),
            cursors: None,
            states: None,
            tasks: None,
            parking: Parking::default(),
            meters: Meters::default(),
            recent: None,
        }
    }
}

impl RouterBuilder {
    /// `serverInfo.name`. Default `mcp-router`.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.settings.server_name = name.into();
        self
    }

    /// Whether names are offered as `namespace.name`. Default true.
    #[must_use]
    pub const fn namespaces(mut self, on: bool) -> Self {
        self.settings.namespaces = on;
        self
    }

    /// Whether every client gets names of tools and prompts that hosts and model APIs accept:
    /// `[a-zA-Z0-9_-]`, at most 64 bytes, `namespace__name`. Otherwise those get them that are known
    /// to need them ([`Profile`](mcp_router_protocol::Profile)). Calls understand every spelling,
    /// whoever makes them. Default false.
    #[must_use]
    pub const fn fitted_names(mut self, on: bool) -> Self {
        self.settings.fitted = on;
        self
    }

    /// How long the items of a lost backend stay listed. Default 300 s.
    #[must_use]
    pub const fn stale_ttl(mut self, ttl: Duration) -> Self {
        self.settings.stale_ttl = ttl;
        self
    }

    /// The longest age of a list before it is fetched again. Default 300 s.
    #[must_use]
    pub const fn cache_ttl(mut self, ttl: Duration) -> Self {
        self.settings.cache_ttl = ttl;
        self
    }

    /// How long the first list waits for backends that have not answered yet. Default 2 s.
    #[must_use]
    pub const fn startup_wait(mut self, wait: Duration) -> Self {
        self.settings.startup_wait = wait;
        self
    }

    /// Most items on a page of a list. At least 1; default 1000, because many hosts never ask for
    /// a second page.
    #[must_use]
    pub fn page_size(mut self, size: usize) -> Self {
        self.settings.page_size = size.max(1);
        self
    }

    /// Most items taken from one list of one backend; a longer list is refused. Default 10,000.
    #[must_use]
    pub const fn max_items(mut self, items: usize) -> Self {
        self.settings.bounds.items = items;
        self
    }

    /// The strategy of tools that no route of their backend is for. Default
    /// [`Strategy::Capability`].
    #[must_use]
    pub const fn default_strategy(mut self, strategy: Strategy) -> Self {
        self.settings.default = strategy;
        self
    }

    /// Chooses the backends of every tool call by a strategy of your own, instead of by routes and
    /// the default one. What is safe to repeat elsewhere stays the same.
    #[must_use]
    pub fn strategy(mut self, strategy: impl CustomStrategy) -> Self {
        self.settings.strategy = Some(Custom(Arc::new(strategy)));
        self
    }

    /// What seals cursors. Routers that share the key understand each other's cursors. Default: a
    /// key of this router alone.
    #[must_use]
    pub fn cursor_sealer(mut self, sealer: Sealer) -> Self {
        self.cursors = Some(sealer);
        self
    }

    /// What seals the ids of tasks. Routers that share the key understand each other's ids. Default:
    /// a key of this router alone.
    #[must_use]
    pub fn task_sealer(mut self, sealer: Sealer) -> Self {
        self.tasks = Some(sealer);
        self
    }

    /// What seals the state of calls that clients make in rounds. Routers that share the key
    /// understand each other's, unless the call waits in one of them. Default: a key of this router
    /// alone.
    #[must_use]
    pub fn state_sealer(mut self, sealer: Sealer) -> Self {
        self.states = Some(sealer);
        self
    }

    /// How many calls may wait for what their clients bring in a later round, and for how long.
    #[must_use]
    pub const fn parking(mut self, parking: Parking) -> Self {
        self.parking = parking;
        self
    }

    /// Where calls are counted, if anybody counts them: its [`CallSink`] must be told of their ends,
    /// by a [`TraceLayer`](mcp_router_layers::TraceLayer) around the router.
    ///
    /// [`CallSink`]: mcp_router_observe::CallSink
    #[must_use]
    pub fn meters(mut self, meters: Meters) -> Self {
        self.meters = meters;
        self
    }

    /// Where the calls that end are noted, so that `get_routing_info` can tell of a tool's last one.
    /// As for [`meters`](Self::meters), somebody else must tell of the ends.
    #[must_use]
    pub fn recent(mut self, recent: Arc<RecentCalls>) -> Self {
        self.recent = Some(recent);
        self
    }

    /// Adds a backend. The order counts between equal priorities.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.entries.push(Entry::New(Box::new(backend)));
        self
    }

    /// Keeps a backend that is there already; for [`Router::update`] alone. The order counts as with
    /// others.
    #[must_use]
    pub fn keep(mut self, name: BackendName) -> Self {
        self.entries.push(Entry::Keep(name));
        self
    }

    /// Who stands behind the router's own tools that change something. Default: nobody, and those
    /// tools are not listed.
    #[must_use]
    pub fn manager(mut self, manager: Arc<dyn Manager>) -> Self {
        self.settings.manager = Some(manager);
        self
    }

    /// Starts the router: one supervisor task a backend. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// If two backends have one name, a route or a rule of one is wrong, or no random key can be
    /// made.
    pub fn build(mut self) -> Result<Router, BuildError> {
        self.check(&[])?;
        let sealer = |given: Option<Sealer>, purpose| match given {
            Some(sealer) => Ok(sealer),
            None => Sealer::new::<[u8; 32]>(&[], purpose),
        };
        let cursors = sealer(self.cursors.take(), Purpose::Cursor)?;
        let states = sealer(self.states.take(), Purpose::State)?;
        let tasks = sealer(self.tasks.take(), Purpose::Task)?;
        let bridge = Bridge::new(states, self.parking);
        let mut hub = Hub::new(self.settings.clone(), cursors, tasks, bridge);
        (hub.meters, hub.recent) = (self.meters, self.recent);
        let hub = Arc::new(hub);
        let recruits: Vec<_> = self
            .entries
            .into_iter()
            .filter_map(|entry| match entry {
                Entry::New(backend) => Some(hub.enlist(*backend, None)),
                Entry::Keep(_) => None, // refused above
            })
            .collect();
        let cells: Vec<_> = recruits.iter().map(|r| r.cell.clone()).collect();
        for (place, cell) in cells.iter().enumerate() {
            cell.set_position(place);
        }
        // All of them are there before the first has anything to say.
        let settings = Arc::new(self.settings);
        hub.fleet.store(Arc::new(Fleet { settings, cells }));
        hub.publish(); // settles a router without backends at once
        for recruit in recruits {
            let cell = hub.launch(recruit);
            hub.keep_watch(&cell);
        }
        tokio::spawn(end_of_start(hub.clone()));
        Ok(Router::new(hub))
    }

    /// Whether the backends make sense beside each other, where `running` are there already.
    fn check(&self, running: &[Arc<Cell>]) -> Result<(), BuildError> {
        let mut names = HashSet::new();
        for entry in &self.entries {
            if !names.insert(entry.name().clone()) {
                return Err(BuildError::DuplicateBackend(entry.name().clone()));
            }
        }
        for entry in &self.entries {
            match entry {
                Entry::New(backend) => check(&backend.meta, &names)?,
                Entry::Keep(name) => {
                    let cell = running.iter().find(|cell| cell.meta.name == *name);
                    let cell = cell.ok_or_else(|| BuildError::NotRunning(name.clone()))?;
                    check(&cell.meta, &names)?;
                }
            }
        }
        Ok(())
    }
}

impl Router {
    /// Changes the running router to the settings and backends of `next`. Those that `next`
    /// [keeps](RouterBuilder::keep) go on as they are. Others of a known name are started beside the
    /// one of that name and take its place when they are listed, or 30 s later; those that `next`
    /// does not have are closed when no call can reach them any more. Calls keep what they began
    /// with. What seals tokens, what counts calls, the bounds of calls that wait and, where `next`
    /// says nothing, the [manager](RouterBuilder::manager) stay as they are.
    ///
    /// Resolves when the change is made. Dropped before, it goes on by itself.
    ///
    /// # Errors
    /// If `next` makes no sense, also beside what is kept. Nothing has changed then.
    pub async fn update(&self, next: RouterBuilder, how: Transition) -> Result<(), BuildError> {
        let fleet = self.hub.fleet.load_full();
        next.check(&fleet.cells)?;
        let RouterBuilder {
            mut settings,
            entries,
            ..
        } = next;
        if settings.manager.is_none() {
            settings.manager.clone_from(&fleet.settings.manager);
        }
        let updating = self.hub.clone().update(settings, entries, how);
        // Who asked may go away; half a change would be none of the two.
        let _ = tokio::spawn(updating).await;
        Ok(())
    }
}

/// Whether what is said about a backend's tools makes sense among those of these `names`.
fn check(meta: &Meta, names: &HashSet<BackendName>) -> Result<(), BuildError> {
    let own = &meta.name;
    let policy = &meta.policy;
    let named = policy.routes.iter().filter_map(|r| r.fallback_to.as_ref());
    if let Some(unknown) = named.clone().find(|name| !names.contains(*name)) {
        return Err(BuildError::UnknownFallback {
            backend: own.clone(),
            fallback_to: unknown.clone(),
        });
    }
    for (_, public) in &policy.rules.rename {
        name::check_item_name(public).map_err(|source| BuildError::InvalidRename {
            backend: own.clone(),
            source,
        })?;
    }
    Ok(())
}

/// Ends the wait at the start, however many backends have not answered.
async fn end_of_start(hub: Arc<Hub>) {
    // A little early, so that who asks when the wait is over finds the router ready.
    let wait = hub.settings().startup_wait;
    let wait = wait - (wait / 20).min(Duration::from_millis(100));
    tokio::select! {
        () = hub.ready() => {}
        () = tokio::time::sleep(wait) => hub.set_ready(),
        () = hub.stop.cancelled() => {}
    }
}
