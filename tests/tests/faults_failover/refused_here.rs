//! Calls that the router itself keeps from a backend: they were not sent, so they move on at once.

use std::time::{Duration, Instant};

use futures::future::join_all;
use mcp_router_tests::fixture::{Era, Fault, Fixture, Rule};
use mcp_router_tests::harness::{Router, text};
use serde_json::json;

use super::{CALL, call, fixture};

/// The first of two backends with these limits, the second behind it.
async fn start(limits: &str) -> (Fixture, Fixture, Router) {
    let first = fixture("first", Era::Modern).await;
    let second = fixture("second", Era::Modern).await;
    let file = format!(
        "server: {{ limits: {{ max_queue_per_backend: 0 }} }}\n\
         routing: {{ retry: {{ max_attempts: 1 }} }}\n\
         backends:\n  - {{ name: first, namespace: s, url: \"{}\", priority: 1, {limits} }}\n  \
         - {{ name: second, namespace: s, url: \"{}\", priority: 2 }}\n",
        first.url(),
        second.url()
    );
    let router = Router::start(&file).await;
    router.until_healthy("first").await;
    router.until_healthy("second").await;
    super::served_by(&router, "s", "first").await;
    (first, second, router)
}

#[tokio::test]
async fn f24_the_excess_of_a_saturated_backend_goes_to_another_at_once() {
    let (first, second, router) = start("max_concurrency: 2").await;
    let client = router.modern();
    let before = first.log().count(CALL);
    let holding = (0..2).map(|_| client.call("s.sleep", json!({"ms": 4000})));
    let excess = async {
        first.log().wait_for(CALL, before + 2).await;
        let start = Instant::now();
        let nonces: Vec<_> = (0..10).map(|n| format!("excess-{n}")).collect();
        let calls = nonces.iter().map(|nonce| call(&router, "s.once", nonce));
        for (answer, by) in join_all(calls).await {
            assert_eq!(by.as_deref(), Some("second"), "{answer}");
        }
        assert!(start.elapsed() < Duration::from_secs(4), "they waited");
        nonces
    };
    let (held, nonces) = tokio::join!(join_all(holding), excess);
    for answer in held {
        assert_eq!(text(&answer), "slept", "{answer}");
    }
    for nonce in nonces {
        let ran = [&first, &second].map(|f| f.log().executions(&nonce));
        assert_eq!(ran, [0, 1], "{nonce}");
    }
}

#[tokio::test]
async fn i8_calls_for_an_open_circuit_go_to_another_and_come_back_when_it_closes() {
    let breaker = "circuit_breaker: { failure_threshold: 2, timeout_seconds: 6 }, \
                   health_check: { enabled: false }";
    let (first, _second, router) = start(breaker).await;
    first.set_fault(Rule::new(Fault::status(500)).on(CALL));
    for nonce in ["one", "two"] {
        let (answer, by) = call(&router, "s.once", nonce).await;
        assert_eq!(by, None, "moved, though it may have run: {answer}");
    }
    assert_eq!(router.backend("first").await["circuit_state"], "OPEN");
    let reached = first.log().count(CALL);
    for n in 0..10 {
        let (answer, by) = call(&router, "s.once", &format!("open-{n}")).await;
        assert_eq!(by.as_deref(), Some("second"), "{answer}");
    }
    assert_eq!(first.log().count(CALL), reached);
    first.clear_faults();
    super::served_by(&router, "s", "first").await;
    assert_eq!(router.backend("first").await["circuit_state"], "CLOSED");
}
