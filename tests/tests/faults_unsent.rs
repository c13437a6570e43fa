//! Connections that do not come about: nothing was sent, so every call may go elsewhere, and does.

use std::time::{Duration, Instant};

use mcp_router_tests::fixture::{Authority, Certificate, Era, Fixture, FixtureBuilder};
use mcp_router_tests::harness::{Blackhole, Router, failure, until};
use serde_json::{Value, json};

const S: Duration = Duration::from_secs(1);

/// A backend whose state is known to the router from calls alone.
fn quiet(name: &str) -> FixtureBuilder {
    let builder = Fixture::builder().name(name).era(Era::Modern);
    builder.list_changed(false).standing_stream(false)
}

/// Backends in this order, each under its namespace, tried once each, and never given up.
fn file(backends: &[(&str, &str, String)]) -> String {
    let mut file = "routing: { retry: { max_attempts: 1 } }\nbackends:\n".to_owned();
    for (at, (name, namespace, url)) in backends.iter().enumerate() {
        file += &format!(
            "  - {{ name: {name}, namespace: {namespace}, url: \"{url}\", priority: {at}, \
             circuit_breaker: {{ failure_threshold: 1000 }} }}\n"
        );
    }
    file
}

/// Calls something that must not run twice; the answer, and which fixture gave it.
async fn call(router: &Router, namespace: &str, nonce: &str) -> (Value, Option<String>) {
    let tool = format!("{namespace}.once");
    let answer = router.modern().call(&tool, json!({"nonce": nonce})).await;
    let by = answer["result"]["structuredContent"]["by"].as_str();
    let by = by.map(str::to_owned);
    (answer, by)
}

/// A call that found no connection, in at most `limit`, and says so.
async fn finds_nobody(router: &Router, namespace: &str, limit: Duration) {
    let start = Instant::now();
    let (answer, _) = call(router, namespace, "nobody").await;
    assert!(
        start.elapsed() < limit,
        "{namespace}: {:?}",
        start.elapsed()
    );
    let failure = failure(&answer).unwrap_or_else(|| panic!("{namespace}: {answer}"));
    assert_eq!(failure["reason"], "connect_failed", "{answer}");
    assert_eq!(failure["sent"], "no", "{answer}");
    assert_eq!(failure["retryable"], true, "{answer}");
}

#[tokio::test]
async fn f04_a_backend_behind_dropped_packets_is_given_up_unsent_and_another_serves() {
    let (first, second) = (quiet("first").spawn().await, quiet("second").spawn().await);
    let alone = quiet("alone").spawn().await;
    let router = Router::start(&file(&[
        ("first", "s", first.url()),
        ("second", "s", second.url()),
        ("alone", "alone", alone.url()),
    ]))
    .await;
    for name in ["first", "second", "alone"] {
        router.until_healthy(name).await;
    }
    let (answer, by) = call(&router, "s", "before").await;
    assert_eq!(by.as_deref(), Some("first"), "{answer}");

    let mut holes = Vec::new();
    for fixture in [&first, &alone] {
        fixture.go_down().await;
        holes.push(Blackhole::at(fixture.addr()).await);
    }
    // 2 s for the connection, and what a busy machine takes.
    finds_nobody(&router, "alone", 8 * S).await;
    let start = Instant::now();
    let (answer, by) = call(&router, "s", "moved").await;
    assert_eq!(by.as_deref(), Some("second"), "{answer}");
    assert!(start.elapsed() < 8 * S, "{:?}", start.elapsed());
    assert_eq!(second.log().executions("moved"), 1);
    assert_eq!(first.log().executions("moved"), 0);

    drop(holes);
    first.go_up().await;
    until("the first serves again", async || {
        let (_, by) = call(&router, "s", "later").await;
        by.as_deref() == Some("first")
    })
    .await;
}

#[tokio::test]
async fn f16_certificates_that_prove_nothing_are_not_believed_and_nothing_is_sent_to_them() {
    let authority = Authority::new();
    let secured = |name, certificate| quiet(name).tls(&authority, certificate);
    let good = secured("good", Certificate::Good).spawn().await;
    let expired = secured("expired", Certificate::Expired).spawn().await;
    let other = secured("other", Certificate::WrongName).spawn().await;
    let stranger = quiet("stranger").tls(&Authority::new(), Certificate::Good);
    let stranger = stranger.spawn().await;
    let turning = secured("turning", Certificate::Good).spawn().await;
    let second = quiet("second").spawn().await;
    let router = Router::builder()
        .config(&file(&[
            ("good", "good", good.url()),
            ("expired", "expired", expired.url()),
            ("other", "other", other.url()),
            ("stranger", "stranger", stranger.url()),
            ("turning", "s", turning.url()),
            ("second", "s", second.url()),
        ]))
        .env("SSL_CERT_FILE", &authority.path().to_string_lossy())
        .start()
        .await;
    for name in ["good", "turning", "second"] {
        router.until_healthy(name).await;
    }
    let (answer, by) = call(&router, "good", "n").await;
    assert_eq!(by.as_deref(), Some("good"), "{answer}");
    for (name, fixture) in [
        ("expired", &expired),
        ("other", &other),
        ("stranger", &stranger),
    ] {
        finds_nobody(&router, name, 8 * S).await;
        let said = router.backend(name).await["last_error"].to_string();
        assert!(said.contains("certificate"), "{name}: {said}");
        // It was spoken to, and heard no request, neither inside TLS nor in the clear.
        let log = fixture.log();
        assert!(log.connections() > 0, "{name}");
        assert_eq!(log.methods(), Vec::<String>::new(), "{name}");
    }

    // One that goes bad later is left by calls that have another place to go.
    let (answer, by) = call(&router, "s", "before").await;
    assert_eq!(by.as_deref(), Some("turning"), "{answer}");
    let heard = turning.log().methods().len();
    turning.show(&authority, Certificate::Expired);
    let (answer, by) = call(&router, "s", "after").await;
    assert_eq!(by.as_deref(), Some("second"), "{answer}");
    assert_eq!(turning.log().methods().len(), heard);
}

#[tokio::test]
async fn f17_a_name_that_nobody_knows_costs_its_own_calls_and_nobody_elses() {
    let well = quiet("well").spawn().await;
    let router = Router::start(&file(&[
        (
            "lost",
            "lost",
            "http://there-is-no-such-host.invalid/mcp".to_owned(),
        ),
        ("well", "well", well.url()),
    ]))
    .await;
    router.until_healthy("well").await;
    let client = router.modern();
    let (_, answer) = tokio::join!(
        finds_nobody(&router, "lost", 8 * S),
        client.call("well.add", json!({"a": 1, "b": 1})),
    );
    assert_eq!(answer["result"]["content"][0]["text"], "2", "{answer}");
    assert_eq!(router.backend("lost").await["healthy"], false);
}
