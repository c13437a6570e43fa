//! From a configuration to a router: an edge for each backend, the layers around it, the router
//! in front of all.

mod backend;
mod change;
mod describe;
mod edge;
mod limits;
mod memory;
mod stack;

use std::sync::Arc;
use std::time::Duration;

use mcp_router_config::Config;
use mcp_router_core::{Backend, BuildError, Manager, OWN_TOOLS, Router};
use mcp_router_layers::DrainLayer;
use mcp_router_observe::CallSink;
use mcp_router_observe::metrics::Meters;
use mcp_router_observe::recent::RecentCalls;
use mcp_router_observe::traces::Tracer;
use mcp_router_protocol::BackendName;
use mcp_router_service::McpService;
use mcp_router_service::seal::{KeyError, Purpose, Sealer};
use secrecy::ExposeSecret;

use crate::alerts::Alerts;
use crate::demo;
use crate::reload::Origin;
pub(crate) use change::{NamedBy, Shape};
pub(crate) use describe::{LayerText, layers};
pub(crate) use edge::url_text;
pub(crate) use limits::{http_params, serve_params, stdio_params};

/// Where the backends come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    /// The configuration.
    File,
    /// This program.
    Demo,
}

/// A router that is ready to be built.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) config: Config,
    source: Source,
    wait: Duration,
    recent: Option<Arc<RecentCalls>>,
    /// Records calls.
    tracer: Option<Tracer>,
    /// Tells of outages, as the configuration says.
    pub(crate) alerts: Option<Alerts>,
    manager: Option<Arc<dyn Manager>>,
    /// What the configuration was made from, if it can be read again.
    pub(crate) origin: Option<Origin>,
}

/// A running router, and the service that client edges take.
#[derive(Clone, Debug)]
pub struct Built {
    /// For readiness, drain and close.
    pub router: Router,
    /// The router behind the front layers.
    pub service: McpService,
    /// Ends the calls in flight with an answer, when there is no more time for them.
    pub calls: DrainLayer,
    /// Counts the calls.
    pub meters: Meters,
}

/// Why a router could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The router does not come together.
    #[error("cannot build the router")]
    Router(#[from] BuildError),
    /// No key for sealed tokens.
    #[error("`server.session_keys` cannot be used")]
    Keys(#[from] KeyError),
    /// One backend cannot even be tried.
    #[error("backend `{backend}` cannot be set up")]
    Backend {
        /// Its name.
        backend: BackendName,
        /// What is wrong.
        source: tower::BoxError,
    },
}

impl Plan {
    /// The router of a configuration.
    pub fn of(config: Config) -> Self {
        Self::new(config, Source::File)
    }

    pub(crate) const fn new(config: Config, source: Source) -> Self {
        Self {
            config,
            source,
            wait: Duration::from_secs(2),
            recent: None,
            tracer: None,
            alerts: None,
            manager: None,
            origin: None,
        }
    }

    /// How long the first list waits for backends, if the configuration does not say.
    #[must_use]
    pub const fn startup_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Has the calls that end noted there, for a page that shows them.
    #[must_use]
    pub fn noting(mut self, recent: Arc<RecentCalls>) -> Self {
        self.recent = Some(recent);
        self
    }

    /// Has calls recorded, and outages told.
    pub(crate) fn beside(mut self, tracer: Option<Tracer>, alerts: Alerts) -> Self {
        self.tracer = tracer;
        self.alerts = Some(alerts);
        self
    }

    /// Starts the router: connects to every backend, and starts the processes of those that are
    /// commands. Returns without waiting for any of them. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// If something about the plan cannot be done at all. A backend that is not there is no error.
    pub fn build(&self) -> Result<Built, StartError> {
        let keys = keys(&self.config);
        let mut builder = self
            .settings()
            .cursor_sealer(Sealer::new(&keys, Purpose::Cursor)?)
            .state_sealer(Sealer::new(&keys, Purpose::State)?)
            .task_sealer(Sealer::new(&keys, Purpose::Task)?)
            .parking(limits::parking(&self.config));
        if let Some(manager) = &self.manager {
            builder = builder.manager(manager.clone());
        }
        for backend in self.backends()? {
            builder = builder.backend(backend);
        }
        let meters = Meters::new(OWN_TOOLS);
        if let Some(recent) = &self.recent {
            builder = builder.recent(recent.clone());
        }
        let router = builder.meters(meters.clone()).build()?;
        let mut sinks: Vec<Arc<dyn CallSink>> = vec![Arc::new(meters.clone())];
        sinks.extend(
            self.recent
                .clone()
                .map(|recent| recent as Arc<dyn CallSink>),
        );
        let calls = DrainLayer::new();
        Ok(Built {
            service: stack::front(router.clone(), calls.clone(), sinks, self.tracer.clone()),
            router,
            calls,
            meters,
        })
    }

    fn backends(&self) -> Result<Vec<Backend>, StartError> {
        if self.source == Source::Demo {
            let demos = demo::backends().into_iter();
            return Ok(demos
                .map(|demo| backend::demo(demo, &self.config, self.tracer.as_ref()))
                .collect());
        }
        let backends = self.config.backends.iter();
        let built = |config| self.backend(config, NamedBy::Operator);
        backends.map(built).collect()
    }
}

/// The secrets that replicas share; none, if the file names none.
fn keys(config: &Config) -> Vec<&[u8]> {
    let keys = &config.server.session_keys;
    keys.iter().map(|k| k.expose_secret().as_bytes()).collect()
}

#[cfg(test)]
mod tests;
