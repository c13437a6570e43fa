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
    /// Required. Unique.
    #[schemars(length(min = 1))]
    pub(crate) name: Option<String>,
    /// An http or https URL. Without a path it is a base: `/mcp` is tried, then `/sse`.
    #[schemars(length(min = 1))]
    pub(crate) url: Option<String>,
    /// The same as `url`, or what `uvx` starts: `github:owner/repo[@ref]`, or the name of a Python
    /// package.
    #[schemars(length(min = 1))]
    pub(crate) source: Option<String>,
    /// URLs of equal servers.
    pub(crate) urls: Option<Vec<String>>,
    /// Equal servers, or a number of equal processes.
    pub(crate) replicas: Option<RawReplicas>,
    /// A program to start, spoken to over its stdin and stdout. No shell.
    #[schemars(length(min = 1))]
    pub(crate) command: Option<String>,
    /// Arguments of `command`.
    pub(crate) args: Option<Vec<String>>,
    /// Variables for `command`, beside PATH, HOME, LANG and TMPDIR.
    pub(crate) env: Option<BTreeMap<String, String>>,
    /// Where to start `command`.
    #[schemars(length(min = 1))]
    pub(crate) cwd: Option<String>,
    /// Prefix of its tools: `[a-z0-9_-]`. Required with a URL; of a command it is made from the
    /// name.
    #[schemars(length(min = 1))]
    pub(crate) namespace: Option<String>,
    /// Lower is tried first; ties in file order.
    #[schemars(range(min = 0))]
    pub(crate) priority: Option<u32>,
    /// Whether it is used at all; otherwise it is only listed.
    pub(crate) auto_start: Option<bool>,
    /// What to do with tools by name; the first that matches decides.
    pub(crate) routes: Option<Vec<Option<RawRoute>>>,
    /// How it is probed.
    pub(crate) health_check: Option<RawHealthCheck>,
    /// When it is left alone.
    pub(crate) circuit_breaker: Option<RawBreaker>,
    /// Which transport to speak.
    pub(crate) transport: Option<RawTransport>,
    /// Headers sent with every request to `url`.
    pub(crate) headers: Option<BTreeMap<String, String>>,
    /// One attempt, in seconds.
    #[schemars(range(min = 1, max = 604_800))]
    pub(crate) timeout_seconds: Option<f64>,
    /// Calls at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_concurrency: Option<usize>,
    /// What may be tried again.
    pub(crate) retry: Option<RawBackendRetry>,
    /// How calls are spread over replicas.
    pub(crate) load_balancing: Option<RawBalancing>,
    /// Bounds on the connections to `url`.
    pub(crate) connection_pool: Option<RawPool>,
    /// Whose upstream session a call uses.
    pub(crate) session: Option<RawSession>,
    /// Whether it is connected or started only at the first call.
    pub(crate) lazy: Option<bool>,
    /// Which tools are exposed, and how.
    pub(crate) tools: Option<RawTools>,
}

/// What to do with the tools whose names match.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Route")]
pub(crate) struct RawRoute {
    /// Required. Python fnmatch on the backend's own tool name; case counts.
    #[schemars(length(min = 1))]
    pub(crate) pattern: Option<String>,
    /// How this backend is judged for them.
    pub(crate) strategy: Option<RawStrategy>,
    /// The backend that is asked next.
    #[schemars(length(min = 1))]
    pub(crate) fallback_to: Option<String>,
}

/// How a backend is probed.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "HealthCheck")]
pub(crate) struct RawHealthCheck {
    /// Whether it is probed.
    pub(crate) enabled: Option<bool>,
    /// From one probe to the next, in seconds.
    #[schemars(range(min = 1, max = 604_800))]
    pub(crate) interval_seconds: Option<f64>,
    /// One probe, in seconds.
    #[schemars(range(min = 1, max = 604_800))]
    pub(crate) timeout_seconds: Option<f64>,
    /// A page that must answer 2xx.
    #[schemars(length(min = 1))]
    pub(crate) endpoint: Option<String>,
    /// What a probe sends.
    pub(crate) method: Option<RawProbeMethod>,
}

/// When a backend is left alone.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Breaker")]
pub(crate) struct RawBreaker {
    /// Failures in a row that open the circuit.
    #[schemars(range(min = 1))]
    pub(crate) failure_threshold: Option<u32>,
    /// How long it stays open, in seconds.
    #[schemars(range(min = 1, max = 604_800))]
    pub(crate) timeout_seconds: Option<f64>,
    /// Trial calls at once then, and successes in a row that close it.
    #[schemars(range(min = 1))]
    pub(crate) half_open_attempts: Option<u32>,
    /// A share of failures that opens the circuit as well. Absent: only a run of failures does.
    pub(crate) failure_rate: Option<RawFailureRate>,
}

/// A share of failures that opens the circuit.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "FailureRate")]
pub(crate) struct RawFailureRate {
    /// Failures of a hundred calls; 429 counts as one here.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) percent: Option<u32>,
    /// Calls that it takes to judge.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) min_calls: Option<u32>,
    /// How far back calls count, in seconds.
    #[schemars(range(min = 1, max = 3600))]
    pub(crate) window_seconds: Option<f64>,
}

/// What may be tried again.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "BackendRetry")]
pub(crate) struct RawBackendRetry {
    /// How sure it must be that a call did not run.
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
    /// How long an idle connection is kept, in seconds. Servers close them at 5.
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
