//! The configuration as it is understood, for people.
//!
//! What a file leaves out and what the environment overrides cannot be seen in the file. This is
//! the whole, in the file's own words, with every secret as `***`.

use std::time::Duration;

use mcp_router_health::FailureRate;
use mcp_router_routing::balance::Policy;
use mcp_router_routing::{Route, RoutePattern, ToolRules};
use serde_yaml::{Mapping, Value};

use crate::model::shown;
use crate::model::{
    AlertConfig, AlertKind, BackendConfig, CommandEndpoint, Config, EndpointConfig, HttpEndpoint,
    HttpServer, Limits, RoutingConfig, ServerConfig,
};

/// Stands for a secret.
const HIDDEN: &str = "***";

impl Config {
    /// As YAML that says the same when it is loaded, apart from secrets. Settings that only the
    /// environment and flags can make come first, as comments.
    pub fn to_yaml(&self) -> String {
        // Maps, lists, texts and numbers can always be written.
        let file = serde_yaml::to_string(&self.file()).unwrap_or_default();
        environment(&self.server) + &file
    }

    /// The same as JSON, without what only the environment and flags can make.
    pub fn to_json(&self) -> serde_json::Value {
        // As above.
        serde_json::to_value(self.file()).unwrap_or_default()
    }

    fn file(&self) -> Value {
        let backends: Vec<Value> = self.backends.iter().map(backend).collect();
        let alerts: Vec<Value> = self.alerts.iter().map(alert).collect();
        Section::new()
            .set("server", server(&self.server))
            .set("routing", routing(&self.routing))
            .set("backends", backends)
            .maybe("alerts", (!alerts.is_empty()).then_some(alerts))
            .done()
    }
}

/// A map in the order in which it is written.
struct Section(Mapping);

impl Section {
    fn new() -> Self {
        Self(Mapping::new())
    }

    fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }

    fn maybe(self, key: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.set(key, value),
            None => self,
        }
    }

    fn done(self) -> Value {
        Value::Mapping(self.0)
    }
}

fn environment(server: &ServerConfig) -> String {
    let format = server
        .log_format
        .map(|format| format!("# MCP_LOG_FORMAT={format}\n"));
    format!(
        "# MCP_SERVER_NAME={}\n# MCP_HOST={}\n# MCP_PORT={}\n{}# MCP_CONFIG_WATCH={}\n\
         # MCP_ALLOW_REGISTRATION={}\n",
        server.name,
        server.host,
        server.port,
        format.unwrap_or_default(),
        server.watch,
        server.allow_registration,
    )
}

fn server(server: &ServerConfig) -> Value {
    let keys: Vec<Value> = server.session_keys.iter().map(|_| HIDDEN.into()).collect();
    let drain = Section::new().set("serve_seconds", seconds(server.drain_serve));
    Section::new()
        .set("allowed_hosts", list(&server.allowed_hosts))
        .set("allowed_origins", list(&server.allowed_origins))
        .set("drain_seconds", seconds(server.drain))
        .set("drain", drain.done())
        .set("stale_ttl_seconds", seconds(server.stale_ttl))
        .set("session_keys", keys)
        .set("ui", server.ui)
        .set("limits", limits(&server.limits))
        .done()
}

