//! Every variable that means something, as documentation and `--help` show it.

/// One variable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What holds when it is not set.
    pub default: &'static str,
    /// What it does, in a few words, with its unit.
    pub meaning: &'static str,
    /// Whether it does that already.
    pub active: bool,
}

const fn active(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable {
        name,
        default,
        meaning,
        active: true,
    }
}

/// Every variable, in the order of the documentation.
pub const VARIABLES: &[Variable] = &[
    active("MCP_SERVER_NAME", "mcp-router", "name told to clients"),
    active("MCP_HOST", "127.0.0.1", "address to listen on"),
    active("MCP_PORT", "8000", "port to listen on, 1 to 65535"),
    active(
        "MCP_BACKENDS_CONFIG",
        "config/backends.yaml, then ~/.mcp/config.yaml",
        "configuration file; ~ expands",
    ),
    active(
        "MCP_DEFAULT_STRATEGY",
        "capability",
        "path, capability or fallback",
    ),
    active(
        "MCP_ENABLE_NAMESPACES",
        "true",
        "expose tools as namespace.name",
    ),
    active(
        "MCP_CACHE_TTL",
        "300",
        "longest age of a cached list, in seconds",
    ),
    active(
        "MCP_REQUEST_TIMEOUT",
        "30",
        "one attempt at a backend, in seconds",
    ),
    active(
        "MCP_HEALTH_CHECK_INTERVAL",
        "30",
        "from one probe to the next, in seconds",
    ),
    active("MCP_HEALTH_CHECK_TIMEOUT", "5", "one probe, in seconds"),
    active(
        "MCP_MAX_RETRIES",
        "3",
        "attempts at one backend, the first included",
    ),
    active(
        "MCP_RETRY_BACKOFF",
        "2.0",
        "factor from one wait to the next",
    ),
    active(
        "MCP_MAX_BACKOFF",
        "10",
        "longest wait between attempts, in seconds; 0: none",
    ),
    active("MCP_CONFIG_WATCH", "true", "reload when the file changes"),
    active(
        "MCP_CONFIG_LENIENT",
        "false",
        "unknown keys warn instead of fail",
    ),
    active(
        "MCP_LOG_FORMAT",
        "text on a terminal, else json",
        "text or json",
    ),
    active("RUST_LOG", "info", "what to log, by level and module"),
    active(
        "MCP_ALLOW_REGISTRATION",
        "false",
        "register backends at run time",
    ),
];
