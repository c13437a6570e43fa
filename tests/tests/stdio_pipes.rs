//! What goes through the pipes of `mcp-router-stdio`, and how it ends: nothing but messages on
//! stdout, an answer to every line, the end with the end of stdin.

use std::time::Duration;

use mcp_router_tests::harness::{
    ChildLog, Router, StdioRouter, alive, child_entry, descendants, modern_params, signal, until,
};
use serde_json::{Value, json};

const S: Duration = Duration::from_secs(1);

fn with_child(args: &[&str]) -> String {
    format!("backends:\n{}", child_entry("kid", args))
}

#[tokio::test]
async fn b01_to_b07_every_bad_line_is_answered_and_the_conversation_goes_on() {
    let log = ChildLog::new();
    let mut router = StdioRouter::start(&with_child(&["--log-file", &log.path()]));
    router.initialize("2025-11-25").await;
    router.request("tools/list", json!({})).await;
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}1{}}}"#,
        r#"{"a":"#.repeat(200),
        "}".repeat(200)
    );
    for (bad, code) in [
        ("{", -32700),
        ("no json", -32700),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"} trailing"#,
            -32700,
        ),
        (
            "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}",
            -32700,
        ),
        (&deep, -32700),
        ("[]", -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600),
        (r#"{"id":1,"method":"ping"}"#, -32600),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
            -32600,
        ),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, -32600),
        (
            r#"{"jsonrpc":"2.0","id":18446744073709551616,"method":"ping"}"#,
            -32600,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}"#,
            -32600,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","m\u0065thod":"x"}"#,
            -32600,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kid.add","Name":"kid.once"}}"#,
            -32600,
        ),
    ] {
        router.send(bad).await;
        let answer = router.reply().await;
        assert_eq!(answer["error"]["code"], code, "{bad}: {answer}");
    }
    assert_eq!(router.request("ping", json!({})).await["result"], json!({}));
    assert!(
        log.received("tools/call").is_empty(),
        "the child saw a refused line"
    );
}

#[tokio::test]
async fn b08_an_id_in_flight_is_refused_and_the_first_call_unharmed() {
    let mut router = StdioRouter::start(&with_child(&[]));
    router.initialize("2025-11-25").await;
    router.request("tools/list", json!({})).await;
    let call = |tool: &str, arguments: Value| {
        let params = json!({"name": tool, "arguments": arguments});
        json!({"jsonrpc": "2.0", "id": "same", "method": "tools/call", "params": params})
            .to_string()
    };
    router.send(&call("kid.sleep", json!({"ms": 500}))).await;
    router.send(&call("kid.add", json!({"a": 1, "b": 1}))).await;

    let refused = router.reply().await;
    assert_eq!(refused["error"]["code"], -32600, "{refused}");
    let answer = router.reply().await;
    assert_eq!(answer["result"]["content"][0]["text"], "slept", "{answer}");
}

#[tokio::test]
async fn r54_an_oversized_line_is_answered_and_ends_the_conversation() {
    let mut router =
        StdioRouter::start("server: { limits: { max_request_bytes: 4096 } }\nbackends: []");
    router.initialize("2025-11-25").await;
    let line = json!({"jsonrpc": "2.0", "id": 1, "method": "x".repeat(5000)}).to_string();
    router.send(&line).await;

    let refused = router.reply().await;
    assert_eq!(refused["error"]["code"], -32600, "{refused}");
    assert_eq!(router.line().await, None);
    assert!(router.wait(10 * S).await.success());
}

#[tokio::test]
async fn r39_a_cancelled_call_gets_no_answer_and_is_cancelled_upstream() {
    for era in ["legacy", "modern"] {
        let log = ChildLog::new();
        let args = ["--era", era, "--log-file", &log.path()];
        let mut router = StdioRouter::start(&with_child(&args));
        router.initialize("2025-11-25").await;
        router.request("tools/list", json!({})).await;

        let call = json!({"name": "kid.sleep", "arguments": {"ms": 60_000}});
        let id = router.post("tools/call", call.clone()).await;
        log.wait_for("tools/call", 1).await;
        router
            .notify("notifications/cancelled", json!({"requestId": id}))
            .await;
        log.wait_for("notifications/cancelled", 1).await;
        // The same of the stateless revision.
        let id = router
            .post("tools/call", modern_params(call, &json!({})))
            .await;
        log.wait_for("tools/call", 2).await;
        router
            .notify("notifications/cancelled", json!({"requestId": id}))
            .await;
        log.wait_for("notifications/cancelled", 2).await;

        // Upstream it has the id that the router gave it.
        let calls = log.received("tools/call");
        let cancelled = log.received("notifications/cancelled");
        for (call, cancelled) in calls.iter().zip(&cancelled) {
            assert_eq!(cancelled["params"]["requestId"], call["id"], "{era}");
        }
        let id = router.post("ping", json!({})).await;
        assert_eq!(
            router.reply().await["id"],
            id,
            "an answer to a cancelled call"
        );
    }
}

