//! One entry of `backends`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{RawReplicas, RawTools};

/// One MCP server. It is at a `url` or started by a `command`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Backend")]
pub(crate) struct RawBackend {
    /// What logs, metrics and management tools call it.
    #[schemars(length(min = 1))]
    pub(crate) name: Option<String>,
    /// Where a server is. Without a path it is a base: `/mcp` is tried, then `/sse`.
    #[schemars(length(min = 1))]
    pub(crate) url: Option<String>,
    /// The same as `url`; or a Python program that `uvx` fetches and starts, from a repository on
    /// GitHub (`uvx --from git+https://github.com/owner/repo repo`) or by its name (`uvx
    /// package`). `args`, `env` and `cwd` go with it as with `command`.
    #[schemars(length(min = 1))]
    pub(crate) source: Option<String>,
    /// Equal servers: one backend, whose calls are spread over all of them. A call that fails at
    /// one goes to the next at once, if it may be made again.
    pub(crate) urls: Option<Vec<String>>,
    /// The same, each with a priority (0 to 4294967295, default 10) for `load_balancing:
    /// priority`; or as many equal processes.
    pub(crate) replicas: Option<RawReplicas>,
    /// A program to start, spoken to over its stdin and stdout; looked up in `PATH`, never run by
    /// a shell; `~/` expands.
    #[schemars(length(min = 1))]
    pub(crate) command: Option<String>,
    /// Its arguments.
    pub(crate) args: Option<Vec<String>>,
    /// Variables for it, beside `PATH`, `HOME`, `LANG` and `TMPDIR`; it gets no others.
    pub(crate) env: Option<BTreeMap<String, String>>,
    /// Where to start it; `~/` expands.
    #[schemars(length(min = 1))]
    pub(crate) cwd: Option<String>,
    /// Prefix of its tools; backends may share one.
    #[schemars(length(min = 1))]
    pub(crate) namespace: Option<String>,
    /// Lower is tried first; ties in file order.
    #[schemars(range(min = 0))]
    pub(crate) priority: Option<u32>,
    /// `false`: listed by `list_backends`, otherwise left alone.
    pub(crate) auto_start: Option<bool>,
    /// How this backend is judged for tools by name; the first match decides.
    pub(crate) routes: Option<Vec<Option<RawRoute>>>,
    /// How it is probed.
    pub(crate) health_check: Option<RawHealthCheck>,
    /// When it is left alone.
    pub(crate) circuit_breaker: Option<RawBreaker>,
    /// `auto` finds out and remembers. `stdio` only with `command`.
    pub(crate) transport: Option<RawTransport>,
    /// Sent to `url` with every request. Headers that the router sets itself (`Accept`,
    /// `Content-Type`, `Host`, `Mcp-*`, …) are refused.
    pub(crate) headers: Option<BTreeMap<String, String>>,
    /// One attempt.
    #[schemars(range(min = 1, max = 604_800))]
    pub(crate) timeout_seconds: Option<f64>,
    /// Calls at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_concurrency: Option<usize>,
    /// What may be tried again.
    pub(crate) retry: Option<RawBackendRetry>,
    /// How calls are spread over `urls`, `replicas` or processes: in turn; to whom has the fewest
    /// running; to the quicker of two drawn at random; to the lowest priority number that is
    /// there. Who is down or left alone is passed over. A client session stays at one server if
    /// that may remember it.
    pub(crate) load_balancing: Option<RawBalancing>,
    /// Bounds on the connections to `url`.
    pub(crate) connection_pool: Option<RawPool>,
    /// Whose upstream session a call uses. `auto`: its own for each legacy client on legacy HTTP,
    /// otherwise one of those that clients share who can do the same. `shared`: one for all.
    /// `per_client`: its own for each client session, because the server keeps something in it:
    /// over HTTP the client's session carries it to other replicas, and its loss is told to the
    /// client instead of being healed; a command is started once for each client session, and
    /// ended with it.
    pub(crate) session: Option<RawSession>,
    /// Connect or start at the first call or the first list; a process that nobody calls for 5
    /// minutes is stopped again.
    pub(crate) lazy: Option<bool>,
    /// Which tools are exposed, and how.
    pub(crate) tools: Option<RawTools>,
}

