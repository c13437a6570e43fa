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
}

const fn variable(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable {
        name,
        default,
        meaning,
    }
}

/// Every variable, in the order of the documentation.
pub const VARIABLES: &[Variable] = &[
    variable("MCP_SERVER_NAME", "mcp-router", "name told to clients"),
    variable("MCP_HOST", "127.0.0.1", "address to listen on"),
    variable("MCP_PORT", "8000", "port to listen on, 1 to 65535"),
    variable(
        "MCP_BACKENDS_CONFIG",
        "config/backends.yaml, then ~/.mcp/config.yaml",
        "configuration file; ~ expands",
    ),
    variable(
        "MCP_DEFAULT_STRATEGY",
        "capability",
        "path, capability or fallback",
    ),
    variable(
        "MCP_ENABLE_NAMESPACES",
        "true",
        "expose tools as namespace.name",
    ),
    variable(
        "MCP_CACHE_TTL",
        "300",
        "longest age of a cached list, in seconds",
    ),
    variable(
        "MCP_REQUEST_TIMEOUT",
        "30",
        "one attempt at a backend, in seconds",
    ),
    variable(
        "MCP_HEALTH_CHECK_INTERVAL",
        "30",
        "from one probe to the next, in seconds",
    ),
    variable("MCP_HEALTH_CHECK_TIMEOUT", "5", "one probe, in seconds"),
    variable(
        "MCP_MAX_RETRIES",
        "3",
        "attempts at one backend, the first included",
    ),
    variable(
        "MCP_RETRY_BACKOFF",
        "2.0",
        "factor from one wait to the next",
    ),
    variable(
        "MCP_MAX_BACKOFF",
        "10",
        "longest wait between attempts, in seconds; 0: none",
    ),
    variable("MCP_CONFIG_WATCH", "true", "reload when the file changes"),
    variable(
        "MCP_CONFIG_LENIENT",
        "false",
        "unknown keys warn instead of fail",
    ),
    variable(
        "MCP_LOG_FORMAT",
        "text on a terminal, else json",
        "text or json",
    ),
    variable("RUST_LOG", "info", "what to log, by level and module"),
    variable(
        "MCP_ALLOW_REGISTRATION",
        "false",
        "register backends at run time",
    ),
];
