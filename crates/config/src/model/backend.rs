//! One backend.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, Uri};
use mcp_router_health::{BreakerParams, ProbeParams, Safety};
use mcp_router_protocol::name::{BackendName, Namespace};
use mcp_router_routing::balance::Policy;
use mcp_router_routing::{Route, ToolRules};
use secrecy::SecretString;

use super::shown;

/// One backend, ready to be built. Two are equal if they say the same, secrets included.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BackendConfig {
    /// Unique.
    pub name: BackendName,
    /// May be shared with other backends.
    pub namespace: Namespace,
    /// Lower is tried first; ties in file order.
    pub priority: u32,
    /// `false`: listed by management tools, otherwise left alone.
    pub auto_start: bool,
    /// Where it is.
    pub endpoint: EndpointConfig,
    /// One attempt; `None`: [`RoutingConfig::request_timeout`](super::RoutingConfig).
    pub timeout: Option<Duration>,
    /// Calls at once; at least 1.
    pub max_concurrency: Option<usize>,
    /// Whose upstream session a call uses.
    pub session: SessionMode,
    /// How it is probed.
    pub probe: ProbeParams,
    /// When it is left alone.
    pub breaker: BreakerParams,
    /// Which failed calls may be made again.
    pub safety: Safety,
    /// How calls are spread over several servers or processes.
    pub balancing: Policy,
    /// Whether it is connected or started only at the first call.
    pub lazy: bool,
    /// The first whose pattern matches a tool decides its strategy.
    pub routes: Vec<Route>,
    /// Which tools are exposed, under which names, and what is known of them.
    pub tools: ToolRules,
}

/// Where a backend is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EndpointConfig {
    /// Servers to connect to.
    Http(HttpEndpoint),
    /// A process to start, spoken to over its stdin and stdout.
    Command(CommandEndpoint),
}

/// One server to connect to, or several that can stand in for each other.
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpEndpoint {
    /// At least one; no URL twice.
    pub servers: Vec<HttpServer>,
    /// Which transport to speak.
    pub transport: HttpTransport,
    /// Sent with every request. Values are valid header values.
    pub headers: Vec<(HeaderName, SecretString)>,
    /// Bounds on its connections.
    pub pool: PoolConfig,
}

/// One of the servers of a backend.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct HttpServer {
    /// `http` or `https`, with a host and without credentials.
    pub url: Uri,
    /// Lower is used first, where calls are spread by priority.
    pub priority: u32,
}

/// Which of MCP's HTTP transports to speak.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum HttpTransport {
    /// Find out and remember.
    #[default]
    Auto,
    /// Streamable HTTP, every revision of it.
    StreamableHttp,
    /// HTTP+SSE, as in 2024-11-05.
    Sse,
}

/// Bounds on the connections to one server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct PoolConfig {
    /// Connections open at once; at least 1.
    pub max_connections: Option<usize>,
    /// How long an idle connection is kept.
    pub idle_timeout: Option<Duration>,
}

/// A process to start. Never through a shell.
#[derive(Clone)]
#[non_exhaustive]
pub struct CommandEndpoint {
    /// What to run, looked up in `PATH` unless it has a slash.
    pub program: String,
    /// Its arguments. May hold secrets: never log them.
    pub args: Vec<String>,
    /// Variables beside those that every child gets.
    pub env: Vec<(String, SecretString)>,
    /// Where to run; `None`: where the router runs.
    pub cwd: Option<PathBuf>,
    /// How many of them, to stand in for each other; at least 1.
    pub processes: u32,
    /// Which arguments came from a variable or a file, so must not be printed.
    pub(crate) hidden_args: Vec<bool>,
}

/// Whose upstream session a call uses.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SessionMode {
    /// Its own for each legacy client on legacy HTTP, otherwise the shared one.
    #[default]
    Auto,
    /// One for all clients.
    Shared,
    /// One for each client session.
    PerClient,
}

// === impl EndpointConfig ===

impl EndpointConfig {
    /// Whether the router starts it as a process.
    pub fn is_command(&self) -> bool {
        matches!(self, Self::Command(_))
    }

    /// How many servers or processes it is; at least 1.
    pub fn count(&self) -> usize {
        match self {
            Self::Http(http) => http.servers.len(),
            Self::Command(command) => command.processes as usize,
        }
    }
}

// === impl HttpServer ===

impl HttpServer {
    /// The URL for people: its query is hidden, and what looks like a secret in its path.
    pub fn display_url(&self) -> String {
        shown::url(&self.url.to_string())
    }
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer")
            .field("url", &self.display_url())
            .field("priority", &self.priority)
            .finish()
    }
}

// === impl HttpEndpoint ===

impl fmt::Debug for HttpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpEndpoint")
            .field("servers", &self.servers)
            .field("transport", &self.transport)
            .field("headers", &self.headers)
            .field("pool", &self.pool)
            .finish()
    }
}

// === impl HttpTransport ===

impl HttpTransport {
    /// The word for it in a file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::StreamableHttp => "streamable_http",
            Self::Sse => "sse",
        }
    }
}

// === impl CommandEndpoint ===

impl CommandEndpoint {
    /// The arguments for people: those that came from a variable or a file are `***`, and so is
    /// what is called a secret by the argument before it, or looks like one.
    pub fn display_args(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let hidden = self.hidden_args.iter().chain(std::iter::repeat(&true));
        let before = std::iter::once(None).chain(self.args.iter().map(|arg| Some(arg.as_str())));
        let all = self.args.iter().zip(hidden).zip(before);
        all.map(|((arg, hidden), before)| match hidden {
            true => Cow::Borrowed(shown::HIDDEN),
            false => shown::argument(arg, before),
        })
    }
}

impl fmt::Debug for CommandEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandEndpoint")
            .field("program", &self.program)
            .field("args", &self.display_args().collect::<Vec<_>>())
            .field("env", &self.env)
            .field("cwd", &self.cwd)
            .field("processes", &self.processes)
            .finish()
    }
}

// === impl SessionMode ===

impl SessionMode {
    /// The word for it in a file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Shared => "shared",
            Self::PerClient => "per_client",
        }
    }
}
