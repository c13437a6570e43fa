use std::time::Duration;

use mcp_router_protocol::Method as McpMethod;

use super::*;

#[tokio::test]
async fn r2_initialize_opens_a_session_and_says_what_the_router_is() {
    let edge = Edge::new();
    for (asked, spoken) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1.0", "2025-11-25"),
    ] {
        let params = format!(r#"{{"protocolVersion":"{asked}","capabilities":{{}}}}"#);
        let answer = edge
            .post(&[], &request("\"a\"", "initialize", &params))
            .await;
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.text,
            format!(
                r#"{{"jsonrpc":"2.0","id":"a","result":{{"protocolVersion":"{spoken}","capabilities":{{"tools":{{"listChanged":true}}}},"serverInfo":{{"name":"mock","version":"1"}},"instructions":"ask away"}}}}"#
            )
        );
        let id = answer.headers[SESSION].to_str().unwrap().to_owned();
        let h = [(SESSION, &*id)];
        let note = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        assert_eq!(edge.post(&h, note).await.status, 202);
        // Up to 2025-03-26 there is no version header; the session knows.
        assert_eq!(edge.post(&h, &request("1", "ping", "{}")).await.status, 200);
    }
    let answer = edge.post(&[], &request("1", "initialize", "{}")).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (200, -32602));
    assert!(!answer.headers.contains_key(SESSION));
}

#[tokio::test]
async fn r40_b20_a_session_is_400_if_missing_and_404_if_it_is_none() {
    let edge = Edge::new();
    let list = request("1", "tools/list", "{}");
    assert_eq!(edge.post(&[], &list).await.status, 400);
    let mut forged = edge.session("2025-11-25", "{}").await;
    forged.replace_range(20..21, if &forged[20..21] == "A" { "B" } else { "A" });
    let long = "A".repeat(8 << 10);
    let odd = "é".repeat(30);
    for id in [&*forged, "../..", "x", &long, "%00", "a b", &odd] {
        for method in ["POST", "GET", "DELETE"] {
            let answer = edge.send(method, "/mcp", &[(SESSION, id)], &list).await;
            assert_eq!(answer.status, 404, "{method}");
        }
    }
    assert_eq!(edge.send("GET", "/mcp", &[], "").await.status, 400);
    assert_eq!(edge.mock.count(&McpMethod::ToolsList), 0);
}

#[tokio::test]
async fn r40_a_session_belongs_to_its_principal() {
    let edge = Edge::new();
    let id = edge.session("2025-11-25", "{}").await;
    let request = Request::post("/mcp")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .header(SESSION, &id)
        .extension(Principal::Named("mallory".into()))
        .body(Full::new(Bytes::from(request("1", "ping", "{}"))))
        .unwrap();
    let answer = edge.http.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 404);
}

#[tokio::test]
async fn r40_delete_ends_a_session_and_closes_what_was_opened_for_it() {
    let edge = Edge::new();
    let id = edge.session("2025-11-25", "{}").await;
    let h = [(SESSION, &*id)];
    let echo = edge.post(&h, &call("1", "echo")).await;
    assert_eq!(echo.status, 200);
    let session = edge
        .mock
        .last(&McpMethod::ToolsCall)
        .context
        .session
        .clone()
        .unwrap();
    let (closed, closing) = tokio::sync::oneshot::channel();
    let hook = move || async move { closed.send(()).unwrap() }.boxed();
    assert!(session.on_close(hook).is_ok());
    let stream = edge.open("GET", "/mcp", &h, "").await;
    let answer = edge.send("DELETE", "/mcp", &h, "").await;
    assert_eq!((answer.status.as_u16(), &*answer.text), (204, ""));
    assert_eq!(edge.post(&h, &call("2", "echo")).await.status, 404);
    assert_eq!(edge.send("DELETE", "/mcp", &h, "").await.status, 404);
    closing.await.unwrap();
    assert_eq!(read(stream).await.text, "", "its stream ends");
}

#[tokio::test]
async fn legacy_versions_in_the_header_are_checked() {
    let edge = Edge::new();
    let id = edge.session("2025-06-18", "{}").await;
    for (version, status) in [
        ("2025-06-18", 200),
        ("2025-11-25", 200),
        ("2024-11-05", 200),
        ("2025-01-01", 400),
        ("x", 400),
    ] {
        let h = [(SESSION, &*id), ("mcp-protocol-version", version)];
        let answer = edge.post(&h, &request("1", "ping", "{}")).await;
        // Names that sort behind 2026-07-28 are modern, and lack a body to match.
        assert_eq!(answer.status.as_u16(), status, "{version}");
    }
}

