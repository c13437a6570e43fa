//! Streams that servers close on purpose, and messages that they put together.

use std::sync::atomic::{AtomicUsize, Ordering};

use mcp_router_service::McpResponse;

use super::fake::*;
use super::*;

#[tokio::test]
async fn r48_a_get_stream_that_is_closed_on_purpose_is_opened_again_when_its_server_says_and_where()
{
    let opened = AtomicUsize::new(0);
    let inner = legacy(says("x"));
    let fake = Fake::start(move |seen| match seen.method.as_str() {
        "GET" => {
            let n = opened.fetch_add(1, Ordering::Relaxed);
            stream(&[format!("id: e{n}\nretry: 10\ndata:\n\n")])
        }
        _ => inner(seen),
    });
    let fake = fake.await;
    let _edge = edge(&fake);
    // Backing off it would take half a minute.
    within(fake.until(|s| s.header("last-event-id") == "e5")).await;
    let resumed: Vec<_> = fake
        .seen()
        .into_iter()
        .filter(|s| s.method == "GET")
        .collect();
    for (n, seen) in resumed.iter().enumerate().skip(1) {
        assert_eq!(seen.header("last-event-id"), format!("e{}", n - 1));
    }
}

#[tokio::test]
async fn a_backend_of_2025_03_26_may_put_its_messages_into_arrays() {
    let inner = legacy(|s| {
        let token = &s.body["params"]["_meta"]["progressToken"];
        let progress = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":1}}}}"#
        );
        let answer = s.result(r#"{"said":"both"}"#);
        let array = format!("[{progress},{answer}]");
        match s.body["params"]["arguments"]["sse"].as_bool() {
            Some(true) => stream(&[event(&array)]),
            _ => json(array),
        }
    });
    let fake = Fake::start(move |seen| match inner(seen) {
        Reply::Whole(status, headers, body) if seen.rpc() == "initialize" => {
            let body = String::from_utf8(body.to_vec()).unwrap();
            let body = format!("[{}]", body.replace("2025-06-18", "2025-03-26"));
            Reply::Whole(status, headers, body.into())
        }
        reply => reply,
    });
    let fake = fake.await;
    let mut edge = edge(&fake);
    let info = connected(&mut edge.events).await;
    assert_eq!(info.hop, "2025-03-26 streamable_http");
    for sse in [true, false] {
        let params = format!(r#"{{"name":"t","arguments":{{"sse":{sse}}}}}"#);
        let mut call = request(Method::ToolsCall, &params);
        call.context.wants_progress = true;
        let answer = within(edge.service.clone().oneshot(call)).await.unwrap();
        let McpResponse::Stream(events) = answer else {
            panic!("{answer:?}")
        };
        let events: Vec<_> = within(events.collect()).await;
        let kinds: Vec<_> = events
            .iter()
            .map(|event| matches!(event, Ok(mcp_router_service::Event::Outcome(_))))
            .collect();
        assert_eq!(kinds, [false, true]);
    }
}
