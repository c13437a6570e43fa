//! A configured backend as edges, one for each of its servers or processes. What the file does not
//! say, the edge decides.

use std::borrow::Cow;
use std::collections::HashMap;

use http::{HeaderMap, HeaderValue};
use mcp_router_config::{
    BackendConfig, CommandEndpoint, Config, EndpointConfig, HttpEndpoint, HttpServer,
    HttpTransport, SessionMode,
};
use mcp_router_layers::Endpoint;
use mcp_router_service::{EventStream, McpService, Prober};
use mcp_router_transport::client::{
    self, ChildParams, Closer, Connected, HttpBackendParams, Identity,
};
use secrecy::ExposeSecret;
use tower::BoxError;

use super::NamedBy;
use crate::reload::PublicOnly;

/// One server or process of a backend, started.
pub(super) struct Edge {
    pub(super) service: McpService,
    pub(super) events: EventStream,
    pub(super) probe: Prober,
    pub(super) close: Closer,
    /// What is known about it, for everybody who asks.
    pub(super) endpoint: Endpoint,
}

/// Starts the edges of a backend: at least one. They connect on their own time.
pub(super) fn connect(
    backend: &BackendConfig,
    config: &Config,
    by: NamedBy,
) -> Result<Vec<Edge>, BoxError> {
    match &backend.endpoint {
        EndpointConfig::Http(http) => servers(backend, http, config, by),
        EndpointConfig::Command(command) => Ok(processes(backend, command, config)),
        _ => Err("this kind of endpoint is not known here".into()),
    }
}

fn servers(
    backend: &BackendConfig,
    http: &HttpEndpoint,
    config: &Config,
    by: NamedBy,
) -> Result<Vec<Edge>, BoxError> {
    let mut seen: HashMap<String, u32> = HashMap::new();
    let mut edges = Vec::with_capacity(http.servers.len());
    for server in &http.servers {
        let mut key = server.display_url();
        // Two URLs may differ only in what must not be shown.
        let times = seen.entry(key.clone()).or_default();
        *times += 1;
        if *times > 1 {
            key = format!("{key}#{times}");
        }
        let endpoint = Endpoint::new(key, backend.breaker).with_priority(server.priority);
        let mut params = http_params(backend, http, server, config)?;
        params.endpoint = endpoint.key().clone();
        if by == (NamedBy::Client { private: false }) {
            params.dial = Some(PublicOnly::dial());
        }
        edges.push(Edge::new(client::http(params), endpoint));
    }
    Ok(edges)
}

fn processes(backend: &BackendConfig, command: &CommandEndpoint, config: &Config) -> Vec<Edge> {
    let numbers = 1..=command.processes;
    let edge = |number| {
        let key = format!("{}#{number}", backend.name);
        let params = child_params(backend, command, config);
        Edge::new(client::child(params), Endpoint::new(key, backend.breaker))
    };
    numbers.map(edge).collect()
}

impl Edge {
    fn new(connected: Connected, endpoint: Endpoint) -> Self {
        let Connected {
            service,
            events,
            probe,
            close,
        } = connected;
        Self {
            service,
            events,
            probe,
            close,
            endpoint,
        }
    }
}

/// Where a backend is, for people: nothing secret in it.
pub(crate) fn url_text(endpoint: &EndpointConfig) -> String {
    match endpoint {
        EndpointConfig::Http(http) => {
            let urls: Vec<_> = http.servers.iter().map(|s| s.display_url()).collect();
            urls.join(", ")
        }
        EndpointConfig::Command(command) => {
            let args = command.display_args();
            std::iter::once(Cow::Borrowed(&*command.program))
                .chain(args)
                .collect::<Vec<_>>()
                .join(" ")
        }
        _ => String::new(),
    }
}

/// Whether the router starts it.
pub(super) const fn is_managed(endpoint: &EndpointConfig) -> bool {
    matches!(endpoint, EndpointConfig::Command(_))
}

fn http_params(
    backend: &BackendConfig,
    endpoint: &HttpEndpoint,
    server: &HttpServer,
    config: &Config,
) -> Result<HttpBackendParams, BoxError> {
    let mut params = HttpBackendParams::new(backend.name.clone(), &server.url.to_string())?;
    params.transport = match endpoint.transport {
        HttpTransport::Auto => client::HttpTransport::Auto,
        HttpTransport::StreamableHttp => client::HttpTransport::Streamable,
        HttpTransport::Sse => client::HttpTransport::Sse,
    };
    params.session = match backend.session {
        SessionMode::Auto => client::SessionMode::Auto,
        SessionMode::Shared => client::SessionMode::Shared,
        SessionMode::PerClient => client::SessionMode::PerClient,
    };
    params.headers.extend(headers(endpoint)?);
    params.identity = identity(config);
    let (pool, limits) = (&endpoint.pool, &config.server.limits);
    params.max_connections = pool.max_connections.unwrap_or(params.max_connections);
    params.idle_timeout = pool.idle_timeout.unwrap_or(params.idle_timeout);
    params.answer_limit = limits.max_answer_bytes.unwrap_or(params.answer_limit);
    params.health_method = backend.probe.method();
    params.health_page = backend.probe.endpoint().map(str::to_owned);
    params.lazy = backend.lazy;
    Ok(params)
}

fn headers(endpoint: &HttpEndpoint) -> Result<HeaderMap, BoxError> {
    let mut map = HeaderMap::new();
    for (name, value) in &endpoint.headers {
        let mut value = HeaderValue::from_str(value.expose_secret())?;
        value.set_sensitive(true);
        map.append(name.clone(), value);
    }
    Ok(map)
}

fn child_params(
    backend: &BackendConfig,
    command: &CommandEndpoint,
    config: &Config,
) -> ChildParams {
    let mut params = ChildParams::new(backend.name.clone(), command.program.clone());
    params.args.clone_from(&command.args);
    params.env.clone_from(&command.env);
    params.cwd.clone_from(&command.cwd);
    params.identity = identity(config);
    let limits = &config.server.limits;
    params.line_limit = limits.max_answer_bytes.unwrap_or(params.line_limit);
    params.lazy = backend.lazy;
    let most = limits.max_client_processes;
    let most = most.unwrap_or(ChildParams::MOST_PROCESSES);
    params.processes_for_clients = (backend.session == SessionMode::PerClient).then_some(most);
    params
}

pub(super) fn identity(config: &Config) -> Identity {
    Identity {
        name: config.server.name.clone(),
        ..Identity::default()
    }
}
