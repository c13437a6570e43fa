//! The two stacks of layers, each written once, outermost first.

use std::time::Duration;

use mcp_router_config::{BackendConfig, Config, EndpointConfig, Limits};
use mcp_router_layers::{DrainLayer, LimitLayer, LimitParams, TimeoutLayer, TraceLayer};
use mcp_router_service::McpService;
use tower::ServiceBuilder;

/// What the layers of one backend obey.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct StackParams {
    pub(super) limit: LimitParams,
    pub(super) attempt: Duration,
}

impl StackParams {
    /// The parameters of a configured backend: its own, else the file's, else the layers'.
    pub(super) fn of(backend: &BackendConfig, config: &Config) -> Self {
        let limits = &config.server.limits;
        let (default, general) = match backend.endpoint {
            EndpointConfig::Command(_) => (LimitParams::child(), limits.max_in_flight_per_child),
            _ => (LimitParams::default(), limits.max_in_flight_per_backend),
        };
        let own = backend.max_concurrency.or(general);
        Self {
            limit: limit(own, default, limits),
            attempt: backend.timeout.unwrap_or(config.routing.request_timeout),
        }
    }

    /// The parameters of a backend that is not in a file.
    pub(super) fn plain(config: &Config) -> Self {
        Self {
            limit: limit(None, LimitParams::default(), &config.server.limits),
            attempt: config.routing.request_timeout,
        }
    }
}

fn limit(own: Option<usize>, default: LimitParams, limits: &Limits) -> LimitParams {
    LimitParams {
        max_concurrency: own.unwrap_or(default.max_concurrency),
        max_queue: limits.max_queue_per_backend.unwrap_or(default.max_queue),
        ..default
    }
}

/// What every call to a backend passes. (The router itself names the backend in failures.)
pub(super) fn backend(params: StackParams, edge: McpService) -> McpService {
    let stack = ServiceBuilder::new()
        // Outside the timeout: waiting for a turn is not the backend's slowness.
        .layer(LimitLayer::new(params.limit))
        .layer(TimeoutLayer::new(params.attempt))
        .service(edge);
    McpService::new(stack)
}

/// What every request of a client passes, whichever edge it came in by.
pub(super) fn front(router: McpService, calls: DrainLayer) -> McpService {
    let stack = ServiceBuilder::new()
        // Around everything: one call is one line, however many backends it saw.
        .layer(TraceLayer::new())
        // Inside it: a call that is ended at the end of the router is still told.
        .layer(calls)
        .service(router);
    McpService::new(stack)
}