/// What to do with the tools whose names match.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Route")]
pub(crate) struct RawRoute {
    /// Which tools, by the backend's own names for them; case counts.
    #[schemars(length(min = 1))]
    pub(crate) pattern: Option<String>,
    /// `capability`: it is asked only if it lists the tool. `path`: whether or not it does.
    /// `fallback`: it is asked first, then `fallback_to`, then the rest by priority.
    pub(crate) strategy: Option<RawStrategy>,
    /// Who is asked next, whatever its namespace.
    #[schemars(length(min = 1))]
    pub(crate) fallback_to: Option<String>,
}

/// How a backend is probed.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "HealthCheck")]
pub(crate) struct RawHealthCheck {
    /// Whether it is probed, called or not. A probe that fails three times in a row is down:
    /// others are preferred to it. Probes that reach nobody also count for the circuit.
    pub(crate) enabled: Option<bool>,
    /// From one probe to the next; after a failure the next comes within 5 s.
    #[schemars(range(min = 1, max = 604_800))]
    pub(crate) interval_seconds: Option<f64>,
    /// One probe.
    #[schemars(range(min = 1, max = 604_800))]
    pub(crate) timeout_seconds: Option<f64>,
    /// A page that must answer 2xx: anything else counts for the circuit. Not with a process.
    #[schemars(length(min = 1))]
    pub(crate) endpoint: Option<String>,
    /// What is sent: GET or OPTIONS to the page; an MCP request (`server/discover` or `ping`);
    /// `auto`: GET, and MCP where there is no page.
    pub(crate) method: Option<RawProbeMethod>,
}

/// When a backend is left alone.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Breaker")]
pub(crate) struct RawBreaker {
    /// Failures in a row that open the circuit of one server or process: no connection, no answer
    /// in time, HTTP 5xx, an answer that is not MCP.
    #[schemars(range(min = 1))]
    pub(crate) failure_threshold: Option<u32>,
    /// How long it stays open and lets no call through.
    #[schemars(range(min = 1, max = 604_800))]
    pub(crate) timeout_seconds: Option<f64>,
    /// Trial calls at once then, and successes in a row that close it; one failure opens it again.
    #[schemars(range(min = 1))]
    pub(crate) half_open_attempts: Option<u32>,
    /// A share of failures that opens the circuit as well.
    pub(crate) failure_rate: Option<RawFailureRate>,
}

/// A share of failures that opens the circuit.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "FailureRate")]
pub(crate) struct RawFailureRate {
    /// Failures of a hundred calls; HTTP 429 is one here.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) percent: Option<u32>,
    /// Calls that it takes to judge.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) min_calls: Option<u32>,
    /// How far back calls count.
    #[schemars(range(min = 1, max = 3600))]
    pub(crate) window_seconds: Option<f64>,
}

/// What may be tried again.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "BackendRetry")]
pub(crate) struct RawBackendRetry {
    /// Which failed calls may be made again, here or elsewhere. `strict`: only what was provably
    /// not sent. `standard`: that, what was refused without being run (429, 503 with
    /// `Retry-After`, a lost session), and everything that does no harm twice: reads, prompts,
    /// lists, tools that say `readOnlyHint` or `idempotentHint` or that `tools.idempotent` names.
    /// `trusting`: any failed attempt of any tool.
    pub(crate) safety: Option<RawSafety>,
}

/// Bounds on the connections to one server.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Pool")]
pub(crate) struct RawPool {
    /// Connections open at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_connections: Option<usize>,
    /// How long an idle connection is kept. Many servers close them at 5.
    #[schemars(range(min = 1, max = 604_800))]
    pub(crate) idle_timeout_seconds: Option<f64>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Strategy")]
pub(crate) enum RawStrategy {
    Path,
    Capability,
    Fallback,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ProbeMethod")]
pub(crate) enum RawProbeMethod {
    Auto,
    Get,
    Options,
    Mcp,
}

#[derive(Clone, Copy, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Transport")]
pub(crate) enum RawTransport {
    Auto,
    StreamableHttp,
    Sse,
    Stdio,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Safety")]
pub(crate) enum RawSafety {
    Strict,
    Standard,
    Trusting,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Balancing")]
pub(crate) enum RawBalancing {
    RoundRobin,
    LeastConnections,
    PeakEwma,
    Priority,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Session")]
pub(crate) enum RawSession {
    Auto,
    Shared,
    PerClient,
}

impl RawBackend {
    /// Whether the router starts it: a command, or a `source` that is no URL.
    pub(crate) fn is_process(&self) -> bool {
        let source = self.source.as_deref();
        self.command.is_some() || source.is_some_and(|source| !source.contains("://"))
    }
}
