//! The numbers of backends, and of the router as a whole.

use std::net::SocketAddr;

use mcp_router_tests::fixture::{Fault, Fixture, Rule};
use mcp_router_tests::harness::{HttpClient, Router, config, until};
use serde_json::json;

use super::samples::Samples;

/// Waits until a number without labels, or that of backend `a`, is what it should be.
async fn until_is(router: &Router, name: &str, value: f64) {
    let what = format!("{name} {value}");
    until(&what, async || {
        let samples = Samples::of(router).await;
        let of_a = samples.sum(name, &[("backend", "a")]);
        let alone = samples.sum(name, &[]);
        samples.has(name) && (of_a == value || alone == value)
    })
    .await;
}

#[tokio::test]
async fn a_backend_that_fails_is_seen_to_fail_and_to_recover() {
    let fixture = Fixture::builder().spawn().await;
    let file = format!(
        "routing: {{ retry: {{ max_attempts: 1 }} }}
backends:
  - {{ name: a, namespace: a, url: \"{}\", health_check: {{ enabled: false }}, \
       circuit_breaker: {{ failure_threshold: 2, timeout_seconds: 1, half_open_attempts: 1 }} }}\n",
        fixture.url()
    );
    let router = Router::start(&file).await;
    router.until_healthy("a").await;
    let client = router.modern();
    let call = async || client.call("a.echo", json!({"text": "x"})).await;
    until_is(&router, "mcp_router_backend_up", 1.0).await;
    until_is(&router, "mcp_router_circuit_state", 0.0).await;
    fixture.set_fault(Rule::new(Fault::status(500)).on("tools/call"));
    call().await;
    until_is(&router, "mcp_router_backend_failures", 1.0).await;
    call().await;
    until_is(&router, "mcp_router_circuit_state", 2.0).await;
    until_is(&router, "mcp_router_backend_up", 0.0).await;
    until_is(&router, "mcp_router_circuit_state", 1.0).await;
    fixture.clear_faults();
    call().await;
    until_is(&router, "mcp_router_circuit_state", 0.0).await;
    until_is(&router, "mcp_router_backend_failures", 0.0).await;
    until_is(&router, "mcp_router_backend_up", 1.0).await;
}

#[tokio::test]
async fn a_backend_that_is_gone_is_down() {
    let fixture = Fixture::builder().spawn().await;
    let file = format!(
        "backends:\n  - {{ name: a, namespace: a, url: \"{}\", \
         health_check: {{ interval_seconds: 1, timeout_seconds: 1 }} }}\n",
        fixture.url()
    );
    let router = Router::start(&file).await;
    until_is(&router, "mcp_router_backend_up", 1.0).await;
    fixture.go_down().await;
    until_is(&router, "mcp_router_backend_up", 0.0).await;
    fixture.go_up().await;
    until_is(&router, "mcp_router_backend_up", 1.0).await;
}

#[tokio::test]
async fn ready_says_what_the_page_of_that_name_says() {
    let hangs = Fixture::builder().fault(Fault::NeverAnswer).spawn().await;
    let file = format!(
        "routing: {{ startup_wait_seconds: 3 }}\n{}",
        config([("a", hangs.url())])
    );
    let router = Router::start(&file).await;
    until_is(&router, "mcp_router_ready", 0.0).await;
    router.until_ready().await;
    until_is(&router, "mcp_router_ready", 1.0).await;
}

#[tokio::test]
async fn a_listener_that_anybody_can_reach_is_told() {
    let fixture = Fixture::builder().spawn().await;
    let file = config([("a", fixture.url())]);
    let safe = Router::start(&file).await;
    until_is(&safe, "mcp_router_insecure_bind", 0.0).await;
    let builder = Router::builder().config(&file).arg("--host").arg("0.0.0.0");
    let open = builder.start().await;
    let addr = SocketAddr::from(([127, 0, 0, 1], open.addr().port()));
    let page = HttpClient::new(addr).get("/metrics").await.text();
    let samples = Samples::parse(page);
    assert_eq!(samples.sum("mcp_router_insecure_bind", &[]), 1.0);
}

#[tokio::test]
async fn what_is_dropped_is_counted_by_reason() {
    let fixture = Fixture::builder().spawn().await;
    let router = Router::start(&config([("a", fixture.url())])).await;
    router.until_ready().await;
    let session = router.legacy_session("2025-11-25").await;
    let cancel = json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 4711},
    });
    session.client().post("/mcp", cancel.to_string()).await;
    until("a cancellation of nothing is counted", async || {
        let samples = Samples::of(&router).await;
        let reason = [("reason", "client_cancel_unknown")];
        samples.sum("mcp_router_dropped_messages_total", &reason) == 1.0
    })
    .await;
}

