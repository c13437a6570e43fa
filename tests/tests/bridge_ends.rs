//! What becomes of calls whose client does not come back.

use std::time::{Duration, Instant};

use mcp_router_tests::fixture::{Era, Fixture};
use mcp_router_tests::harness::{ModernClient, Scene, again, everything};
use serde_json::{Value, json};

async fn scene(limits: &str) -> Scene {
    let backend = Fixture::builder().era(Era::Legacy).asking();
    Scene::with(&format!("server: {{ limits: {{ {limits} }} }}"), backend).await
}

fn client(scene: &Scene) -> ModernClient {
    ModernClient::with_capabilities(scene.router().addr(), everything())
}

fn call(tool: &str, nonce: &str) -> Value {
    json!({"name": format!("a.{tool}"), "arguments": {"nonce": nonce}})
}

/// What the backend got for an answer to its request.
fn answers(scene: &Scene) -> Vec<Value> {
    let responses = scene.backend().log().of("response");
    responses
        .iter()
        .map(mcp_router_tests::fixture::Received::json)
        .collect()
}

#[tokio::test]
async fn r36_a_call_that_waits_too_long_is_told_so_and_cancelled_and_makes_room() {
    let scene = scene("parked_call_seconds: 2, max_parked_calls: 1").await;
    let (client, log) = (client(&scene), scene.backend().log());
    let start = Instant::now();
    let params = call("ask_elicit", "n");
    let first = client.request("tools/call", params.clone()).await["result"].take();
    assert_eq!(first["resultType"], "input_required", "{first}");
    // There is room for one.
    let second = client.request("tools/call", call("ask_roots", "m")).await;
    let failure = &second["result"]["_meta"]["mcp-router/failure"];
    assert_eq!(
        (&failure["reason"], &failure["sent"]),
        (&json!("overloaded"), &json!("unknown"))
    );
    log.wait("the answer that nobody gives", |log| {
        let answers = log.of("response");
        answers
            .iter()
            .any(|a| a.json()["result"]["action"] == "cancel")
    })
    .await;
    assert!(start.elapsed() >= Duration::from_secs(2));
    let late = client.post("tools/call", again(&params, &first)).await;
    // By its own clock the state has expired, or the call is gone by then.
    assert!(
        matches!(late.code(), Some(-32602 | -32603)),
        "{:?}",
        late.json()
    );
    let talk = client.talk("a.ask_elicit", json!({"nonce": "again"})).await;
    assert_eq!(talk.says()["executions"], 1, "{}", talk.response);
}

#[tokio::test]
async fn r36_a_backend_that_goes_on_after_that_is_cancelled() {
    let scene = scene("parked_call_seconds: 1").await;
    let (client, log) = (client(&scene), scene.backend().log());
    let first = client
        .request("tools/call", call("ask_then_sleep", "n"))
        .await["result"]
        .take();
    assert_eq!(first["resultType"], "input_required", "{first}");
    log.wait("the cancellation", |log| {
        log.cancelled() + log.abandoned() == 1
    })
    .await;
    let refused = answers(&scene);
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0]["result"]["action"], "cancel");
    scene.works().await;
}

#[tokio::test]
async fn r38_a_stateless_client_that_leaves_in_a_later_round_cancels_the_call() {
    let scene = scene("").await;
    let (client, log) = (client(&scene), scene.backend().log());
    let params = call("ask_then_sleep", "n");
    let first = client.request("tools/call", params.clone()).await["result"].take();
    let request = client.prepare("tools/call", again(&params, &first));
    let leaving = tokio::time::timeout(Duration::from_millis(300), client.send(request));
    assert!(leaving.await.is_err(), "the tool takes its time");
    log.wait("the cancellation", |log| {
        log.cancelled() + log.abandoned() == 1
    })
    .await;
}

#[tokio::test]
async fn the_end_of_the_router_ends_calls_that_wait() {
    let backend = Fixture::builder().era(Era::Legacy).asking();
    let backend = backend.spawn().await;
    let file = mcp_router_tests::harness::config([("a", backend.url())]);
    let mut router = mcp_router_tests::harness::Router::start(&file).await;
    router.until_ready().await;
    let client = ModernClient::with_capabilities(router.addr(), everything());
    let first = client.request("tools/call", call("ask_elicit", "n")).await["result"].take();
    assert_eq!(first["resultType"], "input_required", "{first}");
    let start = Instant::now();
    router.signal("TERM");
    let status = router.wait(Duration::from_secs(10)).await;
    assert!(status.success(), "{status}");
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "a waiting call holds nothing up"
    );
    let log = backend.log();
    log.wait("the end of the call", |log| {
        log.cancelled() + log.abandoned() > 0 || log.count("response") > 0
    })
    .await;
}
