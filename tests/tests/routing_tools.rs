//! `tools`, as the file says it: what is exposed of a backend's tools, under which names, and how
//! long a call of each may take.

use std::time::{Duration, Instant};

use mcp_router_tests::fixture::{Fixture, Received};
use mcp_router_tests::harness::{Router, text};
use serde_json::json;

/// A router with one backend `a` whose `tools` are these.
async fn scene(tools: &str) -> (Fixture, Router) {
    let backend = Fixture::builder().spawn().await;
    let url = backend.url();
    let file = format!(
        "backends:\n  - {{ name: a, namespace: a, url: \"{url}\", tools: {{ {tools} }} }}\n"
    );
    let router = Router::start(&file).await;
    router.until_ready().await;
    router.until_healthy("a").await;
    (backend, router)
}

async fn listed(router: &Router) -> Vec<String> {
    let names = router.legacy_session("2025-11-25").await.tool_names().await;
    let own = names
        .into_iter()
        .filter_map(|n| n.strip_prefix("a.").map(str::to_owned));
    own.collect()
}

#[tokio::test]
async fn only_allowed_tools_are_listed_and_can_be_called() {
    let (backend, router) = scene(r#"allow: ["onc*", "add"], deny: ["*_read_only"]"#).await;
    let mut names = listed(&router).await;
    names.sort();
    assert_eq!(names, ["add", "once", "once_idempotent"]);
    let arguments = json!({"a": 1, "b": 2});
    assert_eq!(
        text(&router.modern().call("a.add", arguments.clone()).await),
        "3"
    );
    for hidden in ["a.echo", "a.once_read_only"] {
        let answer = router.modern().call(hidden, arguments.clone()).await;
        assert_eq!(answer["error"]["code"], -32602, "{hidden}: {answer}");
    }
    assert_eq!(backend.log().count("tools/call"), 1);
}

#[tokio::test]
async fn a_renamed_tool_is_listed_and_called_by_its_new_name_and_the_backend_hears_its_own() {
    let (backend, router) = scene("rename: { add: sum }").await;
    let names = listed(&router).await;
    assert!(names.iter().any(|n| n == "sum"), "{names:?}");
    assert!(!names.iter().any(|n| n == "add"), "{names:?}");
    let answer = router.modern().call("a.sum", json!({"a": 1, "b": 2})).await;
    assert_eq!(text(&answer), "3", "{answer}");
    let heard: Vec<Option<String>> = backend
        .log()
        .of("tools/call")
        .into_iter()
        .map(|r: Received| r.name)
        .collect();
    assert_eq!(heard, [Some("add".to_owned())]);
    let answer = router.modern().call("a.add", json!({})).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
}

#[tokio::test]
async fn the_first_time_limit_that_fits_a_tool_holds_for_it() {
    let (_backend, router) = scene(r#"timeout_seconds: { "sl*": 1, "*": 100, "sleep": 50 }"#).await;
    let start = Instant::now();
    let answer = router.modern().call("a.sleep", json!({"ms": 20_000})).await;
    let failure = &answer["result"]["_meta"]["mcp-router/failure"];
    assert_eq!(failure["reason"], "timeout", "{answer}");
    let took = start.elapsed();
    assert!(
        (Duration::from_millis(950)..Duration::from_secs(3)).contains(&took),
        "{took:?}"
    );
    assert!(text(&answer).contains("after 1 s"), "{answer}");
    // The others have theirs.
    let answer = router.modern().call("a.echo", json!({"text": "x"})).await;
    assert_eq!(text(&answer), "x");
}
