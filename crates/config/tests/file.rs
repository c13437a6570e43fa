//! What a file says, and what becomes of it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::time::Duration;

use common::{complaints, load_text, load_with};
use mcp_router_config::{EndpointConfig, HttpTransport, SessionMode};
use secrecy::ExposeSecret;

/// Every key that does something in this release.
const ACTIVE: &str = r#"
backends:
  - name: search
    url: https://search.example:8443/mcp
    namespace: web
    priority: 3
    auto_start: false
    transport: sse
    headers: { Authorization: "Bearer ${TOKEN}", X-Team: a }
    timeout_seconds: 2.5
    max_concurrency: 7
    connection_pool: { max_connections: 9, idle_timeout_seconds: 3 }
    session: per_client
    lazy: true
    retry: { safety: strict }
    routes: [{ pattern: "a_*", strategy: path }, { pattern: "*", fallback_to: third }]
    tools: { allow: ["*"], deny: ["drop_*"], rename: { q: query }, idempotent: ["get_*"], timeout_seconds: { "slow_*": 90 } }
    health_check: { enabled: false, interval_seconds: 2, timeout_seconds: 1, endpoint: /well, method: get }
    circuit_breaker: { failure_threshold: 2, timeout_seconds: 3, half_open_attempts: 4, failure_rate: { percent: 20 } }
  - name: My Files
    command: ~/bin/files
    args: ["--root", "${ROOT:-/data}"]
    env: { KEY: "${TOKEN}" }
    cwd: /srv
  - name: third
    replicas: [{ url: "http://localhost:1/", priority: 1 }, { url: "http://localhost:2/" }]
    load_balancing: priority
    namespace: web
  - { name: fourth, source: "github:owner/repo", replicas: 2, load_balancing: least_connections }
routing:
  default_strategy: path
  enable_namespace_prefixing: false
  namespace_separator: "."
  capability_cache_ttl_seconds: 60
  request_timeout_seconds: ${SECONDS}
  startup_wait_seconds: 0
  retry: { max_attempts: 5, backoff_multiplier: 1.5, max_backoff_seconds: 0 }
server:
  allowed_hosts: [router.example]
  allowed_origins: ["https://app.example"]
  drain_seconds: 0
  drain: { serve_seconds: 5 }
  stale_ttl_seconds: 10
  session_keys: ["0123456789abcdef0123456789abcdef"]
  limits: { max_connections: 11, page_size: 12, max_answer_bytes: 4096 }
"#;
const VARIABLES: [(&str, &str); 3] = [("TOKEN", "swordfish"), ("SECONDS", "12"), ("HOME", "/h")];

