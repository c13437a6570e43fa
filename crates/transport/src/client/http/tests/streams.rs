//! Streams: resumed, standing, and HTTP+SSE.

use std::sync::{Arc, Mutex};

use mcp_router_protocol::ItemKind;
use mcp_router_service::{Reason, Sent};
use tokio::sync::mpsc::UnboundedSender;

use super::fake::*;
use super::*;

type Streams = Mutex<Vec<UnboundedSender<String>>>;
static STREAMS: Mutex<Vec<(String, UnboundedSender<String>)>> = Mutex::new(Vec::new());

/// An HTTP+SSE backend whose POST URL is `endpoint`.
pub(super) fn sse_backend(
    endpoint: &'static str,
) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    move |seen| {
        let say = |text: String| {
            let streams = STREAMS.lock().unwrap();
            let newest = streams
                .iter()
                .rev()
                .find(|(host, _)| host == seen.header("host"));
            newest.unwrap().1.send(event(&text)).unwrap();
            status(202)
        };
        match (seen.method.as_str(), seen.path.as_str(), seen.rpc()) {
            ("GET", "/sse", _) => {
                let (sender, reply) = open_stream();
                sender.send(format!("event: endpoint\ndata: {endpoint}\n\n")).unwrap();
                STREAMS.lock().unwrap().push((seen.header("host").to_owned(), sender));
                reply
            }
            ("POST", path, "initialize") if path == endpoint => say(seen.result(
                r#"{"protocolVersion":"2024-11-05","capabilities":{"tools":{}},"serverInfo":{"name":"s"}}"#,
            )),
            ("POST", path, "tools/call") if path == endpoint => {
                say(seen.result(r#"{"said":"over sse"}"#))
            }
            ("POST", path, _) if path == endpoint => status(202),
            _ => status(404),
        }
    }
}

/// Ends every stream that is open at `fake`.
pub(super) fn end_streams(fake: &Fake) {
    let host = fake.url.trim_start_matches("http://");
    STREAMS.lock().unwrap().retain(|(at, _)| at != host);
}

#[tokio::test]
async fn losing_the_sse_stream_loses_its_calls() {
    let inner = sse_backend("/messages");
    let fake = Fake::start(move |seen| match seen.rpc() {
        "tools/call" => status(202),
        _ => inner(seen),
    });
    let fake = fake.await;
    let mut edge = http(params(&format!("{}/sse", fake.url)));
    connected(&mut edge.events).await;
    let call = tokio::spawn(edge.service.clone().oneshot(tool()));
    fake.until(|s| s.rpc() == "tools/call").await;
    end_streams(&fake);
    let error = within(call).await.unwrap().unwrap_err();
    assert_eq!(
        (error.reason, error.sent),
        (Reason::BackendLost, Sent::Unknown)
    );
    connected(&mut edge.events).await;
}

#[tokio::test]
async fn leaving_a_call_over_sse_cancels_it() {
    let inner = sse_backend("/messages");
    let fake = Fake::start(move |seen| match seen.rpc() {
        "tools/call" => status(202),
        _ => inner(seen),
    });
    let fake = fake.await;
    let mut edge = http(params(&format!("{}/sse", fake.url)));
    connected(&mut edge.events).await;
    let call = tokio::spawn(edge.service.clone().oneshot(tool()));
    let asked = fake.until(|s| s.rpc() == "tools/call").await;
    call.abort();
    let cancelled = within(fake.until(|s| s.rpc() == "notifications/cancelled")).await;
    assert_eq!(cancelled.body["params"]["requestId"], asked.body["id"]);
}

#[tokio::test]
async fn a_refused_post_over_sse_is_a_refused_call() {
    let inner = sse_backend("/messages");
    let fake = Fake::start(move |seen| match seen.rpc() {
        "tools/call" => status(429),
        _ => inner(seen),
    });
    let fake = fake.await;
    let edge = http(params(&format!("{}/sse", fake.url)));
    let error = failed(&edge).await;
    assert_eq!(
        (error.reason, error.sent),
        (Reason::BackendStatus, Sent::RejectedUnexecuted)
    );
    assert_eq!(fake.count("notifications/cancelled"), 0);
}

#[tokio::test]
async fn r52_b31_an_endpoint_of_another_origin_is_refused() {
    let other = Fake::start(|_| status(202)).await;
    let there: &'static str = format!("{}/messages", other.url).leak();
    let fake = Fake::start(sse_backend(there)).await;
    let mut edge = http(params(&format!("{}/sse", fake.url)));
    lost(&mut edge.events).await;
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn r48_f6_a_stream_that_closes_early_is_resumed_where_it_ended() {
    let call: Arc<Mutex<Option<Seen>>> = Arc::default();
    let asked = call.clone();
    let inner = legacy(move |seen| {
        *asked.lock().unwrap() = Some(seen.clone());
        stream(&["id: e1\nretry: 10\ndata:\n\n".to_owned()])
    });
    let fake =
        Fake::start(
            move |seen| match (seen.method.as_str(), seen.header("last-event-id")) {
                ("GET", "e1") => stream(&["id: e2\ndata:\n\n".to_owned()]),
                ("GET", "e2") => {
                    let call = call.lock().unwrap().clone().unwrap();
                    stream(&[event(&call.result(r#"{"said":"resumed"}"#))])
                }
                _ => inner(seen),
            },
        );
    let fake = fake.await;
    assert_eq!(said(&edge(&fake)).await, "resumed");
    assert_eq!(fake.count("tools/call"), 1);
}

#[tokio::test]
async fn f6_a_stream_that_ends_twice_at_the_same_place_is_lost() {
    let inner = legacy(|_| stream(&["id: e1\nretry: 10\ndata:\n\n".to_owned()]));
    let fake = Fake::start(move |seen| match seen.method.as_str() {
        "GET" if !seen.header("last-event-id").is_empty() => {
            stream(&["id: e1\ndata:\n\n".to_owned()])
        }
        _ => inner(seen),
    });
    let fake = fake.await;
    let error = failed(&edge(&fake)).await;
    assert_eq!(
        (error.reason, error.sent),
        (Reason::BackendLost, Sent::Unknown)
    );
    let seen = fake.seen();
    let resumed = seen
        .iter()
        .filter(|s| s.header("last-event-id") == "e1")
        .count();
    assert_eq!(resumed, 1);
}

fn changed(what: &str) -> String {
    event(&format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/{what}/list_changed"}}"#
    ))
}

#[tokio::test]
async fn list_changes_come_over_the_get_stream_of_a_legacy_backend() {
    let streams: Arc<Streams> = Arc::default();
    let kept = streams.clone();
    let inner = legacy(says("x"));
    let fake = Fake::start(move |seen| match seen.method.as_str() {
        "GET" => {
            let (sender, reply) = open_stream();
            kept.lock().unwrap().push(sender);
            reply
        }
        _ => inner(seen),
    });
    let fake = fake.await;
    let mut edge = edge(&fake);
    connected(&mut edge.events).await;
    fake.until(|s| s.method == "GET").await;
    streams.lock().unwrap()[0].send(changed("tools")).unwrap();
    assert!(matches!(
        next(&mut edge.events).await,
        BackendEvent::Changed(ItemKind::Tool)
    ));
    streams.lock().unwrap()[0]
        .send(changed("resources"))
        .unwrap();
    for kind in [ItemKind::Resource, ItemKind::Template] {
        assert!(matches!(next(&mut edge.events).await, BackendEvent::Changed(k) if k == kind));
    }
    // F7: what may have been missed while the stream was away counts as changed.
    streams.lock().unwrap().clear();
    for kind in ItemKind::ALL {
        assert!(matches!(next(&mut edge.events).await, BackendEvent::Changed(k) if k == kind));
    }
}

#[tokio::test]
async fn r45_the_get_stream_follows_a_session_that_was_opened_again() {
    let inner = legacy(|s| match s.header("mcp-session-id") {
        "s1" => status(404),
        _ => says("x")(s),
    });
    let streams: Arc<Streams> = Arc::default();
    let kept = streams.clone();
    let fake = Fake::start(move |seen| match seen.method.as_str() {
        "GET" => {
            let (sender, reply) = open_stream();
            kept.lock().unwrap().push(sender);
            reply
        }
        _ => inner(seen),
    });
    let fake = fake.await;
    let edge = edge(&fake);
    let on = |id: &'static str| {
        fake.until(move |s| s.method == "GET" && s.header("mcp-session-id") == id)
    };
    assert_eq!(said(&edge).await, "x");
    within(on("s2")).await;
    // That of the lost session, if it was open by then, is closed.
    let shared = fake.seen().into_iter().filter(|s| s.method == "GET");
    let lost = shared.map(|s| s.header("mcp-session-id") == "s1");
    let lost = lost
        .zip(streams.lock().unwrap().clone())
        .filter(|(lost, _)| *lost);
    for (_, old) in lost.collect::<Vec<_>>() {
        within(old.closed()).await;
    }
}

#[tokio::test]
async fn list_changes_come_over_the_listen_stream_of_a_modern_backend() {
    let streams: Arc<Streams> = Arc::default();
    let kept = streams.clone();
    let inner = modern(says("x"));
    let fake = Fake::start(move |seen| match seen.rpc() {
        "server/discover" => json(seen.result(
            r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true}}}"#,
        )),
        "subscriptions/listen" => {
            let (sender, reply) = open_stream();
            let acknowledged = r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{}}"#;
            sender.send(event(acknowledged)).unwrap();
            kept.lock().unwrap().push(sender);
            reply
        }
        _ => inner(seen),
    });
    let fake = fake.await;
    let mut edge = edge(&fake);
    connected(&mut edge.events).await;
    let listen = within(fake.until(|s| s.rpc() == "subscriptions/listen")).await;
    assert_eq!(listen.header("mcp-method"), "subscriptions/listen");
    assert_eq!(
        listen.body["params"]["notifications"]["toolsListChanged"],
        true
    );
    streams.lock().unwrap()[0].send(changed("tools")).unwrap();
    assert!(matches!(
        next(&mut edge.events).await,
        BackendEvent::Changed(ItemKind::Tool)
    ));
}

