use std::time::Duration;

use super::*;

const META: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}"#;

fn modern(method: &str, members: &str, meta: &str) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    request(
        "1",
        method,
        &format!(r#"{{"_meta":{{{meta}}}{comma}{members}}}"#),
    )
}

fn headers<'a>(method: &'a str, name: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", method),
        ("mcp-name", name),
    ]
}

async fn tool(edge: &Edge, name: &str, meta: &str) -> Answer {
    let body = modern("tools/call", &format!(r#""name":"{name}""#), meta);
    edge.post(&headers("tools/call", name), &body).await
}

#[tokio::test]
async fn r29_a_modern_call_stands_alone_and_is_answered_in_kind() {
    let edge = Edge::new();
    let answer = tool(&edge, "echo", META).await;
    assert_eq!(answer.status, 200);
    let version = env!("CARGO_PKG_VERSION");
    let info = format!(
        r#""io.modelcontextprotocol/serverInfo":{{"name":"mcp-router","version":"{version}"}}"#
    );
    let own = format!(r#""resultType":"complete","_meta":{{{info}}}"#);
    let theirs = r#""content": [1.0],"structuredContent":{"n":10000000000000000000001}"#;
    assert_eq!(
        answer.text,
        format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{{own},{theirs}}}}}"#)
    );
    assert!(!answer.headers.contains_key(SESSION));
    let list = edge
        .post(&headers("tools/list", ""), &modern("tools/list", "", META))
        .await;
    assert!(list.text.contains(r#""resultType":"complete""#) && list.text.contains(r#""ttlMs":7"#));
    let seen = edge.mock.last(&mcp_router_protocol::Method::ToolsCall);
    assert!(seen.context.session.is_none() && seen.context.client.takes_input_required);
}

#[tokio::test]
async fn r3_to_r9_every_rule_has_its_status_and_code_in_order() {
    let edge = Edge::new();
    let list = |meta: &str| modern("tools/list", "", meta);
    let caps = r#""io.modelcontextprotocol/clientCapabilities":{}"#;
    let version = |v: &str| format!(r#""io.modelcontextprotocol/protocolVersion":"{v}",{caps}"#);
    let h = |v: &'static str, m: &'static str| vec![("mcp-protocol-version", v), ("mcp-method", m)];
    let now = "2026-07-28";
    type Headers<'a> = Vec<(&'a str, &'a str)>;
    let cases: Vec<(&str, Headers<'_>, String, u16, i64)> = vec![
        ("b1 no JSON", h(now, "tools/list"), "{".into(), 400, -32700),
        (
            "r11 array",
            h(now, "tools/list"),
            "[{}]".into(),
            400,
            -32600,
        ),
        (
            "r5 no version in _meta",
            h(now, "tools/list"),
            list(caps),
            400,
            -32602,
        ),
        (
            "r5 no capabilities",
            h(now, "x"), // The header is wrong, too: _meta comes first.
            list(r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#),
            400,
            -32602,
        ),
        (
            "r5 no _meta at all",
            h(now, "tools/list"),
            request("1", "tools/list", "{}"),
            400,
            -32602,
        ),
        (
            "r6 versions differ",
            h("2027-01-01", "tools/list"),
            list(META),
            400,
            -32020,
        ),
        (
            "r6 before judging",
            h(now, "tools/list"),
            list(&version("2027-01-01")),
            400,
            -32020,
        ),
        (
            "b18 no version header",
            vec![("mcp-method", "tools/list")],
            list(META),
            400,
            -32020,
        ),
        (
            "r7 unknown version",
            h("2027-01-01", "tools/list"),
            list(&version("2027-01-01")),
            400,
            -32022,
        ),
        (
            "r7 legacy version",
            h("2025-11-25", "tools/list"),
            list(&version("2025-11-25")),
            400,
            -32022,
        ),
        (
            "r8 no method header",
            vec![("mcp-protocol-version", now)],
            list(META),
            400,
            -32020,
        ),
        (
            "r8 other method",
            h(now, "tools/call"),
            list(META),
            400,
            -32020,
        ),
        (
            "r8 methods are case-sensitive",
            h(now, "TOOLS/LIST"),
            list(META),
            400,
            -32020,
        ),
        (
            "r3 initialize",
            h(now, "initialize"),
            modern("initialize", "", META),
            404,
            -32601,
        ),
        (
            "r3 ping",
            h(now, "ping"),
            modern("ping", "", META),
            404,
            -32601,
        ),
        (
            "r3 setLevel",
            h(now, "logging/setLevel"),
            modern("logging/setLevel", "", META),
            404,
            -32601,
        ),
        (
            "r3 subscribe",
            h(now, "resources/subscribe"),
            modern("resources/subscribe", r#""uri":"x:1""#, META),
            404,
            -32601,
        ),
        (
            "r3 unknown",
            h(now, "x/y"),
            modern("x/y", "", META),
            404,
            -32601,
        ),
        (
            "no header, no session",
            vec![],
            request("1", "server/discover", "{}"),
            400,
            -32602,
        ),
    ];
    for (what, headers, body, status, code) in cases {
        let answer = edge.post(&headers, &body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (status, code),
            "{what}"
        );
        let echoed = answer.text.contains(r#""id":1"#);
        assert_eq!(
            echoed,
            body.contains(r#""id":1"#),
            "{what}: the id is echoed"
        );
    }
    assert!(
        edge.mock
            .seen
            .lock()
            .unwrap()
            .iter()
            .all(|r| r.method.as_str() == "x/y")
    );
}

#[tokio::test]
async fn r7_the_error_lists_what_is_supported() {
    let edge = Edge::new();
    for (version, supported) in [
        (
            "2027-01-01",
            r#""supported":["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"]"#,
        ),
        ("2025-06-18", r#""supported":["2026-07-28"]"#),
    ] {
        let meta = META.replace("2026-07-28", version);
        let h = [
            ("mcp-protocol-version", version),
            ("mcp-method", "tools/list"),
        ];
        let answer = edge.post(&h, &modern("tools/list", "", &meta)).await;
        assert!(answer.text.contains(supported), "{}", answer.text);
        assert!(answer.text.contains(&format!(r#""requested":"{version}""#)));
    }
}

#[tokio::test]
async fn r8_r9_b18_names_are_compared_decoded_and_trimmed() {
    let edge = Edge::new();
    let body = |name: &str| modern("tools/call", &format!(r#""name":"{name}""#), META);
    for (name, header, accepted) in [
        ("echo", "echo", true),
        ("echo", " \techo ", true),
        ("ä", "=?base64?w6Q=?=", true),
        ("=?base64?w6Q=", "=?base64?w6Q=", true),
        ("echo", "Echo", false),
        ("echo", "=?base64?%%%?=", false),
        ("ä", "=?base64?w6Q=", false),
        ("echo", "", false),
    ] {
        let answer = edge.post(&headers("tools/call", header), &body(name)).await;
        assert_eq!(
            answer.status == 200,
            accepted,
            "{name} {header}: {}",
            answer.text
        );
        if !accepted {
            assert_eq!((answer.status.as_u16(), answer.code()), (400, -32020));
        }
    }
    let mut twice = headers("tools/call", "echo");
    twice.push(("mcp-name", "echo"));
    assert_eq!(edge.post(&twice, &body("echo")).await.code(), -32020);
    let upper = [
        ("MCP-PROTOCOL-VERSION", "2026-07-28"),
        ("MCP-METHOD", "tools/call"),
        ("MCP-NAME", "echo"),
    ];
    assert_eq!(edge.post(&upper, &body("echo")).await.status, 200);
    let nameless = modern("tools/call", "", META);
    let answer = edge.post(&headers("tools/call", ""), &nameless).await;
    assert_eq!(
        answer.status, 200,
        "a missing name is the router's to judge"
    );
    let answer = edge.post(&headers("tools/call", "echo"), &nameless).await;
    assert_eq!(answer.code(), -32020);
}

#[tokio::test]
async fn r10_sessions_mean_nothing_and_get_and_delete_are_405() {
    let edge = Edge::new();
    let mut h = headers("tools/call", "echo");
    h.extend([(SESSION, "../../etc"), ("last-event-id", "7")]);
    let body = modern("tools/call", r#""name":"echo""#, META);
    assert_eq!(edge.post(&h, &body).await.status, 200);
    for method in ["GET", "DELETE"] {
        let h = [("mcp-protocol-version", "2026-07-28")];
        let answer = edge.send(method, "/mcp", &h, "").await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.headers["allow"], "POST");
    }
}

#[tokio::test]
async fn r12_modern_notifications_are_202_and_responses_are_not_accepted() {
    let edge = Edge::new();
    let h = [("mcp-protocol-version", "2026-07-28")];
    let note = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    let answer = edge.post(&h, note).await;
    assert_eq!((answer.status.as_u16(), &*answer.text), (202, ""));
    let response = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    assert_eq!(edge.post(&h, response).await.status, 400);
    assert!(edge.mock.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn statuses_of_outcomes() {
    let edge = Edge::new();
    for (tool_name, status, part) in [
        ("unknown", 200, r#""code":-32602"#),
        ("old", 200, r#""code":-32602"#),
        ("fail", 200, r#""isError":true"#),
        ("panic", 200, r#""reason":"internal""#),
        ("input", 200, r#""resultType":"input_required""#),
    ] {
        let answer = tool(&edge, tool_name, META).await;
        assert_eq!(answer.status, status, "{tool_name}");
        assert!(answer.text.contains(part), "{tool_name}: {}", answer.text);
    }
}

#[tokio::test]
async fn r21_r22_progress_carries_the_clients_own_token_and_needs_one() {
    let edge = Edge::new();
    for token in ["7", "\"7\"", "\"\\u0037\""] {
        let meta = format!(r#"{META},"progressToken":{token}"#);
        let answer = tool(&edge, "stream", &meta).await;
        let events = answer.events();
        assert_eq!(events.len(), 2, "{events:?}");
        assert!(events[0].contains(&format!(
            r#"{{"progressToken":{token},"progress":1,"message":"half"}}"#
        )));
        assert!(events[1].starts_with(r#"{"jsonrpc":"2.0","id":1,"result""#));
        let seen = edge.mock.last(&mcp_router_protocol::Method::ToolsCall);
        assert!(seen.context.wants_progress);
    }
    // Nothing to tell before the answer: no stream is opened for it.
    let answer = tool(&edge, "stream", META).await;
    assert_eq!(answer.headers["content-type"], "application/json");
}

#[tokio::test]
async fn r28_log_messages_need_a_level_that_exists() {
    let edge = Edge::new();
    let level = |l: &str| format!(r#"{META},"io.modelcontextprotocol/logLevel":"{l}""#);
    let answer = tool(&edge, "stream", &level("info")).await;
    assert!(answer.events()[0].contains("notifications/message"));
    let answer = tool(&edge, "stream", &level("error")).await;
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(tool(&edge, "stream", &level("loud")).await.code(), -32602);
}

#[tokio::test]
async fn r35_a_backend_that_asks_a_modern_client_is_refused() {
    let edge = Edge::new();
    let answer = tool(&edge, "ask", META).await;
    assert!(answer.text.contains("does not support"), "{}", answer.text);
}

#[tokio::test]
async fn r38_a_modern_client_that_leaves_cancels_at_once() {
    let edge = Edge::new();
    let body = modern("tools/call", r#""name":"hang""#, META);
    let h = headers("tools/call", "hang");
    tokio::select! {
        _ = edge.open("POST", "/mcp", &h, &body) => panic!("it hangs"),
        () = edge.mock.hanging() => {}
    }
    assert_eq!(edge.mock.dropped(), 1);
    let meta = format!(r#"{META},"progressToken":1"#);
    let body = modern("tools/call", r#""name":"drip""#, &meta);
    let answer = edge
        .open("POST", "/mcp", &headers("tools/call", "drip"), &body)
        .await;
    assert_eq!(edge.mock.dropped(), 1);
    drop(answer);
    assert_eq!(edge.mock.dropped(), 2);
}

#[tokio::test(start_paused = true)]
async fn r23_a_subscription_is_acknowledged_tagged_kept_alive_and_ended_with_an_answer() {
    let edge = Edge::new();
    let body = modern(
        "subscriptions/listen",
        r#""notifications":{"toolsListChanged":true}"#,
        META,
    );
    let h = headers("subscriptions/listen", "");
    let mut answer = edge.open("POST", "/mcp", &h, &body).await.into_body();
    let tag = r#""io.modelcontextprotocol/subscriptionId":1"#;
    let first = event(&mut answer).await.unwrap();
    assert!(
        first.contains("subscriptions/acknowledged") && first.contains(tag),
        "{first}"
    );
    edge.mock.tools_changed();
    let change = event(&mut answer).await.unwrap();
    assert!(
        change.contains("tools/list_changed") && change.contains(tag),
        "{change}"
    );
    let start = tokio::time::Instant::now();
    assert_eq!(event(&mut answer).await.unwrap(), ":\n\n");
    assert_eq!(start.elapsed(), Duration::from_secs(15));
    edge.mock.drain();
    let end = event(&mut answer).await.unwrap();
    assert!(end.contains(r#""id":1,"result""#) && end.contains(tag) && end.contains("complete"));
    assert_eq!(event(&mut answer).await, None);
}
