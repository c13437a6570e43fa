//! Clients that take interim results, in front of backends that ask in the middle of a call.

use mcp_router_protocol::{Method, RawJson};
use serde_json::{Value, json};
use tokio::sync::oneshot::error::TryRecvError;

use super::*;

async fn interim(answer: JoinHandle<Answer>) -> Value {
    let (outcome, _) = finished(answer.await.unwrap()).await;
    interim_of(outcome)
}

/// A call that waits: what the client got, and the backend's side.
async fn parked(scene: &mut Scene) -> (Value, Feed, oneshot::Receiver<Reply>) {
    let answer = scene.tool(&json!({}));
    let feed = scene.call().await.streamed();
    let reply = feed.ask(Method::Elicit, form("who"));
    (interim(answer).await, feed, reply)
}

fn answered(interim: &Value, responses: Value) -> Value {
    json!({"requestState": interim["requestState"], "inputResponses": responses})
}

#[tokio::test(start_paused = true)]
async fn r33_a_modern_client_brings_its_answer_to_the_call_that_waits_for_it() {
    let mut scene = Scene::modern();
    let answer = scene.tool(&json!({}));
    let feed = scene.call().await.streamed();
    feed.notify(Method::Progress);
    let reply = feed.ask(Method::Elicit, form("who"));
    let (outcome, seen) = finished(answer.await.unwrap()).await;
    let first = interim_of(outcome);
    assert_eq!(seen, [Method::Progress]);
    let request = json!({"method": "elicitation/create", "params": form("who")});
    assert_eq!(first["inputRequests"], json!({"elicitation-1": request}));
    assert_eq!(first["resultType"], "input_required");

    let next = scene.tool(&answered(&first, json!({"elicitation-1": accept()})));
    let next = tokio::spawn(async { finished(next.await.unwrap()).await });
    assert_eq!(value(&reply.await.unwrap().unwrap()), accept());
    feed.notify(Method::LogMessage);
    feed.end();
    let (outcome, seen) = next.await.unwrap();
    assert!(is_complete(&outcome));
    assert_eq!(
        seen,
        [Method::LogMessage],
        "what comes after the answer is heard again"
    );
    assert!(scene.calls.try_recv().is_err(), "the tool ran once");
    assert_eq!(scene.router.hub.bridge.parks.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn r33_requests_at_the_same_time_are_one_round_and_missing_answers_are_asked_for_again() {
    let mut scene = Scene::modern();
    let answer = scene.tool(&json!({}));
    let feed = scene.call().await.streamed();
    let who = feed.ask(Method::Elicit, form("who"));
    let mut roots = feed.ask(Method::RootsList, json!({}));
    let first = interim(answer).await;
    let keys = |interim: &Value| -> Vec<String> {
        interim["inputRequests"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    };
    assert_eq!(keys(&first), ["elicitation-1", "roots-2"]);

    // Something else is wanted meanwhile, and one answer is not there.
    let model = feed.ask(
        Method::CreateMessage,
        json!({"messages": [], "maxTokens": 1}),
    );
    tokio::task::yield_now().await;
    let unknown = json!({"elicitation-1": accept(), "elicitation-9": accept()});
    let second = interim(scene.tool(&answered(&first, unknown))).await;
    assert_eq!(value(&who.await.unwrap().unwrap()), accept());
    assert_eq!(roots.try_recv().unwrap_err(), TryRecvError::Empty);
    assert_eq!(keys(&second), ["roots-2", "sampling-3"]);

    let rest = json!({"roots-2": {"roots": []}, "sampling-3": {"model": "m"}});
    let last = scene.tool(&answered(&second, rest));
    let last = tokio::spawn(async { finished(last.await.unwrap()).await.0 });
    assert_eq!(value(&roots.await.unwrap().unwrap()), json!({"roots": []}));
    assert_eq!(value(&model.await.unwrap().unwrap()), json!({"model": "m"}));
    feed.end();
    assert!(is_complete(&last.await.unwrap()));
    assert!(scene.calls.try_recv().is_err(), "the tool ran once");
}

#[tokio::test(start_paused = true)]
async fn r33_every_further_request_is_a_further_round() {
    let mut scene = Scene::modern();
    let (mut round, feed, mut reply) = parked(&mut scene).await;
    for number in 2..12 {
        let key = format!("elicitation-{}", number - 1);
        let next = scene.tool(&answered(
            &round,
            json!({ key: {"action": "accept", "n": number} }),
        ));
        let next = tokio::spawn(async { finished(next.await.unwrap()).await.0 });
        let got = reply.await.unwrap().unwrap();
        assert_eq!(value(&got)["n"], number);
        reply = feed.ask(Method::Elicit, form("more"));
        round = interim_of(next.await.unwrap());
    }
    assert!(scene.calls.try_recv().is_err(), "the tool ran once");
}

#[tokio::test(start_paused = true)]
async fn r33_a_round_that_is_sent_again_gets_the_same_answer_for_a_minute() {
    let mut scene = Scene::modern();
    let (first, feed, reply) = parked(&mut scene).await;
    let round = answered(&first, json!({"elicitation-1": accept()}));
    let once = scene.tool(&round);
    let once = tokio::spawn(async { finished(once.await.unwrap()).await.0 });
    reply.await.unwrap().unwrap();
    // Sent again before the answer is there, and after.
    let twice = scene.tool(&round);
    tokio::task::yield_now().await;
    feed.end();
    assert!(is_complete(&once.await.unwrap()));
    assert!(is_complete(&outcome_of(twice.await.unwrap().unwrap())));
    tokio::time::sleep(Duration::from_secs(59)).await;
    let thrice = scene.tool(&round).await.unwrap().unwrap();
    assert!(is_complete(&outcome_of(thrice)));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let late = scene.tool(&round).await.unwrap().unwrap();
    assert_eq!(
        error_of(outcome_of(late)),
        (-32603, json!({"reason": "state_lost"}))
    );
    assert!(scene.calls.try_recv().is_err(), "the tool ran once");
}

#[tokio::test(start_paused = true)]
async fn r33_what_happens_while_the_client_is_away_is_dropped_or_waits() {
    let mut scene = Scene::modern();
    let (first, feed, _reply) = parked(&mut scene).await;
    use mcp_router_observe::dropped::{Reason, total};
    let before = total(Reason::CallParked);
    feed.notify(Method::Progress);
    feed.end();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(total(Reason::CallParked) > before);
    let next = scene
        .tool(&answered(&first, json!({})))
        .await
        .unwrap()
        .unwrap();
    assert!(
        is_complete(&outcome_of(next)),
        "it went on without the answer"
    );
}

#[tokio::test(start_paused = true)]
async fn r34_r37_nobody_else_gets_at_a_call_that_waits_and_trying_does_it_no_harm() {
    let mut scene = Scene::modern();
    let (first, feed, reply) = parked(&mut scene).await;
    let good = answered(&first, json!({"elicitation-1": accept()}));
    let bob = Principal::Named("bob".into());
    let foreign = scene.send_as(&bob, Method::ToolsCall, &tool(&good));
    let (code, _) = error_of(outcome_of(foreign.await.unwrap().unwrap()));
    assert_eq!(code, -32602);
    let spoiled = answered(&first, json!(["elicitation-1"]));
    let (code, _) = error_of(outcome_of(scene.tool(&spoiled).await.unwrap().unwrap()));
    assert_eq!(code, -32602);
    let own = scene.tool(&good);
    let own = tokio::spawn(async { finished(own.await.unwrap()).await.0 });
    reply.await.unwrap().unwrap();
    feed.end();
    assert!(is_complete(&own.await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn r35_a_modern_client_is_not_asked_what_it_did_not_declare_and_the_call_ends() {
    let mut scene = Scene::modern().declaring(json!({"elicitation": {"form": {}}}));
    let answer = scene.tool(&json!({}));
    let feed = scene.call().await.streamed();
    let url = json!({"mode": "url", "url": "https://a.example/", "message": "go"});
    let (form, url) = (
        feed.ask(Method::Elicit, form("who")),
        feed.ask(Method::Elicit, url),
    );
    let (outcome, _) = finished(answer.await.unwrap()).await;
    let required = json!({"requiredCapabilities": {"elicitation": {"url": {}}}});
    assert_eq!(error_of(outcome), (-32021, required));
    assert!(
        form.await.is_err() && url.await.is_err(),
        "dropped unanswered"
    );
    assert!(!feed.is_open(), "cancelled upstream");
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_asks_and_ends_at_once_needs_no_answer() {
    let mut scene = Scene::modern();
    let answer = scene.tool(&json!({}));
    let feed = scene.call().await.streamed();
    let _reply = feed.ask(Method::Elicit, form("who"));
    feed.notify(Method::Progress);
    feed.end();
    let (outcome, seen) = finished(answer.await.unwrap()).await;
    assert!(is_complete(&outcome));
    assert_eq!(seen, [Method::Progress]);
}

#[tokio::test(start_paused = true)]
async fn an_embedder_sees_what_its_context_says_that_it_can_take() {
    let mut scene = Scene::modern();
    let (router, context) = (scene.router.clone(), scene.context.clone());
    let asking = tokio::spawn(async move {
        let arguments = json!({});
        router.call_tool(&context, "a.t", &arguments).await
    });
    let feed = scene.call().await.streamed();
    feed.ask(Method::Elicit, form("who"));
    let error = asking.await.unwrap().unwrap_err();
    let crate::AskError::NeedsInput(what) = error else {
        panic!("{error:?}")
    };
    assert!(RawJson::get(&what, "inputRequests").is_some());
}
