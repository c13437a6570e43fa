//! How a router is put together.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use mcp_router_protocol::{BackendName, InvalidName, name};
use mcp_router_routing::{CustomStrategy, Strategy};
use mcp_router_service::seal::{KeyError, Purpose, Sealer};

use crate::backend::{Backend, Cell};
use crate::bridge::{Bridge, Parking};
use crate::hub::{Hub, Settings};
use crate::listing::{Bounds, Sources};
use crate::probe::Probing;
use crate::router::Router;
use crate::strategy::Custom;
use crate::subscriptions::Keeper;
use crate::supervisor::Supervisor;

/// Why a router could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two backends of one name.
    #[error("two backends are named `{0}`")]
    DuplicateBackend(BackendName),
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
    backends: Vec<Backend>,
    cursors: Option<Sealer>,
    states: Option<Sealer>,
    tasks: Option<Sealer>,
    parking: Parking,
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
        };
        Self {
            settings,
            backends: Vec::new(),
            cursors: None,
            states: None,
            tasks: None,
            parking: Parking::default(),
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

    /// Adds a backend. The order counts between equal priorities.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backends.push(backend);
        self
    }

    /// Starts the router: one supervisor task a backend. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// If two backends have one name, a route or a rule of one is wrong, or no random key can be
    /// made.
    pub fn build(self) -> Result<Router, BuildError> {
        let mut names = HashSet::new();
        for backend in &self.backends {
            if !names.insert(backend.meta.name.clone()) {
                return Err(BuildError::DuplicateBackend(backend.meta.name.clone()));
            }
        }
        for backend in &self.backends {
            check(backend, &names)?;
        }
        let sealer = |given: Option<Sealer>, purpose| match given {
            Some(sealer) => Ok(sealer),
            None => Sealer::new::<[u8; 32]>(&[], purpose),
        };
        let cursors = sealer(self.cursors, Purpose::Cursor)?;
        let states = sealer(self.states, Purpose::State)?;
        let tasks = sealer(self.tasks, Purpose::Task)?;
        let bridge = Bridge::new(states, self.parking);
        let mut cells = Vec::new();
        let mut closings = Vec::new();
        let mut feeds = Vec::new();
        let mut probes = Vec::new();
        for (position, mut backend) in self.backends.into_iter().enumerate() {
            let cell = Arc::new(Cell::new(&backend, position));
            closings.extend(backend.closing.take());
            for (endpoint, prober, params) in std::mem::take(&mut backend.probes) {
                probes.push(Probing::new(cell.clone(), endpoint, prober, params));
            }
            let service = backend.service.take();
            feeds.extend(service.map(|s| {
                (
                    cell.clone(),
                    Sources::new(s, backend.sources),
                    backend.events,
                )
            }));
            cells.push(cell);
        }
        let hub = Arc::new(Hub::new(
            self.settings,
            cells,
            cursors,
            tasks,
            bridge,
            closings,
        ));
        for (cell, sources, events) in feeds {
            let keeper = Keeper::new(cell.clone(), sources.clone(), hub.settings.namespaces);
            let stop = hub.stop.clone();
            tokio::spawn(async move { stop.run_until_cancelled(keeper.run()).await });
            tokio::spawn(Supervisor::new(hub.clone(), cell, sources).run(events));
        }
        for probing in probes {
            let stop = hub.stop.clone();
            tokio::spawn(async move { stop.run_until_cancelled(probing.run()).await });
        }
        tokio::spawn(end_of_start(hub.clone()));
        Ok(Router::new(hub))
    }
}

/// Whether what is said about a backend's tools makes sense among those of these `names`.
fn check(backend: &Backend, names: &HashSet<BackendName>) -> Result<(), BuildError> {
    let own = &backend.meta.name;
    let policy = &backend.meta.policy;
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
    hub.publish(); // settles a router without backends at once
    // A little early, so that who asks when the wait is over finds the router ready.
    let wait = hub.settings.startup_wait;
    let wait = wait - (wait / 20).min(Duration::from_millis(100));
    tokio::select! {
        () = hub.ready() => {}
        () = tokio::time::sleep(wait) => hub.set_ready(),
        () = hub.stop.cancelled() => {}
    }
}