fn limits(limits: &Limits) -> Value {
    let all = [
        ("max_connections", limits.max_connections),
        ("max_in_flight", limits.max_in_flight),
        (
            "max_in_flight_per_backend",
            limits.max_in_flight_per_backend,
        ),
        ("max_in_flight_per_child", limits.max_in_flight_per_child),
        ("max_client_processes", limits.max_client_processes),
        ("max_queue_per_backend", limits.max_queue_per_backend),
        ("max_parked_calls", limits.max_parked_calls),
        (
            "max_parked_calls_per_principal",
            limits.max_parked_calls_per_principal,
        ),
        ("parked_call_seconds", limits.parked_call_seconds),
        ("max_streams", limits.max_streams),
        ("max_streams_per_session", limits.max_streams_per_session),
        ("max_sessions", limits.max_sessions),
        ("max_request_bytes", limits.max_request_bytes),
        ("max_answer_bytes", limits.max_answer_bytes),
        ("max_header_bytes", limits.max_header_bytes),
        ("max_headers", limits.max_headers),
        ("max_batch_items", limits.max_batch_items),
        ("page_size", limits.page_size),
        ("max_items_per_backend", limits.max_items_per_backend),
    ];
    let set = |section: Section, (key, limit)| Section::maybe(section, key, count(limit));
    all.into_iter().fold(Section::new(), set).done()
}

fn routing(routing: &RoutingConfig) -> Value {
    let retry = Section::new()
        .set("max_attempts", routing.retry.max_attempts)
        .set("backoff_multiplier", routing.retry.backoff.multiplier())
        .set("max_backoff_seconds", seconds(routing.retry.backoff.cap()));
    Section::new()
        .set("default_strategy", routing.default_strategy.as_str())
        .set(
            "enable_namespace_prefixing",
            routing.enable_namespace_prefixing,
        )
        .set("namespace_separator", routing.namespace_separator.as_str())
        .set("capability_cache_ttl_seconds", seconds(routing.cache_ttl))
        .set("request_timeout_seconds", seconds(routing.request_timeout))
        .maybe("startup_wait_seconds", routing.startup_wait.map(seconds))
        .set("retry", retry.done())
        .done()
}

fn backend(backend: &BackendConfig) -> Value {
    let section = Section::new()
        .set("name", backend.name.as_str())
        .set("namespace", backend.namespace.as_str());
    let section = match &backend.endpoint {
        EndpointConfig::Http(endpoint) => http(section, endpoint, backend.balancing),
        EndpointConfig::Command(endpoint) => command(section, endpoint),
    };
    let probe = &backend.probe;
    let health = Section::new()
        .set("enabled", probe.enabled())
        .set("interval_seconds", seconds(probe.interval()))
        .set("timeout_seconds", seconds(probe.timeout()))
        .maybe("endpoint", probe.endpoint().map(shown::url))
        .set("method", probe.method().as_str());
    let breaker = Section::new()
        .set("failure_threshold", backend.breaker.failure_threshold())
        .set("timeout_seconds", seconds(backend.breaker.open_for()))
        .set("half_open_attempts", backend.breaker.half_open_attempts())
        .maybe(
            "failure_rate",
            backend.breaker.failure_rate().map(failure_rate),
        );
    // Of one endpoint it would do nothing.
    let balancing = (backend.endpoint.count() > 1).then(|| backend.balancing.as_str());
    let retry = Section::new().set("safety", backend.safety.as_str());
    let routes: Vec<Value> = backend.routes.iter().map(route).collect();
    section
        .set("priority", backend.priority)
        .set("auto_start", backend.auto_start)
        .set("session", backend.session.as_str())
        .maybe("load_balancing", balancing)
        .set("lazy", backend.lazy)
        .maybe("timeout_seconds", backend.timeout.map(seconds))
        .maybe("max_concurrency", count(backend.max_concurrency))
        .set("retry", retry.done())
        .set("routes", routes)
        .maybe("tools", tools(&backend.tools))
        .set("health_check", health.done())
        .set("circuit_breaker", breaker.done())
        .done()
}

fn failure_rate(rate: FailureRate) -> Value {
    Section::new()
        .set("percent", rate.percent())
        .set("min_calls", rate.min_calls())
        .set("window_seconds", seconds(rate.window()))
        .done()
}

