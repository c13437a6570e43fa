//! The numbers of calls.

use std::time::Duration;

use futures::future::join_all;
use mcp_router_tests::fixture::{Era, Fault, Fixture, Rule};
use mcp_router_tests::harness::{ModernClient, Router, config, until};
use serde_json::json;

use super::samples::Samples;

const CALLS: &str = "mcp_router_requests_total";

/// How many calls were counted with this backend, tool and outcome.
fn counted(samples: &Samples, backend: &str, tool: &str, outcome: &str) -> f64 {
    let labels = [("backend", backend), ("tool", tool), ("outcome", outcome)];
    samples.sum(CALLS, &labels)
}

/// Waits until one call is counted so, and no other anywhere.
async fn until_only(router: &Router, backend: &str, tool: &str, outcome: &str, calls: f64) {
    let what = format!("{calls} {outcome} of {tool} at {backend}");
    until(&what, async || {
        let samples = Samples::of(router).await;
        counted(&samples, backend, tool, outcome) == calls
    })
    .await;
}

#[tokio::test]
async fn each_ending_of_a_call_is_counted_under_its_word() {
    let fixture = Fixture::builder().asking().prompt("greet").spawn().await;
    let file = format!(
        "routing: {{ retry: {{ max_attempts: 1 }}, request_timeout_seconds: 2 }}\n{}",
        config([("a", fixture.url())])
    );
    let router = Router::start(&file).await;
    router.until_healthy("a").await;
    let elicits = json!({"elicitation": {"form": {}}});
    let client = ModernClient::with_capabilities(router.addr(), elicits);
    for (tool, arguments, outcome) in [
        ("a.echo", json!({"text": "x"}), "ok"),
        ("a.fail", json!({}), "tool_error"),
        ("a.ask_elicit", json!({"nonce": "n"}), "input_required"),
    ] {
        client.call(tool, arguments).await;
        until_only(&router, "a", tool, outcome, 1.0).await;
    }
    client.call("a.nothing_like_it", json!({})).await;
    until_only(&router, "", "other", "error", 1.0).await;
    client.call("list_backends", json!({})).await;
    let prompt = json!({"name": "a.greet"});
    client.request("prompts/get", prompt).await;
    until_only(&router, "a", "prompts/get", "ok", 1.0).await;
    for (fault, outcome) in [
        (Fault::NeverAnswer, "timeout"),
        (Fault::Close, "backend_lost"),
        (Fault::InvalidJson, "protocol_error"),
        (Fault::status(500), "backend_status"),
    ] {
        fixture.set_fault(Rule::new(fault).on("tools/call").named("echo").times(1));
        client.call("a.echo", json!({"text": "x"})).await;
        until_only(&router, "a", "a.echo", outcome, 1.0).await;
        fixture.clear_faults();
    }
    // Each has its line in the log, with the same words, if a moment later.
    let logged = || router.logs().events("call");
    until("the last call is logged", async || {
        let lines = logged();
        lines.iter().any(|line| line["outcome"] == "backend_status")
    })
    .await;
    let lines = logged();
    for (tool, outcome) in [
        ("a.echo", "ok"),
        ("a.fail", "tool_error"),
        ("a.ask_elicit", "input_required"),
        ("a.echo", "timeout"),
        ("a.echo", "backend_status"),
    ] {
        let mut fitting = lines.iter();
        let line = fitting.find(|line| line["tool"] == tool && line["outcome"] == outcome);
        let line = line.unwrap_or_else(|| panic!("no line for {outcome} of {tool}"));
        let names = (&line["client"], &line["backend"], &line["attempts"]);
        assert_eq!(names, (&json!("harness"), &json!("a"), &json!(1)), "{line}");
        assert!(line["latency_ms"].as_f64().is_some(), "{line}");
    }
    // Lists, probes and what the router asks for itself are not among them.
    client.request("tools/list", json!({})).await;
    let samples = Samples::of(&router).await;
    let own = counted(&samples, "", "list_backends", "ok");
    assert_eq!(samples.sum(CALLS, &[]) - own, 9.0);
    assert_eq!(samples.sum(CALLS, &[("backend", "a")]), 8.0);
}

