//! The stacks of layers, each written once, outermost first.
//!
//! ```text
//! front      Trace -> Drain -> router
//! backend    Limit -> Retry -> the balance, where there are several endpoints
//! endpoint   Attempt -> Breaker -> Timeout -> edge
//! ```

use std::sync::Arc;
use std::time::Duration;

use mcp_router_config::{BackendConfig, Config, EndpointConfig, Limits};
use mcp_router_core::Router;
use mcp_router_layers::{
    Attempt, AttemptLayer, Balance, BalanceParams, Breaker, BreakerLayer, DrainLayer, Endpoint,
    Limit, LimitLayer, LimitParams, Retry, RetryLayer, RetryParams, Timeout, TimeoutLayer,
    TraceLayer,
};
use mcp_router_observe::CallSink;
use mcp_router_observe::traces::Tracer;
use mcp_router_service::{CallError, McpRequest, McpResponse, McpService};
use tower::{Service, ServiceBuilder};

/// What the layers of one backend obey.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct StackParams {
    pub(super) limit: LimitParams,
    pub(super) retry: RetryParams,
    pub(super) attempt: Duration,
    pub(super) balance: BalanceParams,
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
        let attempt = backend.timeout.unwrap_or(config.routing.request_timeout);
        Self {
            limit: limit(own, default, limits),
            retry: retry(config, attempt),
            attempt,
            balance: BalanceParams {
                policy: backend.balancing,
                ..BalanceParams::default()
            },
        }
    }

    /// The parameters of a backend that is not in a file.
    pub(super) fn plain(config: &Config) -> Self {
        Self {
            limit: limit(None, LimitParams::default(), &config.server.limits),
            retry: retry(config, config.routing.request_timeout),
            attempt: config.routing.request_timeout,
            balance: BalanceParams::default(),
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

fn retry(config: &Config, attempt: Duration) -> RetryParams {
    let retry = &config.routing.retry;
    RetryParams {
        max_attempts: retry.max_attempts,
        backoff: retry.backoff,
        attempt,
        ..RetryParams::default()
    }
}

/// What every call to a backend passes. (The router itself names the
/// backend in failures.) Not boxed: the router does that.
pub(super) fn backend<S>(params: StackParams, endpoint: S) -> Limit<Retry<S>>
where
    S: Service<McpRequest, Response = McpResponse, Error = CallError> + Clone,
{
    retried(params, RetryLayer::new(params.retry), endpoint)
}

/// The same where there are several endpoints.
pub(super) fn replicated<S>(params: StackParams, balance: Balance<S>) -> Limit<Retry<Balance<S>>>
where
    Balance<S>: Service<McpRequest, Response = McpResponse, Error = CallError>,
{
    let retry = RetryLayer::new(params.retry);
    // One budget: a call that goes from one failing endpoint to the next is load like a repeated one.
    let balance = balance.paid_by(retry.budget());
    retried(params, retry, balance)
}

fn retried<S>(params: StackParams, retry: RetryLayer, endpoints: S) -> Limit<Retry<S>>
where
    S: Service<McpRequest, Response = McpResponse, Error = CallError> + Clone,
{
    ServiceBuilder::new()
        // Outside the timeout: waiting for a turn is not the backend's slowness.
        .layer(LimitLayer::new(params.limit))
        // Inside the limit: a call that waits for its next attempt still is one of the backend's.
        .layer(retry)
        .service(endpoints)
}

/// What every attempt at one endpoint passes. Not boxed either.
pub(super) fn endpoint(
    params: StackParams,
    attempts: AttemptLayer,
    endpoint: &Endpoint,
    edge: McpService,
) -> Attempt<Breaker<Timeout<McpService>>> {
    ServiceBuilder::new()
        // Around everything: what an open circuit refuses is an attempt, too.
        .layer(attempts)
        // Outside the timeout, so that a slow endpoint counts as a failing one.
        .layer(BreakerLayer::new(endpoint.clone()))
        .layer(TimeoutLayer::new(params.attempt))
        .service(edge)
}

/// What every request of a client passes, whichever edge it came in by.
pub(super) fn front(
    router: Router,
    calls: DrainLayer,
    sinks: Vec<Arc<dyn CallSink>>,
    tracer: Option<Tracer>,
) -> McpService {
    let stack = ServiceBuilder::new()
        // Around everything: one call is one line, however many backends it saw.
        .layer(TraceLayer::new().sinks(sinks).tracer(tracer))
        // Inside it: a call that is ended at the end of the router is still told.
        .layer(calls)
        .service(router);
    McpService::new(stack)
}