#[test]
fn every_key_is_obeyed() {
    let loaded = load_with(ACTIVE, &VARIABLES).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let config = loaded.config;
    let [search, files, third, fourth] = config.backends.as_slice() else {
        panic!("four backends");
    };
    assert_eq!((search.priority, search.auto_start), (3, false));
    assert_eq!(search.timeout, Some(Duration::from_millis(2500)));
    assert_eq!(
        (search.max_concurrency, search.session),
        (Some(7), SessionMode::PerClient)
    );
    let EndpointConfig::Http(http) = &search.endpoint else {
        panic!("a URL");
    };
    let urls: Vec<String> = http.servers.iter().map(|s| s.url.to_string()).collect();
    assert_eq!(urls, ["https://search.example:8443/mcp"]);
    assert_eq!(http.transport, HttpTransport::Sse);
    assert_eq!(http.headers[0].1.expose_secret(), "Bearer swordfish");
    assert_eq!(http.pool.max_connections, Some(9));
    assert_eq!(http.pool.idle_timeout, Some(Duration::from_secs(3)));

    let EndpointConfig::Command(child) = &files.endpoint else {
        panic!("a command");
    };
    assert_eq!(files.namespace.as_str(), "my-files");
    assert_eq!(
        (child.program.as_str(), child.args[1].as_str()),
        ("/h/bin/files", "/data")
    );
    assert_eq!(child.env[0].1.expose_secret(), "swordfish");
    assert_eq!(third.priority, 10);
    assert!(search.lazy && !third.lazy);
    assert_eq!(
        (search.safety.as_str(), third.safety.as_str()),
        ("strict", "standard")
    );
    assert_eq!(
        search.routes[1].fallback_to.as_ref().unwrap().as_str(),
        "third"
    );
    assert!(search.tools.offers("get_x") && !search.tools.offers("drop_x"));
    assert_eq!(
        search.tools.timeout("slow_x"),
        Some(Duration::from_secs(90))
    );
    assert_eq!(search.breaker.failure_threshold(), 2);
    assert_eq!(
        (third.endpoint.count(), third.balancing.as_str()),
        (2, "priority")
    );
    assert_eq!(
        (fourth.endpoint.count(), fourth.balancing.as_str()),
        (2, "least_connections")
    );

    let routing = &config.routing;
    assert_eq!(routing.default_strategy.as_str(), "path");
    assert!(!routing.enable_namespace_prefixing);
    assert_eq!(routing.request_timeout, Duration::from_secs(12));
    assert_eq!(routing.startup_wait, Some(Duration::ZERO));
    assert_eq!(routing.retry.max_attempts, 5);
    assert_eq!(routing.retry.backoff.cap(), Duration::ZERO);
    assert!((routing.retry.backoff.multiplier() - 1.5).abs() < f64::EPSILON);
    let server = &config.server;
    assert_eq!(
        (server.drain, server.drain_serve),
        (Duration::ZERO, Duration::from_secs(5))
    );
    assert_eq!(server.stale_ttl, Duration::from_secs(10));
    assert_eq!(server.limits.max_connections, Some(11));
    assert_eq!(server.limits.page_size, Some(12));
    assert_eq!(server.limits.max_in_flight, None);
    assert_eq!(server.session_keys.len(), 1);
}