#[tokio::test]
async fn a_backend_that_vanishes_is_noticed_by_its_stream_and_its_calls_fail_unsent() {
    let inner = legacy(says("x"));
    let streams: Arc<Streams> = Arc::default();
    let kept = streams.clone();
    let fake = Fake::start(move |seen| match seen.method.as_str() {
        "GET" => {
            let (sender, reply) = open_stream();
            kept.lock().unwrap().push(sender);
            reply
        }
        _ => inner(seen),
    });
    let fake = fake.await;
    let mut edge = edge(&fake);
    connected(&mut edge.events).await;
    within(fake.until(|s| s.method == "GET")).await;
    fake.now(|_| status(404));
    streams.lock().unwrap().clear();
    lost(&mut edge.events).await;
    let error = failed(&edge).await;
    assert_eq!(error.sent, Sent::No);
}

/// A legacy backend with a GET stream, whose senders are kept in `streams`.
fn with_stream(streams: &Arc<Streams>) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    let (streams, rest) = (streams.clone(), legacy(says("x")));
    move |seen| {
        if seen.method != http::Method::GET {
            return rest(seen);
        }
        let (sender, reply) = open_stream();
        sender.send(": hello\n\n".to_owned()).unwrap();
        streams.lock().unwrap().push(sender);
        reply
    }
}

