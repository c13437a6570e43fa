//! Calls that go well, and what goes over the wire for them.

use mcp_router_protocol::code;
use mcp_router_service::{Event, McpResponse};

use super::fake::*;
use super::*;

fn progress(seen: &Seen, n: u32) -> String {
    let token = &seen.body["params"]["_meta"]["progressToken"];
    event(&format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{n}}}}}"#
    ))
}

#[tokio::test]
async fn r19_modern_requests_say_everything_in_body_and_headers() {
    let fake = Fake::start(modern(says("x"))).await;
    let mut params = params(&format!("{}/mcp", fake.url));
    params
        .headers
        .insert("authorization", "Bearer ours".parse().unwrap());
    params.headers.insert("mcp-name", "forged".parse().unwrap());
    let edge = http(params);
    assert_eq!(said(&edge).await, "x");
    let call = fake.until(|s| s.rpc() == "tools/call").await;
    assert_eq!(call.header("mcp-protocol-version"), "2026-07-28");
    assert_eq!(
        (call.header("mcp-method"), call.header("mcp-name")),
        ("tools/call", "t")
    );
    assert_eq!(call.header("accept"), "application/json, text/event-stream");
    assert_eq!(
        call.header("accept-encoding"),
        "",
        "F13: nothing compressed is asked for"
    );
    assert_eq!(call.header("authorization"), "Bearer ours");
    assert!(call.body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"].is_object());
    let length: usize = call.header("content-length").parse().unwrap();
    assert!(length > 100);
}

#[tokio::test]
async fn r21_legacy_requests_carry_session_revision_and_our_own_ids() {
    let fake = Fake::start(legacy(says("x"))).await;
    let edge = edge(&fake);
    assert_eq!(said(&edge).await, "x");
    assert_eq!(said(&edge).await, "x");
    let seen = fake.seen();
    let calls: Vec<_> = seen.iter().filter(|s| s.rpc() == "tools/call").collect();
    assert_ne!(calls[0].body["id"], calls[1].body["id"]);
    for call in calls {
        assert_eq!(call.header("mcp-session-id"), "s1");
        assert_eq!(call.header("mcp-protocol-version"), "2025-06-18");
        assert!(call.body["params"].get("_meta").is_none());
    }
    assert_eq!(fake.count("notifications/initialized"), 2);
    let first = seen.iter().find(|s| s.rpc() == "initialize").unwrap();
    assert_eq!(first.body["params"]["protocolVersion"], "2025-11-25");
    assert_eq!(first.header("mcp-session-id"), "");
}

#[tokio::test]
async fn errors_are_answers_whatever_their_status() {
    for (status_code, backend) in [(200, true), (400, true), (404, true), (200, false)] {
        let tool = move |s: &Seen| status_json(status_code, s.error(-32602));
        let fake = match backend {
            true => Fake::start(modern(tool)).await,
            false => Fake::start(legacy(tool)).await,
        };
        let Ok(Outcome::Error(error)) = called(&edge(&fake)).await else {
            panic!("{status_code}")
        };
        assert_eq!(error.code(), code::INVALID_PARAMS);
    }
}

#[tokio::test]
async fn r22_events_stream_before_the_answer_and_strangers_are_dropped() {
    for era in [true, false] {
        let tool = |s: &Seen| {
            stream(&[
                ": hello\n\nid: 1\ndata:\n\n".to_owned(),
                progress(s, 1),
                event(
                    r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"x"}}"#,
                ),
                event(r#"{"jsonrpc":"2.0","id":4711,"result":{}}"#),
                progress(s, 2),
                event(&s.result(r#"{"said":"done"}"#)),
                event(&s.result(r#"{"said":"twice"}"#)),
            ])
        };
        let fake = match era {
            true => Fake::start(modern(tool)).await,
            false => Fake::start(legacy(tool)).await,
        };
        let edge = edge(&fake);
        let mut wants = tool_with_progress();
        let answer = within(edge.service.clone().oneshot(wants.clone()))
            .await
            .unwrap();
        let McpResponse::Stream(stream) = answer else {
            panic!()
        };
        let events: Vec<_> = stream.map(Result::unwrap).collect().await;
        let [
            Event::Notification { .. },
            Event::Notification { .. },
            Event::Outcome(Outcome::Complete(result)),
        ] = &events[..]
        else {
            panic!("{events:?}")
        };
        assert_eq!(
            result.get_str("said").unwrap(),
            "done",
            "F10: the first answer wins"
        );
        wants.context.wants_progress = false;
        let answer = within(edge.service.clone().oneshot(wants)).await.unwrap();
        assert!(
            matches!(answer, McpResponse::Ready(_)),
            "nobody asked for progress"
        );
    }
}

fn tool_with_progress() -> McpRequest {
    let mut request = tool();
    request.context.wants_progress = true;
    request
}

#[tokio::test]
async fn an_interim_result_of_a_modern_backend_passes_as_such() {
    let tool = |s: &Seen| json(s.result(r#"{"resultType":"input_required","inputRequests":{}}"#));
    let fake = Fake::start(modern(tool)).await;
    let answer = called(&edge(&fake)).await;
    assert!(matches!(answer, Ok(Outcome::InputRequired(_))));
}

#[tokio::test]
async fn batches_of_answers_are_taken_apart() {
    let tool = |s: &Seen| {
        json(format!(
            "[{}, {}]",
            progress_json(),
            s.result(r#"{"said":"b"}"#)
        ))
    };
    let fake = Fake::start(legacy(tool)).await;
    assert_eq!(said(&edge(&fake)).await, "b");
}

fn progress_json() -> &'static str {
    r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#
}

#[tokio::test]
async fn discover_shows_that_a_legacy_backend_lives() {
    let fake = Fake::start(legacy(says("x"))).await;
    let edge = edge(&fake);
    let discover = || answered(&edge, request(Method::Discover, "{}"));
    let Ok(Outcome::Complete(result)) = discover().await else {
        panic!()
    };
    assert!(result.get("capabilities").unwrap().get("tools").is_some());
    assert_eq!(fake.count("ping"), 1);
    fake.now(|_| Reply::Close);
    assert!(discover().await.is_err());
}

#[tokio::test]
async fn closing_ends_the_upstream_session() {
    for answer in [200, 404, 405] {
        let inner = legacy(says("x"));
        let fake = Fake::start(move |seen| match seen.method.as_str() {
            "DELETE" => status(answer),
            _ => inner(seen),
        });
        let fake = fake.await;
        let edge = edge(&fake);
        assert_eq!(said(&edge).await, "x");
        within((edge.close)()).await;
        let delete = fake.until(|s| s.method == "DELETE").await;
        assert_eq!(delete.header("mcp-session-id"), "s0");
    }
}

#[tokio::test]
async fn f20_a_connection_is_used_again_but_not_after_its_idle_time() {
    let fake = Fake::start(modern(says("x"))).await;
    let mut params = params(&format!("{}/mcp", fake.url));
    assert_eq!(
        params.idle_timeout,
        Duration::from_secs(4),
        "servers close at 5 s"
    );
    params.idle_timeout = Duration::from_millis(100);
    let edge = http(params);
    assert_eq!(said(&edge).await, "x");
    // Nothing happens that could be waited for: that is the point.
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(said(&edge).await, "x");
    assert_eq!(said(&edge).await, "x");
    let seen = fake.seen();
    let calls = seen.iter().filter(|s| s.rpc() == "tools/call");
    let used: Vec<usize> = calls.map(|s| s.connection).collect();
    assert_ne!(used[0], used[1]);
    assert_eq!(used[1], used[2]);
}
