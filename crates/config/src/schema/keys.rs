//! What types and ranges do not say of a key: its default, and what it takes.
//!
//! A default lives in the crate that obeys it; here it is told, for editors and for the page about
//! configuration. Text that is no value (`made at start`) is for people.

/// One key, by the definition that holds it.
pub(super) struct Told {
    pub(super) key: &'static str,
    /// What holds without it. JSON where it is a value.
    pub(super) default: &'static str,
    /// What it takes, where its type and range do not say it.
    pub(super) values: &'static str,
    /// Something to put there.
    pub(super) example: &'static str,
}

const fn told(key: &'static str, default: &'static str) -> Told {
    Told {
        key,
        default,
        values: "",
        example: "",
    }
}

impl Told {
    const fn takes(self, values: &'static str) -> Self {
        Self { values, ..self }
    }

    const fn example(self, example: &'static str) -> Self {
        Self { example, ..self }
    }
}

/// Every key of which there is something to tell.
pub(super) const KEYS: &[Told] = &[
    told("Backend.name", "required")
        .takes("1 to 128 bytes, unique")
        .example(r#""search""#),
    told("Backend.url", "")
        .takes("http or https, no user or password")
        .example(r#""http://localhost:8001""#),
    told("Backend.source", "")
        .takes("URL, `github:owner/repo[@ref]`, or `package[@version]`")
        .example(r#""mcp-server-time""#),
    told("Backend.urls", "")
        .takes("list of URLs")
        .example(r#"["http://s1:8001", "http://s2:8001"]"#),
    told("Backend.replicas", "")
        .takes("list of `{ url, priority }`; with `command` a number from 1 to 1000")
        .example(r#"[{"url": "http://s1:8001/mcp"}, {"url": "http://s2:8001/mcp"}]"#),
    told("Backend.command", "").example(r#""npx""#),
    told("Backend.args", "[]")
        .takes("list of texts")
        .example(r#"["-y", "@modelcontextprotocol/server-filesystem", "/data"]"#),
    told("Backend.env", "{}").example(r#"{"TOKEN": "${FILES_TOKEN}"}"#),
    told("Backend.cwd", "where the router runs").takes("path"),
    told(
        "Backend.namespace",
        "from the name, for a command; required with a URL",
    )
    .takes("1 to 64 of `a-z`, `0-9`, `_`, `-`")
    .example(r#""search""#),
    told("Backend.priority", "10"),
    told("Backend.auto_start", "true"),
    told("Backend.transport", r#""auto""#),
    told("Backend.headers", "{}").example(r#"{"Authorization": "Bearer ${SEARCH_TOKEN}"}"#),
    told(
        "Backend.timeout_seconds",
        "`routing.request_timeout_seconds`",
    ),
    told("Backend.max_concurrency", "256, child processes 64").takes("calls, 1 to 1000000"),
    told("Pool.max_connections", "256"),
    told("Pool.idle_timeout_seconds", "4"),
    told("Backend.session", r#""auto""#),
    told("Backend.routes", "[]"),
    told("Route.pattern", "required")
        .takes("Python `fnmatch`, at most 1024 bytes")
        .example(r#""analyze_*""#),
    told(
        "Route.strategy",
        "`fallback` with a `fallback_to`, else `routing.default_strategy`",
    ),
    told("Route.fallback_to", "")
        .takes("name of a backend")
        .example(r#""spare""#),
    told("HealthCheck.enabled", "true"),
    told("HealthCheck.interval_seconds", "30"),
    told("HealthCheck.timeout_seconds", "5"),
    told("HealthCheck.endpoint", "`/health`, if it is there")
        .takes("path from `/`, or URL")
        .example(r#""/health""#),
    told("HealthCheck.method", r#""auto""#),
    told("Breaker.failure_threshold", "5"),
    told("Breaker.timeout_seconds", "60"),
    told("Breaker.half_open_attempts", "3"),
    told("Breaker.failure_rate", "off").takes("`{}` switches it on"),
    told("FailureRate.percent", "50"),
    told("FailureRate.min_calls", "20"),
    told("FailureRate.window_seconds", "10"),
    told("BackendRetry.safety", r#""standard""#),
    told("Backend.load_balancing", r#""round_robin""#),
    told("Backend.lazy", "false"),
    told("Tools.allow", "all")
        .takes("list of patterns")
        .example(r#"["get_*"]"#),
    told("Tools.deny", "[]")
        .takes("list of patterns")
        .example(r#"["drop_*"]"#),
    told("Tools.rename", "{}")
        .takes("own name to new name")
        .example(r#"{"q": "query"}"#),
    told("Tools.idempotent", "[]")
        .takes("list of patterns")
        .example(r#"["get_*"]"#),
    told("Tools.timeout_seconds", "")
        .takes("pattern to seconds, 1 to 604800")
        .example(r#"{"analyze_*": 120}"#),
    told("Routing.default_strategy", r#""capability""#),
    told("Routing.enable_namespace_prefixing", "true"),
    told("Routing.namespace_separator", r#"".""#),
    told("Routing.capability_cache_ttl_seconds", "300"),
    told("Routing.request_timeout_seconds", "30"),
    told("Routing.startup_wait_seconds", "2; `mcp-router-stdio`: 10"),
    told("Retry.max_attempts", "3"),
    told("Retry.backoff_multiplier", "2"),
    told("Retry.max_backoff_seconds", "10"),
    told("Registration.allow_private", "false"),
    told("Registration.allow_commands", "[]").takes("list of programs"),
    told("Server.allowed_hosts", "[]")
        .takes("host names, with or without a port")
        .example(r#"["router.example.com"]"#),
    told("Server.allowed_origins", "[]")
        .takes("`https://host`, with or without a port")
        .example(r#"["https://app.example.com"]"#),
    told("Server.drain_seconds", "13"),
    told("Drain.serve_seconds", "0"),
    told("Server.stale_ttl_seconds", "300"),
    told("Server.session_keys", "made at start")
        .takes("texts of at least 32 bytes")
        .example(r#"["${file:/run/secrets/mcp-router-key}"]"#),
    told("Server.ui", "true"),
    told("Alert.type", "required").example(r#""slack""#),
    told("Alert.url", "")
        .takes("http or https, no user or password")
        .example(r#""${file:/run/secrets/slack-url}""#),
    told("Alert.routing_key", "").example(r#""${PD_KEY}""#),
    told("Alert.headers", "{}").example(r#"{"Authorization": "Bearer ${ALERT_TOKEN}"}"#),
    told("Limits.max_connections", "10000"),
    told("Limits.max_in_flight", "4096"),
    told("Limits.max_in_flight_per_backend", "256"),
    told("Limits.max_in_flight_per_child", "64"),
    told("Limits.max_client_processes", "16"),
    told("Limits.max_queue_per_backend", "64"),
    told("Limits.max_parked_calls", "1024"),
    told("Limits.max_parked_calls_per_principal", "64"),
    told("Limits.parked_call_seconds", "300"),
    told("Limits.max_streams", "10000"),
    told("Limits.max_streams_per_session", "16"),
    told("Limits.max_sessions", "10000"),
    told("Limits.max_request_bytes", "4194304"),
    told("Limits.max_answer_bytes", "16777216"),
    told("Limits.max_header_bytes", "16384"),
    told("Limits.max_headers", "100"),
    told("Limits.max_batch_items", "50"),
    told("Limits.page_size", "1000"),
    told("Limits.max_items_per_backend", "10000"),
];
