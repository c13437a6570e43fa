//! The layers around a backend in words, with the settings that came out for it.
//!
//! A setting may come from the backend, the file, the environment or the layer itself; who wonders
//! why a call took as long as it did wants to see what holds.

use std::time::Duration;

use mcp_router_config::{BackendConfig, Config, EndpointConfig};
use serde::Serialize;
use serde_json::{Value, json};

use super::stack::StackParams;

/// One layer, and what it obeys.
#[derive(Debug, Serialize)]
pub(crate) struct LayerText {
    pub(crate) layer: &'static str,
    pub(crate) settings: Value,
}

/// What a call of `tool`, by the backend's own name for it, passes on its way to the backend,
/// outermost first. Has the order of the `stack` module.
pub(crate) fn layers(backend: &BackendConfig, config: &Config, tool: &str) -> Vec<LayerText> {
    let params = StackParams::of(backend, config);
    let (limit, retry, breaker) = (params.limit, params.retry, &backend.breaker);
    let layer = |layer, settings| LayerText { layer, settings };
    let mut layers = vec![
        layer(
            "limit",
            json!({
                "max_concurrency": limit.max_concurrency,
                "max_queue": limit.max_queue,
                "max_wait_seconds": seconds(limit.max_wait),
            }),
        ),
        layer(
            "retry",
            json!({
                "safety": backend.safety.as_str(),
                "max_attempts": retry.max_attempts,
                "backoff_multiplier": retry.backoff.multiplier(),
                "max_backoff_seconds": seconds(retry.backoff.cap()),
            }),
        ),
    ];
    let endpoints = backend.endpoint.count();
    if endpoints > 1 {
        let settings = json!({ "policy": backend.balancing.as_str(), "endpoints": endpoints });
        layers.push(layer("balance", settings));
    }
    layers.push(layer(
        "breaker",
        json!({
            "failure_threshold": breaker.failure_threshold(),
            "timeout_seconds": seconds(breaker.open_for()),
            "half_open_attempts": breaker.half_open_attempts(),
            "failure_rate_percent": breaker.failure_rate().map(|rate| rate.percent()),
        }),
    ));
    let attempt = backend.tools.timeout(tool).unwrap_or(params.attempt);
    layers.push(layer(
        "timeout",
        json!({ "attempt_seconds": seconds(attempt) }),
    ));
    layers.push(layer("edge", edge(backend)));
    layers
}

fn edge(backend: &BackendConfig) -> Value {
    let transport = match &backend.endpoint {
        EndpointConfig::Http(http) => http.transport.as_str(),
        _ => "stdio",
    };
    json!({
        "to": super::edge::url_text(&backend.endpoint),
        "transport": transport,
        "session": backend.session.as_str(),
        "lazy": backend.lazy,
    })
}

/// Whole seconds without a fraction.
fn seconds(time: Duration) -> Value {
    match time.subsec_nanos() {
        0 => time.as_secs().into(),
        _ => time.as_secs_f64().into(),
    }
}