#[tokio::test]
async fn b09_forged_cancellations_responses_and_progress_change_nothing() {
    let mut router = StdioRouter::start(&with_child(&[]));
    router.initialize("2025-11-25").await;
    router.request("tools/list", json!({})).await;
    let call = json!({"name": "kid.sleep", "arguments": {"ms": 500}});
    let id = router.post("tools/call", call).await;
    for requested in [json!("1"), json!(999), json!(null), json!({})] {
        let params = json!({"requestId": requested});
        router.notify("notifications/cancelled", params).await;
    }
    router
        .send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#))
        .await;
    router
        .notify(
            "notifications/progress",
            json!({"progressToken": id, "progress": 1}),
        )
        .await;

    let answer = router.response(&id).await;
    assert_eq!(answer["result"]["content"][0]["text"], "slept", "{answer}");
}

#[tokio::test]
async fn r47_only_messages_reach_stdout_however_chatty_child_and_log_are() {
    let builder = Router::builder()
        .config(&with_child(&["--habit", "noise"]))
        .env("RUST_LOG", "debug");
    let mut router = StdioRouter::start_with(&builder);
    router.initialize("2025-11-25").await;
    for _ in 0..5 {
        // Reading panics at a line that is no JSON message.
        let id = router
            .post("tools/call", json!({"name": "kid.add", "arguments": {}}))
            .await;
        let answer = router.reply().await;
        assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &id));
    }
    assert!(router.logs().count() > 0, "logs go to stderr");
    router.close_stdin();
    assert_eq!(router.line().await, None, "something after the end");
    assert!(router.wait(15 * S).await.success());
}

#[tokio::test]
async fn r47_the_end_of_stdin_is_the_end_of_router_and_children() {
    let log = ChildLog::new();
    let args = ["--habit", "grandchild", "--log-file", &log.path()];
    let mut router = StdioRouter::start(&with_child(&args));
    router.initialize("2025-11-25").await;
    router.request("tools/list", json!({})).await;
    let mut family = descendants(router.pid());
    family.extend(log.pids("grandchild"));
    assert!(family.len() >= 2, "a child and a grandchild: {family:?}");

    router.close_stdin();

    assert!(router.wait(15 * S).await.success());
    until("the children are gone", async || {
        !family.iter().any(|pid| alive(*pid))
    })
    .await;
}

#[tokio::test]
async fn what_was_asked_before_the_end_of_stdin_is_still_answered() {
    let mut router = StdioRouter::start(&with_child(&[]));
    let welcome = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}});
    let first = router.post("initialize", welcome).await;
    router.notify("notifications/initialized", json!({})).await;
    let list = router.post("tools/list", json!({})).await;
    let call = json!({"name": "kid.add", "arguments": {"a": 1, "b": 2}});
    let call = router.post("tools/call", call).await;
    router.close_stdin();

    let mut answered = Vec::new();
    while let Some(line) = router.line().await {
        let message: Value = serde_json::from_str(&line).expect("JSON");
        assert!(message["error"].is_null(), "{message}");
        answered.push(message["id"].clone());
    }
    answered.sort_by_key(Value::as_u64);
    assert_eq!(answered, [first, list, call]);
    assert!(router.wait(15 * S).await.success());
}

#[tokio::test]
async fn f38_sigterm_lets_the_call_in_flight_finish_and_stops_the_children() {
    let log = ChildLog::new();
    let mut router = StdioRouter::start(&with_child(&["--log-file", &log.path()]));
    router.initialize("2025-11-25").await;
    router.request("tools/list", json!({})).await;
    let children = descendants(router.pid());
    let call = json!({"name": "kid.sleep", "arguments": {"ms": 1500}});
    let id = router.post("tools/call", call).await;
    log.wait_for("tools/call", 1).await;

    signal(router.pid(), "TERM");

    let answer = router.response(&id).await;
    assert_eq!(answer["result"]["content"][0]["text"], "slept", "{answer}");
    assert!(router.wait(20 * S).await.success());
    until("the children are gone", async || {
        !children.iter().any(|pid| alive(*pid))
    })
    .await;
}

#[tokio::test]
async fn the_first_list_waits_for_a_slow_start_and_nothing_else_does() {
    // Silence to the probe costs the child its first 10 s; the host hears from us before that.
    let slow = child_entry("slow", &["--habit", "silent-on-probe"]);
    let quick = child_entry("quick", &[]);
    let file = format!("routing: {{ startup_wait_seconds: 3 }}\nbackends:\n{quick}{slow}");
    let mut router = StdioRouter::start(&file);
    let start = std::time::Instant::now();
    router.initialize("2025-11-25").await;
    assert!(
        start.elapsed() < 3 * S,
        "initialize waited: {:?}",
        start.elapsed()
    );
    let answer = router.request("tools/list", json!({})).await;
    let names = answer["result"]["tools"].to_string();
    assert!(names.contains("quick.add"), "{names}");
    assert!(!names.contains("slow.add"), "{names}");
    assert!(start.elapsed() < 9 * S, "{:?}", start.elapsed());
}
