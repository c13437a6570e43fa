//! Probes, and connections that get old.

use mcp_router_health::ProbeMethod;
use mcp_router_service::{ProbeFailure, Pulse};

use super::fake::*;
use super::*;

/// A modern backend with `page` at `/health`, and what it answers to other questions.
async fn backend(page: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Fake {
    let rest = modern(says("x"));
    Fake::start(move |seen| match seen.path.as_str() {
        "/mcp" => rest(seen),
        _ => page(seen),
    })
    .await
}

async fn probed(edge: &Connected) -> Result<Pulse, ProbeFailure> {
    within((edge.probe)()).await
}

fn pages(fake: &Fake) -> Vec<(String, String)> {
    let pages = fake.seen().into_iter().filter(|s| s.path != "/mcp");
    pages.map(|s| (s.method.to_string(), s.path)).collect()
}

fn one(method: &str, path: &str) -> Vec<(String, String)> {
    vec![(method.to_owned(), path.to_owned())]
}

#[tokio::test]
async fn a_health_page_is_believed_where_it_speaks() {
    for (code, well) in [(200, true), (204, true), (500, false), (503, false)] {
        let fake = backend(move |_| status(code)).await;
        let edge = edge(&fake);
        match probed(&edge).await {
            Ok(pulse) => assert!(well && pulse == Pulse::Well, "{code}"),
            // It says so itself: no reason to open a circuit.
            Err(failure) => assert!(!well && !failure.counts, "{code}"),
        }
        assert_eq!(pages(&fake), one("GET", "/health"), "{code}");
    }
}

#[tokio::test]
async fn a_backend_without_a_health_page_is_asked_by_mcp_and_never_lost_for_it() {
    for code in [404, 405, 401, 302, 501] {
        let fake = backend(move |_| status(code)).await;
        let mut edge = edge(&fake);
        connected(&mut edge.events).await;
        let before = fake.count("server/discover");
        assert_eq!(probed(&edge).await, Ok(Pulse::Well), "{code}");
        assert_eq!(fake.count("server/discover"), before + 1, "{code}");
        // That there is no page is remembered.
        assert_eq!(probed(&edge).await, Ok(Pulse::Well), "{code}");
        assert_eq!(pages(&fake), one("GET", "/health"), "{code}");
    }
}

#[tokio::test]
async fn a_named_page_must_answer_2xx_and_everything_else_counts() {
    for (code, well) in [(200, true), (404, false), (302, false), (503, false)] {
        let fake = backend(move |_| status(code)).await;
        let mut params = params(&format!("{}/mcp", fake.url));
        params.health_page = Some("/up".to_owned());
        params.health_method = ProbeMethod::Options;
        let edge = http(params);
        match probed(&edge).await {
            Ok(pulse) => assert!(well && pulse == Pulse::Well, "{code}"),
            Err(failure) => assert!(!well && failure.counts, "{code}"),
        }
        assert_eq!(pages(&fake), one("OPTIONS", "/up"), "{code}");
    }
}

#[tokio::test]
async fn credentials_go_to_a_page_of_the_same_origin_alone() {
    let fake = backend(|_| status(200)).await;
    let other = Fake::start(|_| status(200)).await;
    for (page, at, sent) in [("/up", &fake, "secret"), (&other.url, &other, "")] {
        let mut params = params(&format!("{}/mcp", fake.url));
        params.headers.insert("x-key", "secret".parse().unwrap());
        params.health_page = Some(page.to_owned());
        let edge = http(params);
        assert_eq!(probed(&edge).await, Ok(Pulse::Well));
        let seen = at.until(|s| s.method == http::Method::GET).await;
        assert_eq!(seen.header("x-key"), sent, "{page}");
    }
}

#[tokio::test]
async fn by_mcp_a_legacy_backend_is_pinged_and_errors_are_signs_of_life() {
    let fake = Fake::start(legacy(says("x"))).await;
    let mut params = params(&format!("{}/mcp", fake.url));
    params.health_method = ProbeMethod::Mcp;
    let mut edge = http(params);
    assert!(connected(&mut edge.events).await.stateful);
    assert_eq!(probed(&edge).await, Ok(Pulse::Well));
    assert_eq!(fake.count("ping"), 1);
    let answer = legacy(says("x"));
    fake.now(move |seen| match seen.rpc() {
        "ping" => json(seen.error(-32601)),
        _ => answer(seen),
    });
    assert_eq!(probed(&edge).await, Ok(Pulse::Well));
    fake.now(|_| status(502));
    assert!(!probed(&edge).await.unwrap_err().counts);
}

#[tokio::test]
async fn a_legacy_backend_without_a_session_id_is_not_stateful() {
    let answer = legacy(says("x"));
    let fake = Fake::start(move |seen| match answer(seen) {
        Reply::Whole(status, mut headers, body) => {
            headers.retain(|(name, _)| *name != "mcp-session-id");
            Reply::Whole(status, headers, body)
        }
        other => other,
    })
    .await;
    assert!(!connected(&mut edge(&fake).events).await.stateful);
}

#[tokio::test]
async fn a_probe_that_finds_nobody_counts_and_tells_the_driver() {
    // The address is one where nobody listens any more.
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut params = params(&format!("http://{}/mcp", closed.local_addr().unwrap()));
    drop(closed);
    params.backoff = BackoffParams::RECONNECT.starting(SOON * 10);
    let mut edge = http(params);
    lost(&mut edge.events).await;
    let failure = probed(&edge).await.unwrap_err();
    assert!(failure.counts, "{failure}");
    // It asked the driver, which tried again at once, not in 50 s.
    lost(&mut edge.events).await;
}

#[tokio::test]
async fn a_lazy_backend_is_not_connected_by_its_probe() {
    let fake = backend(|_| status(200)).await;
    let mut params = params(&format!("{}/mcp", fake.url));
    params.lazy = true;
    let mut edge = http(params);
    assert_eq!(probed(&edge).await, Ok(Pulse::Asleep));
    assert!(matches!(next(&mut edge.events).await, BackendEvent::Asleep));
    assert!(fake.seen().is_empty());
    assert_eq!(said(&edge).await, "x");
    assert_eq!(probed(&edge).await, Ok(Pulse::Well));
}

#[tokio::test]
async fn probes_are_answered_while_every_place_is_taken() {
    let rest = modern(|_| Reply::Never);
    let fake = Fake::start(move |seen| match seen.path.as_str() {
        "/mcp" => rest(seen),
        _ => status(200),
    })
    .await;
    let mut params = params(&format!("{}/mcp", fake.url));
    params.max_connections = 1;
    let mut edge = http(params);
    connected(&mut edge.events).await;
    let _hanging = tokio::spawn(edge.service.clone().oneshot(tool()));
    fake.until(|s| s.rpc() == "tools/call").await;
    assert_eq!(probed(&edge).await, Ok(Pulse::Well));
}

#[tokio::test]
async fn f18_old_connections_are_not_used_again_and_calls_on_them_end_well() {
    let (slow, stream) = open_stream();
    let stream = std::sync::Mutex::new(Some(stream));
    let tool = move |seen: &Seen| {
        let first = stream.lock().unwrap().take();
        first.unwrap_or_else(|| says("x")(seen))
    };
    let fake = Fake::start(modern(tool)).await;
    let mut params = params(&format!("{}/mcp", fake.url));
    params.connection_age = Duration::from_millis(300);
    let mut edge = http(params);
    connected(&mut edge.events).await;
    let service = edge.service.clone();
    let first = tokio::spawn(async move { service.oneshot(super::tool()).await?.outcome().await });
    let held = fake.until(|s| s.rpc() == "tools/call").await;
    let mut used = Vec::new();
    for _ in 0..20 {
        assert_eq!(said(&edge).await, "x");
        used.push(fake.seen().last().unwrap().connection);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    used.dedup();
    assert!((2..=6).contains(&used.len()), "{used:?}");
    // Begun on the oldest of all, and not disturbed.
    let answer = held.result(r#"{"content":[],"resultType":"complete"}"#);
    slow.send(event(&answer)).unwrap();
    let outcome = within(first).await.unwrap();
    assert!(matches!(outcome, Ok(Outcome::Complete(_))), "{outcome:?}");
}
