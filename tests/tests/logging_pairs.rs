//! Log messages: who hears them, and at which level backends run for that.

use mcp_router_tests::fixture::{Era, Fixture, FixtureBuilder};
use mcp_router_tests::harness::{
    ChildLog, LegacySession, ModernClient, Router, Streaming, child_entry, config, text, until,
};
use serde_json::{Value, json};

const L4: &str = "2025-11-25";
const LEVEL: &str = "io.modelcontextprotocol/logLevel";

fn http(era: Era) -> FixtureBuilder {
    Fixture::builder().newsy().era(era)
}

async fn router(file: &str) -> Router {
    let router = Router::start(file).await;
    router.until_ready().await;
    router
}

/// The texts logged in one call, until its answer.
async fn logged(mut stream: Streaming, id: &Value) -> Vec<String> {
    if !stream.headers["content-type"]
        .to_str()
        .is_ok_and(|t| t.starts_with("text/event-stream"))
    {
        let answer = stream.events.whole().await;
        assert_eq!(text(&answer), "said", "{answer}");
        return Vec::new();
    }
    let mut seen = stream.events.until_response(id).await;
    let answer = seen.pop().expect("the answer");
    assert_eq!(text(&answer), "said", "{answer}");
    seen.retain(|message| message["method"] == "notifications/message");
    let texts = seen
        .iter()
        .map(|m| m["params"]["data"].as_str().unwrap_or_default());
    texts.map(str::to_owned).collect()
}

fn chatter(level: &str) -> Value {
    json!({"name": "a.chatter", "arguments": {"level": level, "text": level}})
}

/// What a session hears of a call that logs at this level.
async fn says(session: &LegacySession, id: u64, level: &str) -> Vec<String> {
    let stream = session.open_request("tools/call", chatter(level)).await;
    logged(stream, &json!(id)).await
}

/// What a stateless client hears that wants this level.
async fn asks(client: &ModernClient, id: u64, wanted: Option<&str>, level: &str) -> Vec<String> {
    let mut params = chatter(level);
    if let Some(wanted) = wanted {
        params["_meta"][LEVEL] = wanted.into();
    }
    logged(client.open("tools/call", params).await, &json!(id)).await
}

#[tokio::test]
async fn a_session_s_level_holds_at_backends_of_both_eras() {
    for (kind, backend) in [
        ("modern", http(Era::Modern)),
        ("legacy", http(Era::Legacy)),
        ("stateless", http(Era::Legacy).sessions(false)),
    ] {
        let backend = backend.answer_as_sse().spawn().await;
        let router = router(&config([("a", backend.url())])).await;
        let session = router.legacy_session(L4).await;
        assert!(
            session.initialized["capabilities"]["logging"].is_object(),
            "{kind}"
        );
        // None set: what servers send by themselves.
        assert_eq!(says(&session, 1, "info").await, ["info"], "{kind}");
        assert!(says(&session, 2, "debug").await.is_empty(), "{kind}");

        let set = session
            .request("logging/setLevel", json!({"level": "debug"}))
            .await;
        assert_eq!(set["result"], json!({}), "{kind}");
        assert_eq!(says(&session, 4, "debug").await, ["debug"], "{kind}");
        session
            .request("logging/setLevel", json!({"level": "error"}))
            .await;
        assert!(says(&session, 6, "warning").await.is_empty(), "{kind}");
        assert_eq!(says(&session, 7, "error").await, ["error"], "{kind}");

        if kind == "legacy" {
            continue; // this backend has one level for all its sessions
        }
        // Another one is not bound to that.
        let other = router.legacy_session(L4).await;
        assert_eq!(says(&other, 1, "warning").await, ["warning"], "{kind}");
    }
}

#[tokio::test]
async fn r28_stateless_clients_get_what_they_ask_for_from_backends_of_both_eras() {
    for (kind, backend) in [
        ("modern", http(Era::Modern)),
        ("legacy", http(Era::Legacy)),
        ("stateless", http(Era::Legacy).sessions(false)),
    ] {
        let backend = backend.answer_as_sse().spawn().await;
        let router = router(&config([("a", backend.url())])).await;
        let client = router.modern();
        assert!(asks(&client, 1, None, "error").await.is_empty(), "{kind}");
        assert_eq!(
            asks(&client, 2, Some("debug"), "debug").await,
            ["debug"],
            "{kind}"
        );
        // The backend is verbose now; this client is not.
        assert!(
            asks(&client, 3, Some("error"), "info").await.is_empty(),
            "{kind}"
        );
        assert!(asks(&client, 4, None, "error").await.is_empty(), "{kind}");
    }
}

