//! Backends that are processes, and are killed in the middle of a call.

use mcp_router_tests::fixture::Fixture;
use mcp_router_tests::harness::{ChildLog, Router, child_entry, failure, signal, text};
use serde_json::json;

/// What the fixture forgot to declare. Each backend speaks for its own tools alone.
const DECLARED: &str = "tools: { idempotent: [\"slee*\"] }";

/// The child of the namespace `s`, with whatever stands behind it there.
fn file(log: &ChildLog, rest: &str) -> String {
    let path = log.path();
    let child = child_entry("first", &["--log-file", &path]);
    let child = child.replace("namespace: first", "namespace: s");
    let child = child.replace("command:", &format!("priority: 1, {DECLARED}, command:"));
    format!("backends:\n{child}{rest}")
}

#[tokio::test]
async fn f02_a_safe_call_whose_backend_is_killed_is_answered_by_another() {
    let second = Fixture::builder().name("second").spawn().await;
    let log = ChildLog::new();
    let rest = format!(
        "  - {{ name: second, namespace: s, url: \"{}\", priority: 2, {DECLARED} }}\n",
        second.url()
    );
    let router = Router::start(&file(&log, &rest)).await;
    router.until_healthy("first").await;
    router.until_healthy("second").await;
    let client = router.modern();
    let safe = json!({"nonce": "safe", "ms": 1500});
    let dangerous = json!({"name": "s.progress", "arguments": {"nonce": "once", "n": 1, "ms": 60_000},
        "_meta": {"progressToken": 1}});
    let killing = async {
        log.wait_for("tools/call", 2).await;
        signal(log.pids("started")[0], "KILL");
    };
    let (safe, dangerous, ()) = tokio::join!(
        client.call("s.sleep", safe),
        client.request("tools/call", dangerous),
        killing,
    );

    assert_eq!(text(&safe), "slept", "{safe}");
    assert_eq!(
        safe["result"]["structuredContent"]["by"], "second",
        "{safe}"
    );
    assert_eq!(second.log().executions("safe"), 1);
    let failure = failure(&dangerous).unwrap_or_else(|| panic!("{dangerous}"));
    assert_eq!(failure["reason"], "backend_lost", "{dangerous}");
    assert_eq!(
        (&failure["sent"], &failure["backend"]),
        (&json!("unknown"), &json!("first"))
    );
    assert_eq!(
        second.log().executions("once"),
        0,
        "made again, though it may have run"
    );
}

#[tokio::test]
async fn f02_f26_a_safe_call_whose_only_backend_is_killed_is_made_again_when_it_is_back() {
    let log = ChildLog::new();
    let router = Router::start(&file(&log, "")).await;
    router.until_healthy("first").await;
    let client = router.modern();
    let arguments = json!({"nonce": "safe", "ms": 1500});
    let killing = async {
        log.wait_for("tools/call", 1).await;
        signal(log.pids("started")[0], "KILL");
    };
    let (answer, ()) = tokio::join!(client.call("s.sleep", arguments), killing);

    assert_eq!(text(&answer), "slept", "{answer}");
    assert_eq!(log.received("tools/call").len(), 2);
    assert!(log.events("started").len() >= 2);
}