#[test]
fn secrets_show_neither_in_debug_nor_in_print() {
    let loaded = load_with(ACTIVE, &VARIABLES).unwrap();
    let config = &loaded.config;
    for text in [format!("{loaded:?}"), config.to_yaml()] {
        for secret in ["swordfish", "0123456789abcdef", "/data"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    assert!(config.to_yaml().contains("authorization: '***'"));
}

#[test]
fn the_printed_configuration_loads_again_and_prints_the_same() {
    let text = ACTIVE.replace("session_keys", "# session_keys");
    let first = load_with(&text, &VARIABLES).unwrap().config.to_yaml();
    let again = load_with(&first, &VARIABLES).unwrap();
    assert_eq!(again.config.to_yaml(), first);
}

#[test]
fn a_file_of_the_python_router_works_as_it_is() {
    let loaded = load_text(include_str!("fixtures/python-router.yaml")).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let [users, reports, spare] = loaded.config.backends.as_slice() else {
        panic!("three backends");
    };
    let routes = |backend: &mcp_router_config::BackendConfig| {
        let text = |route: &mcp_router_routing::Route| {
            let next = route.fallback_to.as_ref().map_or("-", |name| name.as_str());
            let strategy = route.strategy.map_or("-", |strategy| strategy.as_str());
            format!("{} {strategy} {next}", route.pattern)
        };
        backend.routes.iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(routes(users), ["*_user path -", "find* path -"]);
    assert_eq!(routes(reports), ["report_* fallback reports-spare"]);
    assert_eq!(routes(spare), ["report_* capability -"]);
    assert_eq!((users.priority, spare.priority), (10, 20));
    assert_eq!(reports.breaker.failure_threshold(), 3);
    assert_eq!(reports.breaker.open_for(), Duration::from_secs(30));
    assert_eq!(reports.breaker.half_open_attempts(), 3);
    assert_eq!(reports.probe.interval(), Duration::from_secs(15));
    let retry = &loaded.config.routing.retry;
    assert_eq!(retry.max_attempts, 3);
    assert_eq!(retry.backoff.cap(), Duration::from_secs(10));
}

#[test]
fn separators_that_keep_names_apart_are_accepted() {
    let load = |text: &str| {
        let text = format!("backends: []\nrouting: {{ namespace_separator: {text} }}");
        load_text(&text).map(|loaded| loaded.config.routing.namespace_separator.as_str())
    };
    assert_eq!(load("null").unwrap(), ".");
    assert_eq!(load("\".\"").unwrap(), ".");
    assert_eq!(load("__").unwrap(), "__");
    for refused in ["_", "\"-\"", "/", "\"\""] {
        let found = load(refused).unwrap_err().to_string();
        assert!(found.contains("must be one of"), "{refused}: {found}");
    }
}

#[test]
fn every_complaint_about_values_is_told_at_once() {
    let text = r#"
backends:
  - { name: b, namespace: b, replicas: [{ url: "ftp://h" }, {}, 5] }
  - { name: c, namespace: c, url: "http://h", tools: { allow: ["[z-a]"] }, load_balancing: best }
alerts: [{ type: pagerduty }, { url: "x" }, { type: slack, url: "http://h/s3cret", routing_key: s3cret }, ~, { type: webhook }, { type: webhook, url: "http://u:s3cret@h", headers: { "a b": x, host: x } }]
"#;
    let found = complaints(text, &[]).join("\n");
    for part in [
        "backends[0].replicas[0].url must start with",
        "backends[0].replicas[2] must be a map",
        "backends[1].tools.allow[0] is not valid",
        "must be one of round_robin",
        "alerts[0].routing_key is missing",
        "alerts[1].type is missing",
        "alerts[1].url must start with http:// or https://",
        "alerts[2].routing_key is for `type: pagerduty` only",
        "alerts[3] is empty",
        "alerts[4].url is missing",
        "alerts[5].url must not carry a user or password",
        "is not the name of a header",
        "is set by the router itself",
    ] {
        assert!(found.contains(part), "{part} is missing in\n{found}");
    }
    assert!(!found.contains("s3cret"), "{found}");
}

#[test]
fn alerts_are_built_and_printed_without_a_secret() {
    let text = r#"
backends: []
alerts:
  - { type: webhook, url: "http://h/s3cret", headers: { X-Key: s3cret } }
  - { type: slack, url: "https://hooks/s3cret" }
  - { type: pagerduty, routing_key: s3cret }
"#;
    let config = load_text(text).unwrap().config;
    let kinds: Vec<_> = config.alerts.iter().map(|a| a.kind.as_str()).collect();
    assert_eq!(kinds, ["webhook", "slack", "pagerduty"]);
    let url = config.alerts[0].url.as_ref().map(|url| url.expose_secret());
    assert_eq!(url, Some("http://h/s3cret"));
    assert!(config.alerts[2].url.is_none());
    assert_eq!(config.alerts[0].headers[0].0, "x-key");
    let shown = format!("{} {config:?}", config.to_yaml());
    assert!(
        shown.contains("type: pagerduty") && shown.contains("***"),
        "{shown}"
    );
    assert!(!shown.contains("s3cret"), "{shown}");
    let many = "\n  - { type: slack, url: 'http://h' }".repeat(33);
    let found = complaints(&format!("backends: []\nalerts:{many}"), &[]).join("");
    assert!(found.contains("alerts has more than 32 entries"), "{found}");
}

#[test]
fn null_sections_are_absent() {
    let text = "backends:\n  - {name: a, url: 'http://h', namespace: a, health_check: null, headers: ~, timeout_seconds: }\nrouting:\nserver: null\nalerts:\n";
    let loaded = load_text(text).unwrap();
    assert_eq!(loaded.config.backends.len(), 1);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn no_backends_is_valid_and_warns() {
    for text in ["backends: []", "backends:\n", "routing: {}"] {
        let loaded = load_text(text).unwrap();
        assert!(loaded.warnings[0].message.contains("no backends"), "{text}");
    }
}

#[test]
fn merge_keys_and_anchors_work_and_keep_places() {
    let text = "
backends:
  - &base { name: a, url: 'http://h', namespace: a, priority: 5, routes: [] }
  - <<: *base
    name: b
  - { <<: [*base, { name: zzz }], name: c, priority: -1 }
";
    let found = complaints(text, &[]);
    assert_eq!(
        found,
        ["6:54 backends[2].priority must be between 0 and 4294967295"]
    );
    let loaded = load_text(&text.replace("-1", "1")).unwrap();
    let priorities: Vec<u32> = loaded.config.backends.iter().map(|b| b.priority).collect();
    assert_eq!(priorities, [5, 5, 1]);
}
