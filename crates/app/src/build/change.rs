//! What a plan has to say when a running router is to change to it.

use std::sync::Arc;
use std::time::Duration;

use mcp_router_config::{BackendConfig, Config, Separator};
use mcp_router_core::{Backend, Manager, Router, RouterBuilder};
use mcp_router_protocol::BackendName;

use super::stack::StackParams;
use super::{Plan, StartError, backend};
use crate::reload::Origin;

/// Who named a backend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NamedBy {
    /// The file: it may be anywhere, and what it says of its tools is believed.
    Operator,
    /// A client, at run time.
    Client {
        /// Whether it may be elsewhere than on the internet.
        private: bool,
    },
}

/// Everything that a backend is built of. Two of the same shape need not be exchanged.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shape {
    backend: BackendConfig,
    by: NamedBy,
    stack: StackParams,
    /// Settings of the router that its edges go by.
    server_name: String,
    answer_bytes: Option<usize>,
    client_processes: Option<usize>,
}

impl Shape {
    pub(crate) fn name(&self) -> &BackendName {
        &self.backend.name
    }

    pub(crate) fn named_by(&self) -> NamedBy {
        self.by
    }
}

impl Plan {
    /// The same for another configuration.
    pub(crate) fn with(&self, config: Config) -> Self {
        Self {
            config,
            ..self.clone()
        }
    }

    /// Has the configuration read again when what it was made from changes.
    pub(crate) fn from(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Who changes the router on behalf of its own tools.
    pub(crate) fn managed(mut self, manager: Arc<dyn Manager>) -> Self {
        self.manager = Some(manager);
        self
    }

    /// How long the first list waits for backends.
    pub(crate) fn wait(&self) -> Duration {
        self.config.routing.startup_wait.unwrap_or(self.wait)
    }

    /// A router with the settings of this plan, and nothing else of it.
    pub(crate) fn settings(&self) -> RouterBuilder {
        let (routing, server) = (&self.config.routing, &self.config.server);
        let mut builder = Router::builder()
            .server_name(&server.name)
            .namespaces(routing.enable_namespace_prefixing)
            .fitted_names(routing.namespace_separator == Separator::Underscores)
            .default_strategy(routing.default_strategy)
            .stale_ttl(server.stale_ttl)
            .cache_ttl(routing.cache_ttl)
            .startup_wait(self.wait());
        if let Some(size) = server.limits.page_size {
            builder = builder.page_size(size);
        }
        if let Some(items) = server.limits.max_items_per_backend {
            builder = builder.max_items(items);
        }
        builder
    }

    /// What a backend would be built of.
    pub(crate) fn shape(&self, backend: &BackendConfig, by: NamedBy) -> Shape {
        let server = &self.config.server;
        Shape {
            backend: backend.clone(),
            by,
            stack: StackParams::of(backend, &self.config),
            server_name: server.name.clone(),
            answer_bytes: server.limits.max_answer_bytes,
            client_processes: server.limits.max_client_processes,
        }
    }

    /// Starts a backend.
    ///
    /// # Errors
    /// If it cannot even be tried.
    pub(crate) fn backend(
        &self,
        config: &BackendConfig,
        by: NamedBy,
    ) -> Result<Backend, StartError> {
        let built = backend::configured(config, &self.config, by, self.tracer.as_ref());
        built.map_err(|source| StartError::Backend {
            backend: config.name.clone(),
            source,
        })
    }
}