/// The levels that a backend was told so far.
fn told(all: &[Value]) -> Vec<String> {
    let levels = all.iter().map(|params| params["level"].as_str());
    levels.map(|l| l.expect("a level").to_owned()).collect()
}

/// Two clients at one backend that they share; `told` says what it was told so far.
async fn goes_down_with_who_wanted_more(router: &Router, told: impl Fn() -> Vec<String>) {
    let (loud, quiet) = (
        router.legacy_session(L4).await,
        router.legacy_session(L4).await,
    );
    for (session, level) in [(&quiet, "error"), (&loud, "debug")] {
        session
            .request("logging/setLevel", json!({ "level": level }))
            .await;
    }
    // Calls of both, and of a third that is not asked what it wants: nothing new to tell.
    for _ in 0..3 {
        for session in [&loud, &quiet] {
            session
                .call("a.chatter", json!({"level": "info", "text": "x"}))
                .await;
        }
        router.modern().call("a.echo", json!({})).await;
    }
    assert_eq!(told(), ["error", "debug"]);
    loud.request("logging/setLevel", json!({"level": "warning"}))
        .await;
    until("the level went down", async || told().len() == 3).await;
    assert_eq!(told()[2], "warning");
    loud.close().await;
    until("the level went down again", async || told().len() == 4).await;
    quiet
        .call("a.chatter", json!({"level": "info", "text": "x"}))
        .await;
    assert_eq!(told(), ["error", "debug", "warning", "error"]);
}

#[tokio::test]
async fn a_shared_backend_s_level_goes_down_when_those_who_wanted_more_do_or_leave() {
    let backend = http(Era::Legacy).sessions(false).spawn().await;
    let shared = router(&config([("a", backend.url())])).await;
    let log = backend.log();
    let params = || {
        let all = log.of("logging/setLevel");
        all.iter().map(|r| r.params()).collect::<Vec<_>>()
    };
    goes_down_with_who_wanted_more(&shared, || told(&params())).await;

    let child = ChildLog::new();
    let path = child.path();
    let args = ["--newsy", "--era", "legacy", "--log-file", &path];
    let file = format!("backends:\n{}", child_entry("a", &args));
    let shared = router(&file).await;
    let params = || {
        let all = child.received("logging/setLevel");
        all.iter().map(|m| m["params"].clone()).collect::<Vec<_>>()
    };
    goes_down_with_who_wanted_more(&shared, || told(&params())).await;
}

#[tokio::test]
async fn a_new_upstream_session_gets_the_level_too() {
    let backend = http(Era::Legacy).answer_as_sse().spawn().await;
    let router = router(&config([("a", backend.url())])).await;
    let session = router.legacy_session(L4).await;
    session
        .request("logging/setLevel", json!({"level": "debug"}))
        .await;
    assert_eq!(says(&session, 2, "debug").await, ["debug"]);
    backend.forget_sessions();
    // Whichever call finds out is answered; the next one is heard as before.
    says(&session, 3, "debug").await;
    assert_eq!(says(&session, 4, "debug").await, ["debug"]);
}

#[tokio::test]
async fn r28_logs_outside_calls_reach_legacy_sessions_and_no_listen_stream() {
    let sse = Fixture::builder().newsy().http_sse().spawn().await;
    let child = child_entry("b", &["--newsy", "--era", "legacy"]);
    let file = format!("{}{child}", config([("a", sse.url())]));
    let router = router(&file).await;
    let session = router.legacy_session(L4).await;
    let Streaming { mut events, .. } = session.stream().await;
    let mut listening = router.modern().listen().await;
    let first = listening.events.message().await;
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");

    // On a pipe nobody can tell whose call it is about.
    let said = json!({"name": "b.chatter", "arguments": {"level": "warning", "text": "from b"}});
    router.modern().request("tools/call", said).await;
    let heard = |message: Value| message["params"]["data"].as_str().map(str::to_owned);
    assert_eq!(heard(events.message().await).as_deref(), Some("from b"));
    sse.announce_log("debug", "too chatty");
    sse.announce_log("error", "from a");
    assert_eq!(heard(events.message().await).as_deref(), Some("from a"));

    // The listen stream brings nothing but list changes: the next message is one.
    sse.add_tool("late");
    let next = listening.events.message().await;
    assert_eq!(next["method"], "notifications/tools/list_changed", "{next}");
}
