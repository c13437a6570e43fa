//! Resources that clients watch: every kind of client, every kind of backend.

use mcp_router_tests::fixture::{Era, Fixture, FixtureBuilder};
use mcp_router_tests::harness::{
    ChildLog, LegacySession, ModernClient, Router, SseReader, StdioRouter, Streaming, child_entry,
    config, text, until,
};
use serde_json::{Value, json};

const L4: &str = "2025-11-25";
const HELLO: &str = "memo://hello";

/// A resource as it is listed, and in the older spelling.
const LISTED: &str = "a+memo://hello";
const OLDER: &str = "a://memo://hello";

fn http(era: Era) -> FixtureBuilder {
    Fixture::builder().newsy().era(era)
}

/// Every backend over HTTP.
fn backends() -> Vec<(&'static str, FixtureBuilder)> {
    vec![
        ("modern", http(Era::Modern)),
        ("legacy", http(Era::Legacy)),
        ("stateless", http(Era::Legacy).sessions(false)),
        ("sse answers", http(Era::Legacy).answer_as_sse()),
        ("2025-03-26", http(Era::Legacy).versions(&["2025-03-26"])),
        ("http+sse", Fixture::builder().newsy().http_sse()),
    ]
}

async fn router(file: &str) -> Router {
    let router = Router::start(file).await;
    router.until_ready().await;
    router
}

async fn watch(client: &ModernClient, uris: &[&str]) -> (SseReader, Value) {
    let filter = json!({ "resourceSubscriptions": uris });
    let stream = client
        .open("subscriptions/listen", json!({ "notifications": filter }))
        .await;
    let mut events = stream.events;
    let acknowledged = events.message().await;
    let method = "notifications/subscriptions/acknowledged";
    assert_eq!(acknowledged["method"], method, "{acknowledged}");
    (events, acknowledged["params"]["notifications"].clone())
}

async fn subscribe(session: &LegacySession, uri: &str) -> Value {
    session
        .request("resources/subscribe", json!({ "uri": uri }))
        .await
}

/// The URI of the next update; other news are passed over.
async fn updated(events: &mut SseReader) -> String {
    loop {
        let message = events.message().await;
        if message["method"] == "notifications/resources/updated" {
            return message["params"]["uri"].as_str().expect("a URI").to_owned();
        }
    }
}

async fn touch(client: &ModernClient, uri: &str) {
    let answer = client.call("a.touch", json!({ "uri": uri })).await;
    assert_eq!(text(&answer), "touched", "{answer}");
}

/// What every pair must do, whatever the backend is.
async fn all_hear_what_they_asked_for(router: &Router, kind: &str) {
    let modern = router.modern();
    let session = router.legacy_session(L4).await;
    let Streaming { mut events, .. } = session.stream().await;
    let resources = &session.initialized["capabilities"]["resources"];
    assert_eq!(resources["subscribe"], true, "{kind}");
    let answer = subscribe(&session, OLDER).await;
    assert_eq!(answer["result"], json!({}), "{kind}: {answer}");
    let (mut listed, honoured) = watch(&modern, &[LISTED, "nobody+x:y"]).await;
    assert_eq!(
        honoured,
        json!({ "resourceSubscriptions": [LISTED] }),
        "{kind}"
    );
    let (mut other, _) = watch(&modern, &["a+memo://note/1"]).await;

    touch(&modern, HELLO).await;
    assert_eq!(updated(&mut events).await, OLDER, "{kind}");
    assert_eq!(updated(&mut listed).await, LISTED, "{kind}");

    // Only those who still want it: the session has left, the others' next update is another one.
    let gone = json!({ "uri": LISTED });
    let answer = session.request("resources/unsubscribe", gone).await;
    assert_eq!(answer["result"], json!({}), "{kind}: {answer}");
    assert_eq!(
        subscribe(&session, "a+memo://note/1").await["result"],
        json!({})
    );
    touch(&modern, HELLO).await;
    assert_eq!(updated(&mut listed).await, LISTED, "{kind}");
    touch(&modern, "memo://note/1").await;
    assert_eq!(updated(&mut events).await, "a+memo://note/1", "{kind}");
    assert_eq!(updated(&mut other).await, "a+memo://note/1", "{kind}");
}

