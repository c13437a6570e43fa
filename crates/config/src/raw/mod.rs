//! The file, key by key, as it is written.
//!
//! These types are the one list of keys. The JSON Schema is derived from them, and that schema is
//! what a file is checked against, so that `schema`, `check` and the documentation cannot disagree.
//! Ranges are attributes here. Everything is optional: what must be there is decided in `build`,
//! which says so with a place.

mod alerts;
mod backend;
mod registration;
mod replicas;
mod server;
mod tools;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_yaml::Mapping;

pub(crate) use alerts::{RawAlert, RawAlertType};
pub(crate) use backend::{
    RawBackend, RawBalancing, RawBreaker, RawFailureRate, RawHealthCheck, RawProbeMethod, RawRoute,
    RawSafety, RawSession, RawStrategy, RawTransport,
};
pub(crate) use registration::RawRegistration;
pub(crate) use replicas::{RawReplica, RawReplicas};
pub(crate) use server::{RawLimits, RawServer};
pub(crate) use tools::RawTools;

/// Configuration of mcp-router.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "File")]
pub(crate) struct RawFile {
    /// The MCP servers behind the router.
    pub(crate) backends: Option<Vec<Option<RawBackend>>>,
    /// Servers as Claude Desktop, Claude Code and Cursor write them: name to settings.
    #[serde(rename = "mcpServers")]
    #[schemars(with = "Option<std::collections::BTreeMap<String, RawHostEntry>>")]
    pub(crate) mcp_servers: Option<Mapping>,
    /// Servers as VS Code writes them: name to settings.
    #[schemars(with = "Option<std::collections::BTreeMap<String, RawHostEntry>>")]
    pub(crate) servers: Option<Mapping>,
    /// What holds for every backend.
    pub(crate) routing: Option<RawRouting>,
    /// What belongs to the router itself.
    pub(crate) server: Option<RawServer>,
    /// Registration of backends at run time, which `MCP_ALLOW_REGISTRATION` switches on.
    pub(crate) registration: Option<RawRegistration>,
    /// Who is told when a backend becomes unhealthy or recovers.
    pub(crate) alerts: Option<Vec<Option<RawAlert>>>,
}

/// One server as a desktop host writes it. Keys of `backends` may be used as well.
#[derive(JsonSchema)]
#[expect(
    dead_code,
    reason = "only its schema is used: entries are read as backends"
)]
#[schemars(rename = "HostEntry")]
pub(crate) struct RawHostEntry {
    /// A program to start.
    command: Option<String>,
    /// Its arguments.
    args: Option<Vec<String>>,
    /// Variables for it.
    env: Option<std::collections::BTreeMap<String, String>>,
    /// Where to start it.
    cwd: Option<String>,
    /// A server to connect to.
    url: Option<String>,
    /// Headers for it.
    headers: Option<std::collections::BTreeMap<String, String>>,
    /// `stdio`, `http` or `sse`.
    r#type: Option<String>,
    /// Whether it is switched off.
    disabled: Option<bool>,
}

/// Others do not keep names apart (`_` and `-` are in namespaces and names) or are refused by hosts.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[schemars(rename = "Separator")]
pub(crate) enum RawSeparator {
    #[serde(rename = ".")]
    Dot,
    #[serde(rename = "__")]
    Underscores,
}

/// What holds for every backend.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Routing")]
pub(crate) struct RawRouting {
    /// How backends are judged for tools that no route of theirs matches.
    pub(crate) default_strategy: Option<RawStrategy>,
    /// Expose tools as `namespace.name`.
    pub(crate) enable_namespace_prefixing: Option<bool>,
    /// What stands between namespace and name; with `__` every client gets names that all hosts
    /// accept: see "Names" in the documentation.
    pub(crate) namespace_separator: Option<RawSeparator>,
    /// Longest age of a cached list.
    #[schemars(range(min = 1, max = 604_800))]
    pub(crate) capability_cache_ttl_seconds: Option<f64>,
    /// One attempt at a backend that sets no time of its own.
    #[schemars(range(min = 1, max = 604_800))]
    pub(crate) request_timeout_seconds: Option<f64>,
    /// How long the first list waits for backends that are still connecting.
    #[schemars(range(min = 0, max = 604_800))]
    pub(crate) startup_wait_seconds: Option<f64>,
    /// How often a call is tried at one backend.
    pub(crate) retry: Option<RawRetry>,
}

/// How often a call is tried at one backend.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Retry")]
pub(crate) struct RawRetry {
    /// Attempts at one backend, the first included. Only failures after which a call may be made
    /// again count: see `retry.safety`.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) max_attempts: Option<u32>,
    /// Factor from one wait to the next; the first is 1 s, and chance takes up to half off each.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) backoff_multiplier: Option<f64>,
    /// Longest wait; 0 repeats at once. What a backend asks for (`Retry-After`) is waited all the
    /// same, up to 60 s.
    #[schemars(range(min = 0, max = 604_800))]
    pub(crate) max_backoff_seconds: Option<f64>,
}