fn http(section: Section, endpoint: &HttpEndpoint, balancing: Policy) -> Section {
    let names = endpoint.headers.iter().map(|(name, _)| name.as_str());
    let headers = names.fold(Section::new(), |section, name| section.set(name, HIDDEN));
    let pool = Section::new()
        .maybe("max_connections", count(endpoint.pool.max_connections))
        .maybe(
            "idle_timeout_seconds",
            endpoint.pool.idle_timeout.map(seconds),
        );
    let section = match endpoint.servers.as_slice() {
        [server] => section.set("url", server.display_url()),
        servers => {
            let tiers = balancing == Policy::Priority;
            let replicas = servers.iter().map(|server| replica(server, tiers));
            section.set("replicas", replicas.collect::<Vec<_>>())
        }
    };
    section
        .set("transport", endpoint.transport.as_str())
        .set("headers", headers.done())
        .set("connection_pool", pool.done())
}

fn replica(server: &HttpServer, tiers: bool) -> Value {
    Section::new()
        .set("url", server.display_url())
        .maybe("priority", tiers.then_some(server.priority))
        .done()
}

fn command(section: Section, endpoint: &CommandEndpoint) -> Section {
    let args: Vec<Value> = endpoint.display_args().map(Value::from).collect();
    let names = endpoint.env.iter().map(|(name, _)| name.as_str());
    let env = names.fold(Section::new(), |section, name| section.set(name, HIDDEN));
    let cwd = endpoint.cwd.as_ref().map(|cwd| cwd.display().to_string());
    section
        .set("command", endpoint.program.as_str())
        .set("args", args)
        .set("env", env.done())
        .maybe("cwd", cwd)
        .maybe(
            "replicas",
            (endpoint.processes != 1).then_some(endpoint.processes),
        )
}

fn alert(alert: &AlertConfig) -> Value {
    let names = alert.headers.iter().map(|(name, _)| name.as_str());
    let headers = names.fold(Section::new(), |section, name| section.set(name, HIDDEN));
    let routing_key = matches!(alert.kind, AlertKind::PagerDuty { .. });
    Section::new()
        .set("type", alert.kind.as_str())
        // Whoever knows it may speak in the router's name.
        .maybe("url", alert.url.as_ref().map(|_| HIDDEN))
        .maybe("routing_key", routing_key.then_some(HIDDEN))
        .set("headers", headers.done())
        .done()
}

fn route(route: &Route) -> Value {
    Section::new()
        .set("pattern", route.pattern.as_str())
        .maybe("strategy", route.strategy.map(|strategy| strategy.as_str()))
        .maybe(
            "fallback_to",
            route.fallback_to.as_ref().map(|name| name.as_str()),
        )
        .done()
}

/// Nothing for rules that change nothing.
fn tools(rules: &ToolRules) -> Option<Value> {
    if *rules == ToolRules::default() {
        return None;
    }
    let patterns = |patterns: &[RoutePattern]| {
        let texts = patterns.iter().map(|p| Value::from(p.as_str()));
        texts.collect::<Vec<_>>()
    };
    let rename = rules.rename.iter();
    let rename = rename.fold(Section::new(), |s, (from, to)| s.set(from, to.as_str()));
    let times = rules.timeouts.iter();
    let times = times.fold(Section::new(), |s, (p, time)| {
        s.set(p.as_str(), seconds(*time))
    });
    let section = Section::new()
        .maybe("allow", rules.allow.as_deref().map(patterns))
        .set("deny", patterns(&rules.deny))
        .set("rename", rename.done())
        .set("idempotent", patterns(&rules.idempotent))
        .set("timeout_seconds", times.done());
    Some(section.done())
}

fn list(texts: &[String]) -> Vec<Value> {
    texts.iter().map(|text| text.as_str().into()).collect()
}

fn count(count: Option<usize>) -> Option<u64> {
    count.map(|count| count as u64)
}

/// Whole seconds without a fraction, as people write them.
fn seconds(duration: Duration) -> Value {
    if duration.subsec_nanos() == 0 {
        duration.as_secs().into()
    } else {
        duration.as_secs_f64().into()
    }
}
