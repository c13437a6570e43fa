//! Clients of 2025-11-25 that come back to a stream.

use std::time::Duration;

use super::*;

const PROGRESS: &str = r#"{"name":"drip","_meta":{"progressToken":1}}"#;

/// The value of a field of an event.
fn field<'a>(event: &'a str, name: &str) -> &'a str {
    let mut fields = event.lines().filter_map(|line| line.split_once(": "));
    let found = fields.find(|(field, _)| *field == name);
    found.unwrap_or_else(|| panic!("no {name} in {event}")).1
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_its_time_opens_a_stream_to_come_back_to() {
    let edge = Edge::new();
    let id = edge.session("2025-11-25", "{}").await;
    let h = [(SESSION, &*id)];
    let start = tokio::time::Instant::now();
    let answer = edge.open("POST", "/mcp", &h, &call("7", "later")).await;
    assert_eq!(start.elapsed(), Duration::from_millis(50));
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut body = answer.into_body();
    let first = event(&mut body).await.unwrap();
    assert!(
        first.starts_with("id: ") && first.ends_with("data: \n\n"),
        "{first:?}"
    );
    assert!(field(&first, "retry").parse::<u64>().is_ok());
    drop(body);
    // The call runs on, and its answer waits.
    tokio::time::sleep(Duration::from_secs(30)).await;
    for _ in 0..2 {
        let last = [(SESSION, &*id), (LAST_EVENT, field(&first, "id"))];
        let again = edge.send("GET", "/mcp", &last, "").await;
        assert_eq!(
            again.events(),
            [r#"{"jsonrpc":"2.0","id":7,"result":{"content":[]}}"#]
        );
        let rest = [(SESSION, &*id), (LAST_EVENT, field(&again.text, "id"))];
        let nothing = edge.send("GET", "/mcp", &rest, "").await;
        assert_eq!((nothing.status.as_u16(), &*nothing.text), (200, ""));
    }
    assert_eq!(edge.mock.count(&mcp_router_protocol::Method::ToolsCall), 1);
}

#[tokio::test(start_paused = true)]
async fn a_quick_answer_is_json_and_other_revisions_have_nothing_to_come_back_to() {
    let edge = Edge::new();
    for revision in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let id = edge.session(revision, "{}").await;
        let h = [(SESSION, &*id)];
        let quick = edge.post(&h, &call("1", "echo")).await;
        assert_eq!(quick.headers["content-type"], "application/json");
        let late = edge.post(&h, &call("2", "later")).await;
        let streamed = late.headers["content-type"] == "text/event-stream";
        assert_eq!(streamed, revision == "2025-11-25", "{revision}");
        let body = request("3", "tools/call", PROGRESS);
        let mut drip = edge.open("POST", "/mcp", &h, &body).await.into_body();
        let first = event(&mut drip).await.unwrap();
        assert_eq!(first.contains("id: "), revision == "2025-11-25", "{first}");
    }
}

#[tokio::test(start_paused = true)]
async fn messages_and_questions_are_kept_while_the_client_is_away() {
    let edge = Edge::new();
    let id = edge.session("2025-11-25", r#"{"roots":{}}"#).await;
    let h = [(SESSION, &*id)];
    let mut body = edge
        .open("POST", "/mcp", &h, &call("1", "ask"))
        .await
        .into_body();
    let first = event(&mut body).await.unwrap();
    drop(body);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let last = [(SESSION, &*id), (LAST_EVENT, field(&first, "id"))];
    let mut body = edge.open("GET", "/mcp", &last, "").await.into_body();
    let ask = event(&mut body).await.unwrap();
    let ask: serde_json::Value = serde_json::from_str(field(&ask, "data")).unwrap();
    assert_eq!(ask["method"], "roots/list");
    let reply = format!(
        r#"{{"jsonrpc":"2.0","id":{},"result":{{"roots":[]}}}}"#,
        ask["id"]
    );
    assert_eq!(edge.post(&h, &reply).await.status, 202);
    assert!(
        event(&mut body)
            .await
            .unwrap()
            .contains(r#""said":{"roots":[]}"#)
    );
    assert_eq!(event(&mut body).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_stream_belongs_to_its_session_and_its_replica() {
    let edge = Edge::new();
    let (own, other) = (
        edge.session("2025-11-25", "{}").await,
        edge.session("2025-11-25", "{}").await,
    );
    let h = [(SESSION, &*own)];
    let mut body = edge
        .open("POST", "/mcp", &h, &call("\"x\"", "later"))
        .await
        .into_body();
    let first = event(&mut body).await.unwrap();
    let last = field(&first, "id");
    let elsewhere = Edge::new();
    let there = elsewhere.session("2025-11-25", "{}").await;
    for (edge, session) in [(&edge, &other), (&elsewhere, &there)] {
        let h = [(SESSION, &**session), (LAST_EVENT, last)];
        let answer = edge.send("GET", "/mcp", &h, "").await;
        let events = answer.events();
        assert_eq!(events.len(), 1);
        assert!(events[0].starts_with(r#"{"jsonrpc":"2.0","id":"x","error":{"code":-32603"#));
        assert!(events[0].contains("state_lost"));
    }
    // Its own is not disturbed.
    assert!(event(&mut body).await.unwrap().contains(r#""result""#));
    // What is no id of a call's stream opens an ordinary one.
    let mut body = edge
        .open("GET", "/mcp", &[h[0], (LAST_EVENT, "17")], "")
        .await
        .into_body();
    edge.mock.tools_changed();
    assert!(event(&mut body).await.unwrap().contains("list_changed"));
}

#[tokio::test(start_paused = true)]
async fn r39_a_call_can_be_cancelled_while_its_client_is_away() {
    let edge = Edge::new();
    let id = edge.session("2025-11-25", "{}").await;
    let h = [(SESSION, &*id)];
    let mut body = edge
        .open("POST", "/mcp", &h, &call("7", "hang"))
        .await
        .into_body();
    let first = event(&mut body).await.unwrap();
    drop(body);
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
    assert_eq!(edge.post(&h, cancel).await.status, 202);
    until(|| edge.mock.dropped() > 0).await;
    let last = [(SESSION, &*id), (LAST_EVENT, field(&first, "id"))];
    assert_eq!(edge.send("GET", "/mcp", &last, "").await.text, "");
}