#[tokio::test]
async fn r24_r25_http_backends_tell_everybody_who_watches_and_nobody_else() {
    for (kind, backend) in backends() {
        let backend = backend.spawn().await;
        let router = router(&config([("a", backend.url())])).await;
        all_hear_what_they_asked_for(&router, kind).await;
        if kind == "modern" {
            continue;
        }
        // One subscription each, however many clients; none after the last.
        let log = backend.log();
        let of = |uri: &str| {
            let all = log.of("resources/subscribe");
            all.iter()
                .filter(|r| r.name.as_deref() == Some(uri))
                .count()
        };
        assert_eq!((of(HELLO), of("memo://note/1")), (1, 1), "{kind}");
        until("everybody's subscriptions end with them", async || {
            // The session still has one.
            backend.subscribed() == ["memo://note/1"]
        })
        .await;
    }
}

#[tokio::test]
async fn r24_r25_children_tell_everybody_who_watches_and_nobody_else() {
    for era in ["modern", "legacy"] {
        let log = ChildLog::new();
        let path = log.path();
        let args = ["--newsy", "--era", era, "--log-file", &path];
        let file = format!("backends:\n{}", child_entry("a", &args));
        all_hear_what_they_asked_for(&router(&file).await, era).await;
    }
}

#[tokio::test]
async fn r24_a_session_s_subscriptions_end_with_it() {
    let backend = http(Era::Legacy).spawn().await;
    let router = router(&config([("a", backend.url())])).await;
    let session = router.legacy_session(L4).await;
    subscribe(&session, LISTED).await;
    assert_eq!(backend.subscribed(), [HELLO]);
    session.close().await;
    until("nothing is watched", async || {
        backend.subscribed().is_empty()
    })
    .await;
}

#[tokio::test]
async fn what_a_backend_may_have_told_in_vain_is_told_again() {
    for era in [Era::Modern, Era::Legacy] {
        let backend = http(era).spawn().await;
        let router = router(&config([("a", backend.url())])).await;
        let modern = router.modern();
        let (mut events, _) = watch(&modern, &[LISTED]).await;
        touch(&modern, HELLO).await;
        assert_eq!(updated(&mut events).await, LISTED);
        // As a server that is started again: it knows nobody.
        backend.forget_sessions();
        backend.cut_connections();
        assert_eq!(updated(&mut events).await, LISTED, "{era:?}");
        if era == Era::Legacy {
            until("subscribed again", async || backend.subscribed() == [HELLO]).await;
        }
        // From now on it works as before.
        until("an update arrives", async || {
            touch(&modern, HELLO).await;
            let next = tokio::time::timeout(std::time::Duration::from_secs(1), events.message());
            next.await.is_ok()
        })
        .await;
    }
}

#[tokio::test]
async fn what_a_backend_refuses_is_refused() {
    let backend = http(Era::Legacy)
        .resource("memo://x/private", "p")
        .spawn()
        .await;
    let router = router(&config([("a", backend.url())])).await;
    let session = router.legacy_session(L4).await;
    for nobody_tells_of in ["a+memo://x/private", "b+memo://x"] {
        let answer = subscribe(&session, nobody_tells_of).await;
        assert_eq!(answer["error"]["code"], -32002, "{answer}");
        assert_eq!(answer["error"]["data"]["uri"], nobody_tells_of, "{answer}");
    }
    let (_events, honoured) = watch(&router.modern(), &["a+memo://x/private"]).await;
    assert_eq!(honoured, json!({}));
}

#[tokio::test]
async fn r24_clients_on_a_pipe_watch_resources_in_both_eras() {
    for era in [Era::Modern, Era::Legacy] {
        let backend = http(era).spawn().await;
        let mut router = StdioRouter::start(&config([("a", backend.url())]));
        router.initialize(L4).await;
        router.request("tools/list", json!({})).await;
        let answer = router
            .request("resources/subscribe", json!({ "uri": OLDER }))
            .await;
        assert_eq!(answer["result"], json!({}), "{answer}");
        router
            .post(
                "tools/call",
                json!({"name": "a.touch", "arguments": {"uri": HELLO}}),
            )
            .await;
        loop {
            let message = router.message().await;
            if message["method"] == "notifications/resources/updated" {
                assert_eq!(message["params"], json!({ "uri": OLDER }));
                break;
            }
        }
    }
}
