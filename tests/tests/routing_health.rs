//! `health_check` and `circuit_breaker`, as the file says them: what reaches a backend that nobody
//! calls, and what no longer reaches one that fails.

use std::time::{Duration, Instant};

use mcp_router_tests::fixture::{Era, Fault, Fixture, FixtureBuilder, Rule};
use mcp_router_tests::harness::{Router, text, until};
use serde_json::{Value, json};

const CALL: &str = "tools/call";

/// A router with one backend `a`, and what the file says of it.
async fn scene(backend: FixtureBuilder, keys: &str) -> (Fixture, Router) {
    let backend = backend.spawn().await;
    let url = backend.url();
    let file = format!(
        "routing: {{ retry: {{ max_attempts: 1 }} }}\nbackends:\n  - {{ name: a, namespace: a, url: \"{url}\", {keys} }}\n"
    );
    let router = Router::start(&file).await;
    router.until_ready().await;
    router.until_healthy("a").await;
    (backend, router)
}

fn reason(answer: &Value) -> &str {
    answer["result"]["_meta"]["mcp-router/failure"]["reason"]
        .as_str()
        .unwrap_or_default()
}

async fn echo(router: &Router) -> Value {
    router.modern().call("a.echo", json!({"text": "x"})).await
}

#[tokio::test]
async fn probes_go_to_the_health_page_at_the_interval() {
    let keys = "health_check: { interval_seconds: 1 }";
    let (backend, _router) = scene(Fixture::builder().health(200), keys).await;
    let start = Instant::now();
    backend.log().wait_for("health", 4).await;
    let took = start.elapsed();
    // The first is sent at once, the others 1 s ±10 % apart.
    assert!(took > Duration::from_millis(1800), "{took:?}");
    let path = &backend.log().of("health")[0].path;
    assert_eq!(path, "/health");
}

#[tokio::test]
async fn a_disabled_probe_sends_nothing() {
    let off = scene(
        Fixture::builder().health(200),
        "health_check: { enabled: false, interval_seconds: 1 }",
    );
    let on = scene(
        Fixture::builder().health(200),
        "health_check: { interval_seconds: 1 }",
    );
    let ((silent, _one), (probed, _other)) = tokio::join!(off, on);
    probed.log().wait_for("health", 3).await;
    assert_eq!(silent.log().count("health"), 0);
}

#[tokio::test]
async fn the_method_says_what_a_probe_sends() {
    for (method, sent) in [("get", "health"), ("options", "OPTIONS"), ("mcp", "ping")] {
        let keys = format!("health_check: {{ interval_seconds: 1, method: {method} }}");
        let backend = Fixture::builder().era(Era::Legacy).health(200);
        let (backend, _router) = scene(backend, &keys).await;
        backend.log().wait_for(sent, 2).await;
        if method != "get" {
            assert_eq!(backend.log().count("health"), 0, "{method}");
        }
    }
}

#[tokio::test]
async fn a_named_page_must_answer_2xx_and_one_that_is_not_named_need_not_exist() {
    let named = "health_check: { interval_seconds: 1, endpoint: /health }";
    let backend = Fixture::builder().health(500).spawn().await;
    let url = backend.url();
    let file = format!(
        "backends:\n  - {{ name: a, namespace: a, url: \"{url}\", {named} }}\n  - {{ name: b, namespace: b, url: \"{url}\", health_check: {{ interval_seconds: 1 }} }}\n"
    );
    let router = Router::start(&file).await;
    router.until_ready().await;
    router.until_down("a").await;
    let without_page = Fixture::builder();
    let (backend, router) = scene(without_page, "health_check: { interval_seconds: 1 }").await;
    // Asked for once; since then it is asked by messages.
    backend.log().wait_for("server/discover", 4).await;
    assert!(backend.log().count("health") <= 1);
    assert_eq!(router.backend("a").await["healthy"], true);
    assert_eq!(text(&echo(&router).await), "x");
}

#[tokio::test]
async fn an_outage_without_traffic_is_seen_and_so_is_its_end() {
    let keys = "health_check: { interval_seconds: 1, timeout_seconds: 1 }";
    let (backend, router) = scene(Fixture::builder().health(200), keys).await;
    backend.go_down().await;
    router.until_down("a").await;
    backend.go_up().await;
    router.until_healthy("a").await;
}

#[tokio::test]
async fn the_circuit_opens_after_so_many_failures_and_lets_nothing_through() {
    let keys = "circuit_breaker: { failure_threshold: 3, timeout_seconds: 60 }, health_check: { enabled: false }";
    let (backend, router) = scene(Fixture::builder(), keys).await;
    backend.set_fault(Rule::new(Fault::status(500)).on(CALL));
    for _ in 0..3 {
        assert_eq!(reason(&echo(&router).await), "backend_status");
    }
    backend.clear_faults();
    for _ in 0..3 {
        let answer = echo(&router).await;
        assert_eq!(reason(&answer), "circuit_open", "{answer}");
        assert!(text(&answer).contains("next trial in"), "{answer}");
    }
    assert_eq!(backend.log().count(CALL), 3);
    let shown = router.backend("a").await;
    assert_eq!(shown["circuit_state"], "OPEN", "{shown}");
    assert_eq!(shown["healthy"], false, "{shown}");
    assert_eq!(shown["error_count"], 3, "{shown}");
}

#[tokio::test]
async fn after_its_time_the_circuit_tries_and_closes_after_so_many_successes() {
    let keys = "circuit_breaker: { failure_threshold: 1, timeout_seconds: 1, half_open_attempts: 2 }, health_check: { enabled: false }";
    let (backend, router) = scene(Fixture::builder(), keys).await;
    backend.set_fault(Rule::new(Fault::status(500)).on(CALL).times(1));
    echo(&router).await;
    assert_eq!(router.backend("a").await["circuit_state"], "OPEN");
    until("the circuit is half open", async || {
        router.backend("a").await["circuit_state"] == "HALF_OPEN"
    })
    .await;
    assert_eq!(text(&echo(&router).await), "x");
    assert_eq!(router.backend("a").await["circuit_state"], "HALF_OPEN");
    assert_eq!(text(&echo(&router).await), "x");
    assert_eq!(router.backend("a").await["circuit_state"], "CLOSED");
}

#[tokio::test]
async fn a_share_of_failures_opens_the_circuit_where_the_file_asks_for_it() {
    let rate = "circuit_breaker: { failure_threshold: 1000, failure_rate: { percent: 50, min_calls: 4, window_seconds: 60 } }, health_check: { enabled: false }";
    let (backend, router) = scene(Fixture::builder(), rate).await;
    for broken in [false, true, false, true] {
        if broken {
            backend.set_fault(Rule::new(Fault::status(500)).on(CALL).times(1));
        }
        echo(&router).await;
    }
    assert_eq!(reason(&echo(&router).await), "circuit_open");
}

#[tokio::test]
async fn the_environment_sets_the_probes_of_backends_that_say_nothing() {
    let backend = Fixture::builder().health(200).spawn().await;
    let url = backend.url();
    let file = format!("backends:\n  - {{ name: a, namespace: a, url: \"{url}\" }}\n");
    let router = Router::builder()
        .config(&file)
        .env("MCP_HEALTH_CHECK_INTERVAL", "1")
        .env("MCP_HEALTH_CHECK_TIMEOUT", "1")
        .start()
        .await;
    router.until_ready().await;
    backend.log().wait_for("health", 3).await;
}