#[tokio::test]
async fn the_page_is_openmetrics_and_minds_the_host() {
    let fixture = Fixture::builder().spawn().await;
    let router = Router::start(&config([("a", fixture.url())])).await;
    let page = router.client().get("/metrics").await;
    let kind = page.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    assert!(page.text().ends_with("# EOF\n"));
    let samples = Samples::parse(page.text());
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(samples.sum("mcp_router_build_info", &version), 1.0);
    let foreign = router.client().with("host", "evil.example");
    assert_eq!(foreign.get("/metrics").await.status, 403);
    assert_eq!(foreign.get("/ready").await.status, 200);
}

#[tokio::test]
async fn sessions_streams_and_requests_of_clients_are_counted() {
    let fixture = Fixture::builder().spawn().await;
    let key = "0123456789abcdef0123456789abcdef";
    let file = format!(
        "server: {{ session_keys: [{key}] }}\n{}",
        config([("a", fixture.url())])
    );
    let (router, replica) = (Router::start(&file).await, Router::start(&file).await);
    router.until_healthy("a").await;
    until_is(&router, "mcp_router_sessions", 0.0).await;
    let session = replica.legacy_session("2025-11-25").await;
    until_is(&replica, "mcp_router_sessions", 1.0).await;
    until_is(&router, "mcp_router_sessions_revived_total", 0.0).await;
    let moved = session.at(router.addr());
    moved.call("a.echo", json!({"text": "x"})).await;
    until_is(&router, "mcp_router_sessions_revived_total", 1.0).await;
    until_is(&router, "mcp_router_sessions", 1.0).await;
    let listening = router.modern().listen().await;
    until_is(&router, "mcp_router_client_streams", 1.0).await;
    drop(listening);
    until_is(&router, "mcp_router_client_streams", 0.0).await;
    let client = router.modern();
    let asking = tokio::spawn(async move { client.call("a.sleep", json!({"ms": 60_000})).await });
    until_is(&router, "mcp_router_client_requests_in_flight", 1.0).await;
    asking.abort();
    until_is(&router, "mcp_router_client_requests_in_flight", 0.0).await;
}

#[tokio::test]
async fn who_is_refused_at_the_door_is_counted() {
    let fixture = Fixture::builder().spawn().await;
    let router = Router::start(&config([("a", fixture.url())])).await;
    for (header, value, reason) in [
        ("host", "evil.example", "host_refused"),
        ("origin", "http://evil.example", "origin_refused"),
    ] {
        let stranger = router.client().with(header, value);
        assert_eq!(stranger.get("/mcp").await.status, 403);
        let reason = [("reason", reason)];
        let samples = Samples::of(&router).await;
        assert_eq!(
            samples.sum("mcp_router_dropped_messages_total", &reason),
            1.0
        );
    }
}

#[tokio::test]
async fn reloads_are_counted_by_how_they_went_and_a_removed_backend_leaves_the_page() {
    let (kept, removed) = (Fixture::builder(), Fixture::builder());
    let (kept, removed) = (kept.spawn().await, removed.spawn().await);
    let both = config([("a", kept.url()), ("b", removed.url())]);
    let router = Router::start(&both).await;
    router.until_healthy("a").await;
    router.until_healthy("b").await;
    let reloads = async |outcome: &str| {
        let samples = Samples::of(&router).await;
        samples.sum("mcp_router_config_reloads_total", &[("outcome", outcome)])
    };
    for name in ["a", "b"] {
        let tool = format!("{name}.echo");
        router.modern().call(&tool, json!({"text": "x"})).await;
    }
    let reload = async || {
        router
            .modern()
            .call("reload_backends_config", json!({}))
            .await
    };
    reload().await;
    assert_eq!(reloads("unchanged").await, 1.0);
    router.rewrite_config("backends: [{ nonsense: 1 }]");
    until("the file is refused", async || {
        reloads("refused").await >= 1.0
    })
    .await;
    let samples = Samples::of(&router).await;
    assert_eq!(
        samples.sum("mcp_router_requests_total", &[("backend", "b")]),
        1.0
    );
    router.rewrite_config(&config([("a", kept.url())]));
    until("the file is applied", async || {
        reloads("applied").await >= 1.0
    })
    .await;
    until("nothing is said of b", async || {
        let samples = Samples::of(&router).await;
        let of_b = |s: &super::samples::Sample| s.labels.get("backend").is_some_and(|b| b == "b");
        !samples.all().iter().any(of_b)
    })
    .await;
    let samples = Samples::of(&router).await;
    assert_eq!(
        samples.sum("mcp_router_requests_total", &[("backend", "a")]),
        1.0
    );
}
