//! Backends of 2025-11-25 that answer by the error -32042: visit these URLs first.

use mcp_router_protocol::{ErrorObject, RawJson};
use mcp_router_service::Outcome;
use serde_json::{Value, json};

use super::*;

fn visits_first() -> Outcome {
    let visit =
        json!({"mode": "url", "url": "https://a.example/", "message": "go", "elicitationId": "1"});
    let data = RawJson::of(&json!({"elicitations": [visit, visit]}));
    Outcome::Error(ErrorObject::with_data(-32042, "visit first", Some(&data)))
}

async fn first(scene: &mut Scene) -> Value {
    let answer = scene.tool(&json!({}));
    scene.call().await.with(visits_first());
    interim_of(outcome_of(answer.await.unwrap().unwrap()))
}

#[tokio::test(start_paused = true)]
async fn r30_the_error_becomes_an_interim_result_and_the_call_is_made_afresh() {
    let mut scene = Scene::modern();
    let interim = first(&mut scene).await;
    let params = json!({"mode": "url", "url": "https://a.example/", "message": "go"});
    let visit = json!({"method": "elicitation/create", "params": params});
    let requests = json!({"elicitation-1": visit, "elicitation-2": visit});
    assert_eq!(interim["inputRequests"], requests);
    let yes = json!({"action": "accept"});
    let next = json!({
        "requestState": interim["requestState"],
        "inputResponses": {"elicitation-1": yes, "elicitation-2": yes},
    });
    let answer = scene.tool(&next);
    let call = scene.call().await;
    assert_eq!(call.params()["arguments"], tool(&json!({}))["arguments"]);
    assert!(
        !call.request.params.is_later_round(),
        "nothing of the round is left"
    );
    // Not yet: asked once more.
    call.with(visits_first());
    let again = interim_of(outcome_of(answer.await.unwrap().unwrap()));
    assert_ne!(again["requestState"], interim["requestState"]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_go_there_ends_the_call() {
    let mut scene = Scene::modern();
    let interim = first(&mut scene).await;
    for responses in [
        json!({}),
        json!({"elicitation-1": {"action": "accept"}, "elicitation-2": {"action": "decline"}}),
    ] {
        let next = json!({"requestState": interim["requestState"], "inputResponses": responses});
        let answer = scene.tool(&next).await.unwrap().unwrap();
        let refused = (-32603, json!({"reason": "input_refused"}));
        assert_eq!(error_of(outcome_of(answer)), refused);
    }
    scene.no_call().await;
}

#[tokio::test(start_paused = true)]
async fn r35_a_client_without_urls_is_told_that_it_lacks_them() {
    let mut scene = Scene::modern().declaring(json!({"elicitation": {"form": {}}}));
    let answer = scene.tool(&json!({}));
    scene.call().await.with(visits_first());
    let required = json!({"requiredCapabilities": {"elicitation": {"url": {}}}});
    let error = error_of(outcome_of(answer.await.unwrap().unwrap()));
    assert_eq!(error, (-32021, required));
}

#[tokio::test(start_paused = true)]
async fn r30_a_legacy_client_gets_the_error_as_it_is() {
    let mut scene = Scene::legacy();
    let answer = scene.tool(&json!({}));
    scene.call().await.with(visits_first());
    assert_eq!(
        error_of(outcome_of(answer.await.unwrap().unwrap())).0,
        -32042
    );
}