#[tokio::test]
async fn r4_r29_r30_legacy_answers_are_plain_and_200() {
    let edge = Edge::new();
    let id = edge.session("2025-11-25", "{}").await;
    let h = [(SESSION, &*id)];
    for (body, part) in [
        (request("1", "x/y", "{}"), r#""code":-32601"#),
        (request("1", "server/discover", "{}"), r#""code":-32601"#),
        (
            request("1", "subscriptions/listen", "{}"),
            r#""code":-32601"#,
        ),
        (
            request("1", "notifications/initialized", "{}"),
            r#""code":-32601"#,
        ),
        (
            request("1", "resources/read", r#"{"uri":"x:1"}"#),
            r#""code":-32002"#,
        ),
        (call("1", "unknown"), r#""code":-32602"#),
        (call("1", "fail"), r#""isError":true"#),
        (call("1", "panic"), r#""reason":"internal""#),
        (call("1", "input"), r#""code":-32603"#),
        (request("1", "tools/list", "{}"), r#"{"tools":[]}"#),
        (request("1", "ping", "{}"), r#""result":{}"#),
        (
            request("1", "logging/setLevel", r#"{"level":"error"}"#),
            r#""result":{}"#,
        ),
        (
            request("1", "logging/setLevel", r#"{"level":"loud"}"#),
            r#""code":-32602"#,
        ),
        (
            call("1", "echo"),
            r#""result":{"content": [1.0],"structuredContent":{"n":10000000000000000000001}}}"#,
        ),
    ] {
        let answer = edge.post(&h, &body).await;
        assert_eq!(answer.status, 200, "{body}");
        assert!(answer.text.contains(part), "{body}: {}", answer.text);
        assert!(!answer.text.contains("resultType"), "{body}");
    }
}

#[tokio::test]
async fn r21_equal_ids_of_different_clients_and_types_do_not_meet() {
    let edge = Edge::new();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let id = edge.session("2025-11-25", "{}").await;
        for text in ["1", "\"1\"", "-9223372036854775808", "\"\\u0031\""] {
            let h = [(SESSION, &*id)];
            let answer = edge.post(&h, &call(text, "echo")).await;
            answers.push((text, answer.text));
        }
    }
    for (id, text) in answers {
        assert!(
            text.starts_with(&format!(r#"{{"jsonrpc":"2.0","id":{id},"#)),
            "{text}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn b8_an_id_in_flight_is_refused_and_the_first_call_goes_on() {
    let edge = Edge::new();
    let id = edge.session("2025-11-25", "{}").await;
    let h = [(SESSION, &*id)];
    let body = call("7", "later");
    let first = edge.post(&h, &body);
    let second = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        edge.post(&h, &body).await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!((second.status.as_u16(), second.code()), (400, -32600));
    assert!(second.text.contains(r#""id":7"#));
    assert_eq!(first.status, 200);
    assert_eq!(
        edge.post(&h, &call("7", "echo")).await.status,
        200,
        "it is free again"
    );
}

#[tokio::test]
async fn r39_a_cancelled_request_gets_no_answer() {
    let edge = Edge::new();
    let id = edge.session("2025-11-25", "{}").await;
    let h = [(SESSION, &*id)];
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
    let body = call("7", "hang");
    let hanging = edge.post(&h, &body);
    let cancelling = async {
        edge.mock.hanging().await;
        edge.post(&h, cancel).await
    };
    let (answer, cancelled) = tokio::join!(hanging, cancelling);
    assert_eq!(cancelled.status, 202);
    assert_eq!(answer.events(), [""; 0]);
    assert_eq!(edge.mock.dropped(), 1);
    // Also once it streams.
    let meta = r#"{"name":"drip","_meta":{"progressToken":1}}"#;
    let body = request("7", "tools/call", meta);
    let mut stream = edge.open("POST", "/mcp", &h, &body).await.into_body();
    assert!(said(&mut stream).await.unwrap().contains("progress"));
    edge.post(&h, cancel).await;
    assert_eq!(event(&mut stream).await, None);
    assert_eq!(edge.mock.dropped(), 2);
}

#[tokio::test(start_paused = true)]
async fn r38_f34_a_legacy_call_outlives_its_stream_by_a_minute() {
    let edge = Edge::new();
    let id = edge.session("2025-11-25", "{}").await;
    let h = [(SESSION, &*id)];
    let body = call("1", "hang");
    tokio::select! {
        _ = edge.post(&h, &body) => panic!("it hangs"),
        () = edge.mock.hanging() => {}
    }
    let meta = r#"{"name":"drip","_meta":{"progressToken":1}}"#;
    let stream = edge
        .open("POST", "/mcp", &h, &request("2", "tools/call", meta))
        .await;
    drop(stream);
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(edge.mock.dropped(), 0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(edge.mock.dropped(), 2);
}

#[tokio::test]
async fn r11_batches_are_for_2025_03_26() {
    let edge = Edge::new();
    let id = edge.session("2025-03-26", "{}").await;
    let h = [(SESSION, &*id)];
    let note = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let batch = format!(
        "[{},{note},{},{},{{\"jsonrpc\":\"2.0\",\"id\":4}}]",
        call("1", "stream"),
        call("2", "echo"),
        request("3", "ping", "{}")
    );
    let answer = edge.post(&h, &batch).await;
    let events = answer.events();
    for id in [1, 2, 3, 4] {
        let own = format!(r#"{{"jsonrpc":"2.0","id":{id},"#);
        let answers = events.iter().filter(|e| e.starts_with(&own)).count();
        assert_eq!(answers, 1, "{events:?}");
    }
    assert_eq!(edge.post(&h, &format!("[{note}]")).await.status, 202);
    let many = format!("[{}]", vec![note; 51].join(","));
    let initialize = format!("[{}]", request("1", "initialize", "{}"));
    for (what, body) in [
        ("b2 51", &*many),
        ("b2 empty", "[]"),
        ("initialize", &initialize),
    ] {
        let answer = edge.post(&h, body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (400, -32600),
            "{what}"
        );
    }
    assert_eq!(edge.post(&h, "[{").await.code(), -32700);
    let other = edge.session("2025-06-18", "{}").await;
    for h in [vec![(SESSION, &*other)], vec![]] {
        let answer = edge.post(&h, &batch).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, -32600));
    }
}

#[tokio::test]
async fn r11_r35_a_backend_may_ask_in_the_middle_of_a_batch() {
    let edge = Edge::new();
    let id = edge.session("2025-03-26", r#"{"roots":{}}"#).await;
    let h = [(SESSION, &*id)];
    let batch = format!("[{},{}]", call("1", "ask"), call("2", "echo"));
    let mut stream = edge.open("POST", "/mcp", &h, &batch).await.into_body();
    let mut seen = Vec::new();
    while let Some(event) = event(&mut stream).await {
        let data = event
            .lines()
            .find_map(|l| l.strip_prefix("data: "))
            .unwrap();
        let message: serde_json::Value = serde_json::from_str(data).unwrap();
        if message["method"] == "roots/list" {
            let (id, roots) = (&message["id"], r#"{"roots":[]}"#);
            let reply = format!(r#"[{{"jsonrpc":"2.0","id":{id},"result":{roots}}}]"#);
            assert_eq!(edge.post(&h, &reply).await.status, 202);
        } else {
            seen.push(message["id"].as_u64().unwrap());
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn progress_has_no_words_in_2024_11_05() {
    let edge = Edge::new();
    for (revision, words) in [("2024-11-05", false), ("2025-03-26", true)] {
        let id = edge.session(revision, "{}").await;
        let params = r#"{"name":"stream","_meta":{"progressToken":1}}"#;
        let body = request("1", "tools/call", params);
        let answer = edge.post(&[(SESSION, &*id)], &body).await;
        assert!(answer.text.contains("notifications/progress"));
        assert_eq!(
            answer.text.contains(r#""message":"half""#),
            words,
            "{revision}"
        );
    }
}

#[tokio::test]
async fn b9_r12_responses_and_late_notifications_are_accepted_and_go_nowhere() {
    let edge = Edge::new();
    let id = edge.session("2025-11-25", "{}").await;
    let h = [(SESSION, &*id)];
    for body in [
        r#"{"jsonrpc":"2.0","id":"router-0","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":5,"error":{"code":-1,"message":"no"}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":99}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#,
    ] {
        let answer = edge.post(&h, body).await;
        assert_eq!((answer.status.as_u16(), &*answer.text), (202, ""), "{body}");
    }
}

#[tokio::test]
async fn a_backend_may_ask_a_client_that_declared_it_and_no_other() {
    let edge = Edge::new();
    let id = edge.session("2025-11-25", r#"{"roots":{}}"#).await;
    let h = [(SESSION, &*id)];
    let mut stream = edge
        .open("POST", "/mcp", &h, &call("1", "ask"))
        .await
        .into_body();
    let ask = said(&mut stream).await.unwrap();
    let ask = ask.lines().find_map(|l| l.strip_prefix("data: ")).unwrap();
    let ask: serde_json::Value = serde_json::from_str(ask).unwrap();
    assert_eq!(ask["method"], "roots/list");
    let reply = format!(
        r#"{{"jsonrpc":"2.0","id":{},"result":{{"roots":[]}}}}"#,
        ask["id"]
    );
    assert_eq!(edge.post(&h, &reply).await.status, 202);
    let end = event(&mut stream).await.unwrap();
    assert!(end.contains(r#""said":{"roots":[]}"#), "{end}");
    let refused = edge.post(&h, &call("2", "elicit")).await;
    assert!(
        refused.text.contains("does not support"),
        "{}",
        refused.text
    );
}

#[tokio::test]
async fn sse_frames_survive_line_breaks_between_tokens() {
    let edge = Edge::new();
    let id = edge.session("2025-03-26", "{}").await;
    let h = [(SESSION, &*id)];
    let answer = edge.post(&h, &format!("[{}]", call("1", "lines"))).await;
    let expected = r#"{"jsonrpc":"2.0","id":1,"result":{ "content": [  ],"a":"\n"}}"#;
    assert_eq!(answer.events(), [expected]);
}