/// An edge to it that doubts early, and has opened its stream.
async fn doubting(fake: &Fake) -> Connected {
    let mut params = params(&format!("{}/mcp", fake.url));
    params.quiet_after = Duration::from_millis(200);
    params.health_method = mcp_router_health::ProbeMethod::Mcp;
    let mut edge = http(params);
    connected(&mut edge.events).await;
    within(fake.until(|s| s.method == http::Method::GET)).await;
    edge
}

fn opened(fake: &Fake) -> usize {
    let gets = fake
        .seen()
        .into_iter()
        .filter(|s| s.method == http::Method::GET);
    gets.count()
}

#[tokio::test]
async fn f7_a_silent_stream_of_a_backend_that_answers_stays_open() {
    let streams = Arc::default();
    let fake = Fake::start(with_stream(&streams)).await;
    let mut edge = doubting(&fake).await;
    while fake.count("ping") < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(opened(&fake), 1);
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    streams.lock().unwrap()[0].send(event(changed)).unwrap();
    let change = next(&mut edge.events).await;
    assert!(matches!(change, BackendEvent::Changed(ItemKind::Tool)));
}

#[tokio::test]
async fn f7_a_stream_whose_backend_falls_silent_is_opened_again_and_what_was_missed_is_told() {
    let streams = Arc::default();
    let fake = Fake::start(with_stream(&streams)).await;
    let mut edge = doubting(&fake).await;
    // A partition: nothing is refused, nothing answered.
    fake.now(|_| Reply::Never);
    fake.until(|s| s.rpc() == "ping").await;
    fake.now(with_stream(&streams));
    let kinds = tokio::time::timeout(4 * SOON, async {
        let mut kinds = Vec::new();
        while kinds.len() < ItemKind::ALL.len() {
            match edge.events.next().await.unwrap() {
                BackendEvent::Changed(kind) => kinds.push(kind),
                other => panic!("{other:?}"),
            }
        }
        kinds
    });
    assert_eq!(kinds.await.unwrap(), ItemKind::ALL);
    assert!(opened(&fake) >= 2);
}

#[tokio::test]
async fn f7_a_stream_that_stops_to_show_that_it_lives_is_opened_again() {
    let streams: Arc<Streams> = Arc::default();
    let fake = Fake::start(with_stream(&streams)).await;
    let _edge = doubting(&fake).await;
    for _ in 0..5 {
        let stream = streams.lock().unwrap()[0].clone();
        stream.send(": still here\n\n".to_owned()).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let start = tokio::time::Instant::now();
    while opened(&fake) < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(start.elapsed() < SOON, "not opened again");
    }
}

#[tokio::test]
async fn f7_an_sse_channel_that_falls_silent_is_lost_unless_a_call_is_on_it() {
    let inner = sse_backend("/messages");
    let fake = Fake::start(move |seen| match seen.rpc() {
        "ping" | "tools/list" => status(202),
        _ => inner(seen),
    });
    let fake = fake.await;
    let mut params = params(&format!("{}/sse", fake.url));
    params.quiet_after = Duration::from_millis(200);
    let mut edge = http(params);
    connected(&mut edge.events).await;
    let call = tokio::spawn(
        edge.service
            .clone()
            .oneshot(request(Method::ToolsList, "{}")),
    );
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(fake.count("ping"), 0);
    call.abort();
    let told = tokio::time::timeout(2 * SOON, edge.events.next());
    match told.await.unwrap().unwrap() {
        BackendEvent::Lost { error, .. } => {
            assert_eq!(error.detail.as_deref(), Some("its stream is silent"));
        }
        other => panic!("{other:?}"),
    }
}
