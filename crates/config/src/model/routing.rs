//! Settings that hold for every backend.

use std::time::Duration;

use mcp_router_health::BackoffParams;
use mcp_router_routing::Strategy;

/// What holds for every backend.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RoutingConfig {
    /// The strategy of a tool that no route of its backend matches.
    pub default_strategy: Strategy,
    /// Whether exposed names carry the namespace of their backend.
    pub enable_namespace_prefixing: bool,
    /// What stands between namespace and name.
    pub namespace_separator: Separator,
    /// Longest age of a cached list.
    pub cache_ttl: Duration,
    /// One attempt at a backend that sets no time of its own.
    pub request_timeout: Duration,
    /// How long the first list waits for backends; `None`: the binary's own default.
    pub startup_wait: Option<Duration>,
    /// How often a call is tried, and how long is waited between.
    pub retry: RetryConfig,
}

/// What stands between namespace and name.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Separator {
    /// `.`; other names for hosts that are known to need them.
    #[default]
    Dot,
    /// `__`, and every name so that hosts and model APIs accept it.
    Underscores,
}

impl Separator {
    /// As it stands in names.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dot => ".",
            Self::Underscores => "__",
        }
    }
}

/// How often a call is tried at one backend.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RetryConfig {
    /// Attempts at one backend, the first included; at least 1.
    pub max_attempts: u32,
    /// The wait before each further one; a cap of zero repeats at once.
    pub backoff: BackoffParams,
}
