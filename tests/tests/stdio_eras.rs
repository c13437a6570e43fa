//! `mcp-router-stdio` as hosts use it: every revision over a pair of pipes, both eras in one
//! process, in front of a child process of each era.

use mcp_router_tests::fixture::{LEGACY, MODERN};
use mcp_router_tests::harness::{StdioRouter, child_entry, modern_params};
use serde_json::{Value, json};

/// A router with one backend of each era.
fn start() -> StdioRouter {
    let (old, new) = (
        child_entry("old", &["--era", "legacy"]),
        child_entry("new", &["--era", "modern"]),
    );
    StdioRouter::start(&format!("backends:\n{old}{new}"))
}

fn names(answer: &Value) -> Vec<&str> {
    let tools = answer["result"]["tools"].as_array();
    let tools = tools.unwrap_or_else(|| panic!("no list: {answer}"));
    tools
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .collect()
}

fn text(answer: &Value) -> &str {
    let text = answer["result"]["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("no text: {answer}"))
}

#[tokio::test]
async fn r01_every_revision_is_served_over_stdio_beside_the_stateless_one() {
    for revision in LEGACY {
        let mut router = start();
        let welcome = router.initialize(revision).await;
        assert_eq!(welcome["result"]["protocolVersion"], revision, "r2");
        assert_eq!(welcome["result"]["serverInfo"]["name"], "mcp-router");
        for backend in ["old", "new"] {
            let old = router.request("tools/list", json!({})).await;
            assert!(names(&old).contains(&&*format!("{backend}.add")), "{old}");
            let new = router.modern("tools/list", json!({})).await;
            assert_eq!(names(&new), names(&old), "{revision}");
            // R29: what the stateless revision must have, and no other may see.
            for member in ["resultType", "ttlMs", "cacheScope"] {
                assert!(old["result"].get(member).is_none(), "{member} in {old}");
                assert!(new["result"].get(member).is_some(), "no {member} in {new}");
            }
            let arguments = json!({"a": 2, "b": 3});
            let call = json!({"name": format!("{backend}.add"), "arguments": arguments});
            assert_eq!(text(&router.request("tools/call", call.clone()).await), "5");
            let answer = router.modern("tools/call", call).await;
            assert_eq!(text(&answer), "5", "{revision}");
            assert_eq!(answer["result"]["resultType"], "complete");
        }
    }
}

#[tokio::test]
async fn r02_any_other_version_gets_the_newest_with_a_handshake() {
    for asked in [MODERN, "1999-01-01", "next", ""] {
        let mut router = StdioRouter::start("backends: []");
        let welcome = router.initialize(asked).await;
        assert_eq!(
            welcome["result"]["protocolVersion"], "2025-11-25",
            "{asked}"
        );
    }
}

#[tokio::test]
async fn r03_methods_that_the_stateless_revision_removed_are_unknown() {
    let mut router = StdioRouter::start("backends: []");
    for method in [
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
        "no/such/method",
    ] {
        let answer = router
            .modern(method, json!({"uri": "a:b", "level": "info"}))
            .await;
        assert_eq!(answer["error"]["code"], -32601, "{method}: {answer}");
    }
}

#[tokio::test]
async fn r04_an_unknown_method_of_a_session_is_unknown_and_harmless() {
    let mut router = StdioRouter::start("backends: []");
    router.initialize("2025-06-18").await;
    for method in ["no/such/method", "server/discover", "tasks/list"] {
        let answer = router.request(method, json!({})).await;
        assert_eq!(answer["error"]["code"], -32601, "{method}: {answer}");
    }
    assert_eq!(router.request("ping", json!({})).await["result"], json!({}));
}

#[tokio::test]
async fn r05_r07_a_stateless_request_needs_capabilities_and_a_version_that_exists() {
    let mut router = StdioRouter::start("backends: []");
    let version = "io.modelcontextprotocol/protocolVersion";
    let bare = json!({"_meta": {version: MODERN}});
    let answer = router.request("tools/list", bare).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");

    let params = modern_params(json!({"_meta": {version: "2099-01-01"}}), &json!({}));
    let answer = router.request("tools/list", params).await;
    assert_eq!(answer["error"]["code"], -32022, "{answer}");
    assert_eq!(answer["error"]["data"]["requested"], "2099-01-01");
    let mut all = vec![MODERN];
    all.extend(LEGACY);
    assert_eq!(
        answer["error"]["data"]["supported"],
        json!(all),
        "newest first"
    );

    let answer = router.modern("server/discover", json!({})).await;
    assert_eq!(answer["result"]["supportedVersions"], json!(all));
}

#[tokio::test]
async fn r12_notifications_and_responses_are_not_answered() {
    let mut router = StdioRouter::start("backends: []");
    router.initialize("2025-11-25").await;
    router
        .notify("notifications/roots/list_changed", json!({}))
        .await;
    router.notify("notifications/of/no/kind", json!({})).await;
    router
        .send(r#"{"jsonrpc":"2.0","id":"nobody asked","result":{}}"#)
        .await;
    let id = router.post("ping", json!({})).await;
    let first = router.reply().await;
    assert_eq!(first["id"], id, "{first}");
}

#[tokio::test]
async fn r21_ids_and_progress_tokens_keep_type_and_value() {
    let mut router = start();
    router.initialize("2025-11-25").await;
    // Equal to the eye, not to JSON; the last one is beyond what a double can hold.
    for id in [
        "7",
        "\"7\"",
        "\"\"",
        "-1",
        "0",
        "9007199254740993",
        "\"\\u00e9\"",
    ] {
        let params = format!(
            r#"{{"name":"old.progress","arguments":{{"n":1}},"_meta":{{"progressToken":{id}}}}}"#
        );
        router
            .send(&format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{params}}}"#
            ))
            .await;
        let wanted: Value = serde_json::from_str(id).expect("JSON");
        let progress = router.reply().await;
        assert_eq!(progress["method"], "notifications/progress", "{progress}");
        assert_eq!(progress["params"]["progressToken"], wanted);
        let answer = router.reply().await;
        assert_eq!(answer["id"], wanted, "{answer}");
        assert_eq!(text(&answer), "done");
    }
}

