//! What speaks at a URL.

use mcp_router_service::{Reason, Sent};
use tokio::net::TcpListener;

use super::fake::*;
use super::*;

/// Answers only under one path.
fn at(
    path: &'static str,
    inner: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    move |seen| match seen.path.as_str() == path {
        true => inner(seen),
        false => status(404),
    }
}

#[tokio::test]
async fn r46_any_answer_but_a_modern_one_means_legacy() {
    type Probe = fn(&Seen) -> Reply;
    let probes: [Probe; 9] = [
        |s| status_json(400, s.error(-32600)),
        |s| status_json(404, s.error(-32601)),
        |s| json(s.error(-32602)),
        |s| json(s.result("{}")),
        |_| json("{".to_owned()),
        |_| {
            Reply::Whole(
                200,
                vec![("content-type", "text/html".to_owned())],
                "<p>".into(),
            )
        },
        |_| status(500),
        |_| Reply::Never,
        |_| Reply::Close,
    ];
    for (n, probe) in probes.into_iter().enumerate() {
        let inner = legacy(says("x"));
        let fake = Fake::start(move |seen| match seen.rpc() {
            "server/discover" => probe(seen),
            _ => inner(seen),
        });
        let fake = fake.await;
        let mut edge = edge(&fake);
        let info = connected(&mut edge.events).await;
        assert_eq!(info.hop, "2025-06-18 streamable_http", "{n}");
        assert_eq!(said(&edge).await, "x");
    }
}

#[tokio::test]
async fn r46_a_modern_answer_means_modern_even_where_it_is_an_error() {
    for code in [-32020, -32021, 0] {
        let inner = modern(says("x"));
        let fake = Fake::start(move |seen| match seen.rpc() {
            "server/discover" if code != 0 => status_json(400, seen.error(code)),
            _ => inner(seen),
        });
        let fake = fake.await;
        let mut edge = edge(&fake);
        let info = connected(&mut edge.events).await;
        assert_eq!(info.hop, "2026-07-28 streamable_http");
        assert_eq!(said(&edge).await, "x");
        assert_eq!(fake.count("initialize"), 0);
    }
}

#[tokio::test]
async fn r46_401_proves_nothing() {
    let fake = Fake::start(|_| status(401)).await;
    let mut edge = edge(&fake);
    let error = lost(&mut edge.events).await;
    assert_eq!(
        (error.reason, error.detail.as_deref()),
        (Reason::BackendStatus, Some("HTTP 401"))
    );
    assert_eq!(fake.count("initialize"), 0);
    assert_eq!(failed(&edge).await.sent, Sent::No);
}

#[tokio::test]
async fn a_base_url_finds_mcp_first() {
    for base in ["", "/"] {
        let fake = Fake::start(at("/mcp", legacy(says("x")))).await;
        let edge = http(params(&format!("{}{base}", fake.url)));
        assert_eq!(said(&edge).await, "x");
        assert!(fake.seen().iter().all(|s| s.path == "/mcp"));
    }
}

#[tokio::test]
async fn a_base_url_finds_sse_next_and_remembers_it() {
    let fake = Fake::start(streams::sse_backend("/messages?s=1")).await;
    let mut edge = http(params(&fake.url));
    let info = connected(&mut edge.events).await;
    assert_eq!(info.hop, "2024-11-05 sse");
    assert_eq!(said(&edge).await, "over sse");
    let before = fake.seen().iter().filter(|s| s.path == "/mcp").count();
    // The stream ends; the next one is opened without asking around again.
    fake.now(streams::sse_backend("/messages?s=2"));
    streams::end_streams(&fake);
    connected(&mut edge.events).await;
    assert_eq!(said(&edge).await, "over sse");
    let after = fake.seen().iter().filter(|s| s.path == "/mcp").count();
    assert_eq!(after, before);
}

#[tokio::test]
async fn redirects_are_followed_within_the_origin_and_nowhere_else() {
    let inner = legacy(says("x"));
    let fake = Fake::start(move |seen| match seen.path.as_str() {
        "/mcp/" => inner(seen),
        _ => Reply::Whole(307, vec![("location", "/mcp/".to_owned())], "".into()),
    });
    let fake = fake.await;
    assert_eq!(said(&edge(&fake)).await, "x");

    let other = Fake::start(legacy(says("stolen"))).await;
    let there = format!("{}/mcp", other.url);
    let fake =
        Fake::start(move |_| Reply::Whole(307, vec![("location", there.clone())], "".into()));
    let fake = fake.await;
    let mut edge = edge(&fake);
    lost(&mut edge.events).await;
    assert!(
        other.seen().is_empty(),
        "R52: nothing is sent to another origin"
    );
}

#[tokio::test]
async fn f1_a_refused_backend_joins_soon_after_it_appears() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut edge = http(params(&format!("http://{address}/mcp")));
    let error = lost(&mut edge.events).await;
    assert_eq!(
        (error.reason, error.sent),
        (Reason::ConnectFailed, Sent::No)
    );
    assert_eq!(error.detail.as_deref(), Some("connection refused"));
    let error = failed(&edge).await;
    assert_eq!(
        (error.reason, error.sent),
        (Reason::ConnectFailed, Sent::No)
    );
    let fake = Fake::on(TcpListener::bind(address).await.unwrap(), legacy(says("x")));
    connected(&mut edge.events).await;
    assert_eq!(fake.count("initialize"), 1);
    assert_eq!(said(&edge).await, "x");
}

#[tokio::test]
async fn a_backend_that_comes_back_as_another_era_is_found_again() {
    let fake = Fake::start(legacy(says("old"))).await;
    let mut edge = edge(&fake);
    connected(&mut edge.events).await;
    assert_eq!(said(&edge).await, "old");
    fake.now(modern(says("new")));
    // It refuses what it does not know any more, and is asked anew.
    assert!(matches!(called(&edge).await, Ok(Outcome::Error(_))));
    let info = connected(&mut edge.events).await;
    assert_eq!(info.hop, "2026-07-28 streamable_http");
    assert_eq!(said(&edge).await, "new");
}

#[tokio::test]
async fn a_lazy_backend_is_asked_at_the_first_call() {
    let fake = Fake::start(modern(says("x"))).await;
    let mut params = params(&format!("{}/mcp", fake.url));
    params.lazy = true;
    let edge = http(params);
    tokio::task::yield_now().await;
    assert!(fake.seen().is_empty());
    assert_eq!(said(&edge).await, "x");
}

#[tokio::test]
async fn f16_a_peer_without_tls_is_never_spoken_to_in_the_clear() {
    let fake = Fake::start(modern(says("x"))).await;
    let url = fake.url.replace("http:", "https:");
    let mut edge = http(params(&format!("{url}/mcp")));
    let error = lost(&mut edge.events).await;
    assert_eq!(
        (error.reason, error.sent),
        (Reason::ConnectFailed, Sent::No)
    );
    assert!(fake.seen().is_empty());
}
