//! `retry`, `routing.retry` and `tools.idempotent`, as the file says them: how often a backend sees
//! a call that fails, and when.

use std::time::{Duration, Instant};

use mcp_router_tests::fixture::{Fault, Fixture, Rule};
use mcp_router_tests::harness::{Router, text};
use serde_json::{Value, json};

const CALL: &str = "tools/call";

/// A router with one backend `a`, and what the file says of it and of everybody.
async fn scene(sections: &str, keys: &str) -> (Fixture, Router) {
    started(Router::builder(), sections, keys).await
}

async fn started(
    builder: mcp_router_tests::harness::RouterBuilder,
    sections: &str,
    keys: &str,
) -> (Fixture, Router) {
    let backend = Fixture::builder().spawn().await;
    let url = backend.url();
    // The circuit has tests of its own.
    let file = format!(
        "{sections}\nbackends:\n  - {{ name: a, namespace: a, url: \"{url}\", circuit_breaker: {{ failure_threshold: 1000 }}, {keys} }}\n"
    );
    let router = builder.config(&file).start().await;
    router.until_ready().await;
    router.until_healthy("a").await;
    (backend, router)
}

async fn call(router: &Router, tool: &str, nonce: &str) -> Value {
    router.modern().call(tool, json!({"nonce": nonce})).await
}

fn status(code: u16) -> Rule {
    Rule::new(Fault::status(code)).on(CALL)
}

/// The waits between the calls that the backend saw.
fn waits(backend: &Fixture) -> Vec<Duration> {
    let seen: Vec<Instant> = backend.log().of(CALL).iter().map(|r| r.at).collect();
    seen.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test]
async fn a_call_is_attempted_as_often_as_the_file_or_the_environment_says() {
    let at_once = |attempts: u32| {
        format!("routing: {{ retry: {{ max_attempts: {attempts}, max_backoff_seconds: 0 }} }}")
    };
    for (in_file, in_env, attempts) in [(1, None, 1), (4, None, 4), (4, Some("2"), 2)] {
        let mut builder = Router::builder();
        if let Some(number) = in_env {
            builder = builder.env("MCP_MAX_RETRIES", number);
        }
        let (backend, router) = started(builder, &at_once(in_file), "").await;
        backend.set_fault(status(500));
        let answer = call(&router, "a.once_idempotent", "x").await;
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        assert_eq!(backend.log().count(CALL), attempts, "{in_file}, {in_env:?}");
    }
}

#[tokio::test]
async fn a_retry_that_works_hides_the_failure() {
    let (backend, router) = scene("routing: { retry: { max_backoff_seconds: 0 } }", "").await;
    backend.set_fault(status(502).times(2));
    let answer = call(&router, "a.once_read_only", "x").await;
    assert_eq!(text(&answer), "executed 3 times", "{answer}");
    assert_eq!(backend.log().count(CALL), 3);
}

#[tokio::test]
async fn waits_grow_by_the_multiplier_up_to_the_cap_and_a_cap_of_zero_waits_for_nothing() {
    let retry = |multiplier: u32, cap: u32| {
        format!(
            "routing: {{ retry: {{ max_attempts: 3, backoff_multiplier: {multiplier}, max_backoff_seconds: {cap} }} }}"
        )
    };
    // Jitter takes 50 to 100 % of each wait; the rest is room for a slow machine.
    let s = Duration::from_secs_f64;
    for (multiplier, cap, nominal) in [(3, 10, [1.0, 3.0]), (3, 1, [1.0, 1.0])] {
        let (backend, router) = scene(&retry(multiplier, cap), "").await;
        backend.set_fault(status(500));
        call(&router, "a.once_idempotent", "x").await;
        let waits = waits(&backend);
        assert_eq!(waits.len(), 2);
        for (wait, nominal) in waits.iter().zip(nominal) {
            let fits = (s(nominal * 0.5)..s(nominal + 0.5)).contains(wait);
            assert!(fits, "{multiplier}, {cap}: {waits:?}");
        }
    }
    let (backend, router) = scene(&retry(3, 0), "").await;
    backend.set_fault(status(500));
    call(&router, "a.once_idempotent", "x").await;
    let waits = waits(&backend);
    assert!(waits.iter().all(|w| *w < s(0.4)), "{waits:?}");
}

#[tokio::test]
async fn what_backends_ask_to_wait_is_waited() {
    let (backend, router) = scene("routing: { retry: { max_backoff_seconds: 0 } }", "").await;
    let refused = Fault::Status {
        code: 503,
        retry_after: Some(1),
        body: None,
    };
    backend.set_fault(Rule::new(refused).on(CALL).times(1));
    // Refused is not run, so this is safe for any tool.
    let answer = call(&router, "a.once", "x").await;
    assert_eq!(text(&answer), "executed 1 times", "{answer}");
    let waits = waits(&backend);
    assert!(
        waits.len() == 1 && waits[0] >= Duration::from_millis(950),
        "{waits:?}"
    );
}

#[tokio::test]
async fn safety_decides_what_may_run_twice() {
    // How often the backend sees each call: a lost answer of an unannotated tool, of one declared
    // idempotent, and a refusal.
    for (safety, unannotated, declared, refused) in [
        ("strict", 1, 1, 1),
        ("standard", 1, 3, 3),
        ("trusting", 3, 3, 3),
    ] {
        let at_once = "routing: { retry: { max_backoff_seconds: 0 } }";
        let (backend, router) = scene(at_once, &format!("retry: {{ safety: {safety} }}")).await;
        let mut seen = Vec::new();
        for (tool, code) in [("a.once", 500), ("a.once_idempotent", 500), ("a.once", 429)] {
            backend.clear_faults();
            backend.log().clear();
            backend.set_fault(status(code));
            call(&router, tool, safety).await;
            seen.push(backend.log().count(CALL));
        }
        assert_eq!(seen, [unannotated, declared, refused], "{safety}");
    }
}

#[tokio::test]
async fn tools_can_be_declared_idempotent_by_the_operator() {
    let (backend, router) = scene(
        "routing: { retry: { max_backoff_seconds: 0 } }",
        "tools: { idempotent: [\"onc?\"] }",
    )
    .await;
    backend.set_fault(Rule::new(Fault::Close).on(CALL).times(1));
    let answer = call(&router, "a.once", "x").await;
    assert_eq!(text(&answer), "executed 2 times", "{answer}");
}