#[tokio::test]
async fn r21_concurrent_calls_find_their_own_answers() {
    let mut router = start();
    router.initialize("2025-06-18").await;
    // Ready before the race: a call would otherwise wait for its backend.
    router.request("tools/list", json!({})).await;
    let mut waiting = std::collections::HashMap::new();
    for i in 0..60 {
        let backend = if i % 2 == 0 { "old" } else { "new" };
        let params = json!({"name": format!("{backend}.add"), "arguments": {"a": i, "b": 1000}});
        let id = router.post("tools/call", params).await;
        waiting.insert(id.to_string(), (i + 1000).to_string());
    }
    while !waiting.is_empty() {
        let answer = router.reply().await;
        let expected = waiting.remove(&answer["id"].to_string());
        assert_eq!(expected.as_deref(), Some(text(&answer)), "{answer}");
    }
}

#[tokio::test]
async fn r22_progress_comes_before_the_answer_and_only_with_a_token() {
    for backend in ["old", "new"] {
        let mut router = start();
        router.initialize("2025-06-18").await;
        let call = json!({"name": format!("{backend}.progress"), "arguments": {"n": 5, "ms": 5}});
        let mut with_token = call.clone();
        with_token["_meta"] = json!({"progressToken": "mine"});

        let id = router.post("tools/call", with_token.clone()).await;
        for n in 1..=5 {
            let message = router.reply().await;
            assert_eq!(message["params"]["progress"], n, "{message}");
            assert_eq!(message["params"]["progressToken"], "mine");
        }
        assert_eq!(router.reply().await["id"], id);

        let id = router.post("tools/call", call).await;
        assert_eq!(router.reply().await["id"], id, "nothing before the answer");
        // Nothing after it either: the next message answers the next request.
        let id = router.post("ping", json!({})).await;
        assert_eq!(router.reply().await["id"], id);

        let modern = modern_params(with_token, &json!({}));
        let id = router.post("tools/call", modern).await;
        let first = router.reply().await;
        assert_eq!(first["method"], "notifications/progress", "{first}");
        assert_eq!(text(&router.response(&id).await), "done");
    }
}
