//! A configured endpoint as a backend edge. What the file does not say, the edge decides.

use http::{HeaderMap, HeaderValue};
use mcp_router_config::{
    BackendConfig, CommandEndpoint, Config, EndpointConfig, HttpEndpoint, HttpTransport,
    SessionMode,
};
use mcp_router_service::{EventStream, McpService};
use mcp_router_transport::client::{
    self, ChildParams, Closer, Connected, HttpBackendParams, Identity,
};
use secrecy::ExposeSecret;
use tower::BoxError;

/// A backend's edge, started.
pub(super) struct Edge {
    pub(super) service: McpService,
    pub(super) events: EventStream,
    pub(super) close: Closer,
}

impl Edge {
    /// Starts the edge of a backend. It connects on its own time.
    pub(super) fn connect(backend: &BackendConfig, config: &Config) -> Result<Self, BoxError> {
        let connected = match &backend.endpoint {
            EndpointConfig::Http(endpoint) => client::http(http_params(backend, endpoint, config)?),
            EndpointConfig::Command(command) => {
                client::child(child_params(backend, command, config))
            }
            _ => return Err("this kind of endpoint is not known here".into()),
        };
        let Connected {
            service,
            events,
            close,
            ..
        } = connected;
        Ok(Self {
            service,
            events,
            close,
        })
    }
}

/// Where a backend is, for people: nothing secret in it.
pub(super) fn url_text(endpoint: &EndpointConfig) -> String {
    match endpoint {
        EndpointConfig::Http(http) => {
            let urls: Vec<_> = http.servers.iter().map(|s| s.display_url()).collect();
            urls.join(", ")
        }
        EndpointConfig::Command(command) => {
            let args = command.display_args();
            std::iter::once(&*command.program)
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
    config: &Config,
) -> Result<HttpBackendParams, BoxError> {
    let server = endpoint.servers.first().ok_or("it has no URL")?;
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
    params
}

fn identity(config: &Config) -> Identity {
    Identity {
        name: config.server.name.clone(),
        ..Identity::default()
    }
}
