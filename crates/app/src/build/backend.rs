//! One backend of a configuration: its edges, the layers around them, what the router knows of it.

use futures::StreamExt;
use mcp_router_config::{BackendConfig, Config};
use mcp_router_core::Backend;
use mcp_router_health::ProbeParams;
use mcp_router_layers::{
    Attempt, AttemptLayer, Balance, Balanced, Breaker, Endpoint, Replica, Timeout,
};
use mcp_router_observe::traces::Tracer;
use mcp_router_service::{EventStream, McpService, Prober};
use tower::BoxError;

use super::NamedBy;
use super::edge::{self, Edge};
use super::stack::{self, StackParams};
use crate::demo::Demo;

/// A configured backend, started unless it is switched off.
pub(super) fn configured(
    backend: &BackendConfig,
    config: &Config,
    by: NamedBy,
    tracer: Option<&Tracer>,
) -> Result<Backend, BoxError> {
    let described = |built: Backend| {
        built
            .namespace(backend.namespace.clone())
            .priority(backend.priority)
            .url_text(edge::url_text(&backend.endpoint))
            .managed(edge::is_managed(&backend.endpoint))
            .registered(by != NamedBy::Operator)
            .routes(backend.routes.clone())
            .safety(backend.safety)
            .trusted(by == NamedBy::Operator)
            .tool_rules(backend.tools.clone())
    };
    if !backend.auto_start {
        return Ok(described(Backend::disabled(backend.name.clone())));
    }
    let edges = edge::connect(backend, config, by)?;
    let watched: Vec<_> = edges.iter().map(Watched::of).collect();
    let endpoints = watched.iter().map(|place| place.endpoint.clone()).collect();
    let stacked = stacked(backend, StackParams::of(backend, config), tracer, edges)?;
    let built = watched
        .into_iter()
        .fold(stacked.endpoints(endpoints), |built, place| {
            place.by(built, backend.probe.clone())
        });
    Ok(described(built))
}

/// A backend inside this program, in the layers that others have.
pub(super) fn demo(demo: Demo, config: &Config, tracer: Option<&Tracer>) -> Backend {
    let params = StackParams::plain(config);
    let endpoint = Endpoint::new(
        demo.name.as_str(),
        mcp_router_health::BreakerParams::default(),
    );
    let attempts = AttemptLayer::new(tracer.cloned(), demo.name.as_str(), endpoint.key());
    let service = stack::endpoint(params, attempts, &endpoint, demo.service);
    let backend = Backend::new(demo.name, stack::backend(params, service));
    (demo.describe)(backend.endpoints(vec![endpoint]))
}

/// An endpoint as its supervisor looks after it, beside the calls.
struct Watched {
    endpoint: Endpoint,
    edge: McpService,
    probe: Prober,
}

impl Watched {
    fn of(edge: &Edge) -> Self {
        Self {
            endpoint: edge.endpoint.clone(),
            edge: edge.service.clone(),
            probe: edge.probe.clone(),
        }
    }

    fn by(self, backend: Backend, probe: ProbeParams) -> Backend {
        backend
            .source(self.endpoint.clone(), self.edge)
            .probe(self.endpoint, self.probe, probe)
    }
}

/// The endpoints of a backend as one, in the layers of the backend.
fn stacked(
    backend: &BackendConfig,
    params: StackParams,
    tracer: Option<&Tracer>,
    mut edges: Vec<Edge>,
) -> Result<Backend, BoxError> {
    let name = backend.name.clone();
    let attempts =
        |edge: &Edge| AttemptLayer::new(tracer.cloned(), name.as_str(), edge.endpoint.key());
    if edges.len() > 1 {
        let replicas = edges
            .into_iter()
            .map(|edge| replica(params, attempts(&edge), edge));
        let Balanced {
            service,
            events,
            close,
        } = Balance::over(&name, params.balance, replicas.collect());
        let built = Backend::new(name.clone(), stack::replicated(params, service)).on_close(close);
        return Ok(match events {
            Some(events) => built.events(events),
            None => built,
        });
    }
    // With nothing to choose from, a balance would only cost.
    let edge = edges.pop().ok_or("it has no endpoint")?;
    let service = stack::endpoint(params, attempts(&edge), &edge.endpoint, edge.service);
    let built = Backend::new(name.clone(), stack::backend(params, service));
    let built = built.on_close(edge.close);
    Ok(built.events(told(edge.endpoint, edge.events)))
}

fn replica(
    params: StackParams,
    attempts: AttemptLayer,
    edge: Edge,
) -> Replica<Attempt<Breaker<Timeout<McpService>>>> {
    let service = stack::endpoint(params, attempts, &edge.endpoint, edge.service);
    Replica::new(service, edge.endpoint)
        .events(edge.events)
        .on_close(edge.close)
}

/// The events of a lone endpoint, which hears of its own link, as a balance would tell it.
fn told(endpoint: Endpoint, events: EventStream) -> EventStream {
    events.inspect(move |event| endpoint.hear(event)).boxed()
}
