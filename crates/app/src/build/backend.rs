//! One backend of a configuration: its edges, the layers around them, what the router knows of it.

use futures::StreamExt;
use mcp_router_config::{BackendConfig, Config};
use mcp_router_core::Backend;
use mcp_router_health::ProbeParams;
use mcp_router_layers::{Balance, Balanced, Endpoint, Replica};
use mcp_router_service::{EventStream, McpService, Prober};
use mcp_router_transport::client::Closer;
use tower::BoxError;

use super::edge::{self, Edge};
use super::stack::{self, StackParams};
use crate::demo::Demo;

/// A configured backend, started unless it is switched off.
pub(super) fn configured(backend: &BackendConfig, config: &Config) -> Result<Backend, BoxError> {
    let described = |built: Backend| {
        built
            .namespace(backend.namespace.clone())
            .priority(backend.priority)
            .url_text(edge::url_text(&backend.endpoint))
            .managed(edge::is_managed(&backend.endpoint))
            .routes(backend.routes.clone())
            .safety(backend.safety)
            .tool_rules(backend.tools.clone())
    };
    if !backend.auto_start {
        return Ok(described(Backend::disabled(backend.name.clone())));
    }
    let params = StackParams::of(backend, config);
    let edges = edge::connect(backend, config)?;
    let watched: Vec<_> = edges.iter().map(Watched::of).collect();
    let Joined {
        service,
        events,
        close,
    } = join(backend, params, edges)?;
    let endpoints = watched.iter().map(|place| place.endpoint.clone()).collect();
    let built = Backend::new(backend.name.clone(), stack::backend(params, service));
    let built = built.endpoints(endpoints);
    let built = watched
        .into_iter()
        .fold(built.on_close(close), |built, place| {
            let probe = backend.probe.clone();
            place.by(built, probe)
        });
    Ok(described(match events {
        Some(events) => built.events(events),
        None => built,
    }))
}

/// A backend inside this program, in the layers that others have.
pub(super) fn demo(demo: Demo, config: &Config) -> Backend {
    let params = StackParams::plain(config);
    let endpoint = Endpoint::new(
        demo.name.as_str(),
        mcp_router_health::BreakerParams::default(),
    );
    let service = stack::endpoint(params, &endpoint, demo.service);
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

/// The endpoints of a backend as one.
struct Joined {
    service: McpService,
    events: Option<EventStream>,
    close: Closer,
}

fn join(
    backend: &BackendConfig,
    params: StackParams,
    mut edges: Vec<Edge>,
) -> Result<Joined, BoxError> {
    if edges.len() > 1 {
        let replicas = edges
            .into_iter()
            .map(|edge| replica(params, edge))
            .collect();
        let Balanced {
            service,
            events,
            close,
        } = Balance::over(&backend.name, params.balance, replicas);
        return Ok(Joined {
            service: McpService::new(service),
            events,
            close,
        });
    }
    // With nothing to choose from, a balance would only cost.
    let edge = edges.pop().ok_or("it has no endpoint")?;
    Ok(Joined {
        service: stack::endpoint(params, &edge.endpoint, edge.service),
        events: Some(told(edge.endpoint, edge.events)),
        close: edge.close,
    })
}

fn replica(params: StackParams, edge: Edge) -> Replica<McpService> {
    let service = stack::endpoint(params, &edge.endpoint, edge.service);
    Replica::new(service, edge.endpoint)
        .events(edge.events)
        .on_close(edge.close)
}

/// The events of a lone endpoint, which hears of its own link, as a balance would tell it.
fn told(endpoint: Endpoint, events: EventStream) -> EventStream {
    events.inspect(move |event| endpoint.hear(event)).boxed()
}
