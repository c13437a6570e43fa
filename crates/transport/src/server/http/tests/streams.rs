use std::time::Duration;

use mcp_router_protocol::{Method as McpMethod, RawParams};
use mcp_router_service::Outbox;

use super::*;
use crate::server::params::{HttpLimits, HttpTimes};

#[tokio::test]
async fn r25_a_message_goes_to_the_newest_stream_alone() {
    let edge = Edge::new();
    let id = edge.session("2025-11-25", "{}").await;
    let h = [(SESSION, &*id)];
    edge.mock.tools_changed(); // before any stream is open
    let mut first = edge.open("GET", "/mcp", &h, "").await.into_body();
    assert!(
        event(&mut first)
            .await
            .unwrap()
            .contains("tools/list_changed")
    );
    let mut second = edge.open("GET", "/mcp", &h, "").await.into_body();
    edge.mock.tools_changed();
    tokio::select! {
        biased;
        _ = event(&mut first) => panic!("the older one is silent"),
        change = event(&mut second) => assert!(change.unwrap().contains("list_changed")),
    }
    // The older one takes over when the newer is gone.
    let waiting = tokio::spawn(async move { event(&mut first).await });
    tokio::task::yield_now().await;
    drop(second);
    edge.mock.tools_changed();
    assert!(waiting.await.unwrap().unwrap().contains("list_changed"));
}

#[tokio::test]
async fn messages_outside_calls_wait_for_a_stream() {
    let edge = Edge::new();
    let id = edge.session("2025-11-25", "{}").await;
    let h = [(SESSION, &*id)];
    edge.post(&h, &call("1", "echo")).await;
    let session = edge
        .mock
        .last(&McpMethod::ToolsCall)
        .context
        .session
        .clone()
        .unwrap();
    let log = |level: &str| Outbox::Notification {
        method: McpMethod::LogMessage,
        params: RawParams::of(&serde_json::json!({ "level": level })),
    };
    edge.post(
        &h,
        &request("2", "logging/setLevel", r#"{"level":"error"}"#),
    )
    .await;
    session.send(log("info")).unwrap();
    session.send(log("alert")).unwrap();
    let mut stream = edge.open("GET", "/mcp", &h, "").await.into_body();
    assert!(event(&mut stream).await.unwrap().contains("alert"));
}

#[tokio::test]
async fn standing_streams_are_counted_and_end_with_the_router() {
    let edge = Edge::with(HttpParams {
        limits: HttpLimits {
            streams: 3,
            streams_per_session: 2,
            ..HttpLimits::default()
        },
        ..HttpParams::default()
    });
    let one = edge.session("2025-11-25", "{}").await;
    let two = edge.session("2025-11-25", "{}").await;
    let (one, two) = ([(SESSION, &*one)], [(SESSION, &*two)]);
    let a = edge.open("GET", "/mcp", &one, "").await;
    let b = edge.open("GET", "/mcp", &one, "").await;
    assert_eq!(edge.send("GET", "/mcp", &one, "").await.status, 503);
    let c = edge.open("GET", "/mcp", &two, "").await;
    assert_eq!(edge.send("GET", "/mcp", &two, "").await.status, 503);
    drop(a);
    let d = edge.open("GET", "/mcp", &one, "").await;
    assert_eq!(d.status(), 200);
    edge.mock.drain();
    for stream in futures::future::join_all([b, c, d].map(read)).await {
        assert_eq!(stream.text, "");
    }
}

#[tokio::test]
async fn f38_draining_the_edge_ends_what_would_stay_open() {
    let edge = Edge::new();
    let id = edge.session("2025-11-25", "{}").await;
    let get = edge.open("GET", "/mcp", &[(SESSION, &*id)], "").await;
    let mut sse = edge.open("GET", "/sse", &[], "").await.into_body();
    assert!(event(&mut sse).await.unwrap().contains("endpoint"));
    let listen = r#"{"jsonrpc":"2.0","id":"l","method":"subscriptions/listen","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let h = [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "subscriptions/listen"),
    ];
    let listen = edge.open("POST", "/mcp", &h, listen).await;
    edge.http.drain();
    assert_eq!(read(get).await.text, "");
    assert_eq!(event(&mut sse).await, None);
    let listen = read(listen).await;
    let last = listen.events()[1];
    assert!(
        last.starts_with(r#"{"jsonrpc":"2.0","id":"l","result":"#),
        "{last}"
    );
    assert!(last.contains("subscriptionId"));
    let ping = request("1", "ping", "{}");
    assert_eq!(edge.post(&[(SESSION, &*id)], &ping).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn silent_sessions_make_room_and_come_back() {
    let edge = Edge::with(HttpParams {
        limits: HttpLimits {
            sessions: 2,
            ..HttpLimits::default()
        },
        times: HttpTimes {
            session_idle: Duration::from_secs(600),
            ..HttpTimes::default()
        },
        ..HttpParams::default()
    });
    let ping = request("1", "ping", "{}");
    let old = edge.session("2025-11-25", "{}").await;
    let busy = edge.session("2025-11-25", "{}").await;
    let stream = edge.open("GET", "/mcp", &[(SESSION, &*busy)], "").await;
    let hello = request(
        "1",
        "initialize",
        r#"{"protocolVersion":"2025-11-25","capabilities":{}}"#,
    );
    assert_eq!(
        edge.post(&[], &hello).await.status,
        503,
        "nobody was silent long enough"
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    let new = edge.session("2025-11-25", "{}").await;
    assert_eq!(
        edge.post(&[(SESSION, &*old)], &ping).await.status,
        503,
        "its id would bring it back, but nobody was silent long enough"
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(edge.post(&[(SESSION, &*old)], &ping).await.status, 200);
    tokio::time::sleep(Duration::from_secs(700)).await;
    for id in [&new, &busy] {
        assert_eq!(edge.post(&[(SESSION, &**id)], &ping).await.status, 200);
    }
    let left = edge.mock.count(&McpMethod::Listen);
    assert_eq!(left, 3, "what came back listens once it has a stream");
    drop(stream);
}

#[tokio::test]
async fn close_ends_every_session_here() {
    let edge = Edge::new();
    let id = edge.session("2025-11-25", "{}").await;
    let h = [(SESSION, &*id)];
    edge.post(&h, &call("1", "echo")).await;
    let before = edge
        .mock
        .last(&McpMethod::ToolsCall)
        .context
        .session
        .clone();
    let stream = edge.open("GET", "/mcp", &h, "").await;
    edge.http.close().await;
    assert_eq!(read(stream).await.text, "");
    assert!(before.unwrap().is_closed());
}