#[tokio::test]
async fn refusals_of_the_router_are_counted_under_the_backend_they_spare() {
    let away = Fixture::builder().spawn().await;
    let busy = Fixture::builder().era(Era::Legacy).spawn().await;
    let large = Fixture::builder().spawn().await;
    let file = format!(
        "routing: {{ retry: {{ max_attempts: 1 }} }}
server: {{ limits: {{ max_queue_per_backend: 1, max_answer_bytes: 65536 }} }}
backends:
  - {{ name: away, namespace: away, url: \"{}\", health_check: {{ enabled: false }}, \
       circuit_breaker: {{ failure_threshold: 1 }} }}
  - {{ name: busy, namespace: busy, url: \"{}\", max_concurrency: 1 }}
  - {{ name: large, namespace: large, url: \"{}\" }}\n",
        away.url(),
        busy.url(),
        large.url()
    );
    let router = Router::start(&file).await;
    for name in ["away", "busy", "large"] {
        router.until_healthy(name).await;
    }
    let client = router.modern();
    let echo = json!({"text": "x"});
    away.go_down().await;
    client.call("away.echo", echo.clone()).await;
    let samples = Samples::of(&router).await;
    assert_eq!(
        counted(&samples, "away", "away.echo", "connect_failed"),
        1.0
    );
    client.call("away.echo", echo).await;
    let samples = Samples::of(&router).await;
    assert_eq!(counted(&samples, "away", "away.echo", "circuit_open"), 1.0);
    client.call("large.big", json!({"bytes": 100_000})).await;
    let samples = Samples::of(&router).await;
    assert_eq!(counted(&samples, "large", "large.big", "too_large"), 1.0);
    let sleeps = (0..4).map(|_| client.call("busy.sleep", json!({"ms": 1500})));
    join_all(sleeps).await;
    let samples = Samples::of(&router).await;
    let done = counted(&samples, "busy", "busy.sleep", "ok");
    let refused = counted(&samples, "busy", "busy.sleep", "overloaded");
    assert_eq!(done + refused, 4.0);
    assert!(done >= 1.0 && refused >= 2.0, "{done} done");
}

#[tokio::test]
async fn a_call_is_in_flight_until_its_client_leaves_and_then_counts_as_cancelled() {
    let fixture = Fixture::builder().era(Era::Modern).spawn().await;
    let router = Router::start(&config([("a", fixture.url())])).await;
    router.until_healthy("a").await;
    let client = router.modern();
    let params = json!({"name": "a.sleep", "arguments": {"ms": 60_000}});
    let asking = tokio::spawn(async move { client.request("tools/call", params).await });
    fixture.log().wait_for("tools/call", 1).await;
    let in_flight = async || {
        let samples = Samples::of(&router).await;
        samples.sum("mcp_router_in_flight", &[("backend", "a")])
    };
    assert_eq!(in_flight().await, 1.0);
    asking.abort();
    until_only(&router, "a", "a.sleep", "cancelled", 1.0).await;
    until("nothing in flight", async || in_flight().await == 0.0).await;
}

#[tokio::test]
async fn the_time_of_a_call_and_its_further_attempts_are_counted() {
    let first = Fixture::builder().spawn().await;
    let second = Fixture::builder().spawn().await;
    let file = format!(
        "backends:
  - {{ name: a, namespace: n, url: \"{}\", priority: 1 }}
  - {{ name: b, namespace: n, url: \"{}\", priority: 2 }}\n",
        first.url(),
        second.url()
    );
    let router = Router::start(&file).await;
    router.until_healthy("a").await;
    router.until_healthy("b").await;
    let client = router.modern();
    client.call("n.sleep", json!({"ms": 300})).await;
    let samples = Samples::of(&router).await;
    let time = "mcp_router_request_duration_seconds";
    let at_a = [("backend", "a")];
    assert_eq!(samples.sum(&format!("{time}_count"), &at_a), 1.0);
    let sum = samples.sum(&format!("{time}_sum"), &at_a);
    assert!((0.3..10.0).contains(&sum), "{sum}");
    let bucket = |le: &str| {
        let labels = [("backend", "a"), ("le", le)];
        samples.sum(&format!("{time}_bucket"), &labels)
    };
    assert_eq!((bucket("0.25"), bucket("+Inf")), (0.0, 1.0));
    let retries = |samples: &Samples, backend| {
        samples.sum("mcp_router_retries_total", &[("backend", backend)])
    };
    assert_eq!(retries(&samples, "a") + retries(&samples, "b"), 0.0);
    // Not sent to `a` for sure, so `b` takes it over.
    let refusal = Fault::Status {
        code: 503,
        retry_after: Some(0),
        body: None,
    };
    first.set_fault(Rule::new(refusal.clone()).on("tools/call"));
    client.call("n.echo", json!({"text": "x"})).await;
    let samples = Samples::of(&router).await;
    assert_eq!((retries(&samples, "a"), retries(&samples, "b")), (0.0, 1.0));
    assert_eq!(counted(&samples, "b", "n.echo", "ok"), 1.0);
    // Nobody else is left: `b` is asked again.
    second.set_fault(Rule::new(refusal).on("tools/call").times(1));
    first.go_down().await;
    client.call("n.echo", json!({"text": "x"})).await;
    let samples = Samples::of(&router).await;
    assert!(retries(&samples, "b") >= 2.0, "{}", retries(&samples, "b"));
}

#[tokio::test]
async fn b37_names_that_clients_make_up_add_no_series() {
    let fixture = Fixture::builder().spawn().await;
    let router = Router::start(&config([("a", fixture.url())])).await;
    router.until_healthy("a").await;
    let client = router.modern();
    client.call("a.unknown", json!({})).await;
    let before = Samples::of(&router).await.all().len();
    let names = (0..300).map(|i| format!("a.unknown-{i}"));
    join_all(names.map(async |name| client.call(&name, json!({})).await)).await;
    let samples = Samples::of(&router).await;
    assert_eq!(samples.all().len(), before);
    assert_eq!(counted(&samples, "", "other", "error"), 301.0);
}

#[tokio::test]
async fn a_scrape_answers_while_every_backend_hangs() {
    let fixture = Fixture::builder().spawn().await;
    let router = Router::start(&config([("a", fixture.url())])).await;
    router.until_healthy("a").await;
    fixture.set_fault(Fault::NeverAnswer);
    let client = router.modern();
    let asking = tokio::spawn(async move { client.call("a.echo", json!({"text": "x"})).await });
    fixture.log().wait_for("tools/call", 1).await;
    let page = tokio::time::timeout(Duration::from_secs(2), Samples::of(&router)).await;
    assert!(page.expect("at once").has("mcp_router_in_flight"));
    asking.abort();
}
