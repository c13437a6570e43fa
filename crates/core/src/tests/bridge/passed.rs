//! Interim results between peers that both have them, and what clients do with their state.

use mcp_router_protocol::{Method, RawJson};
use mcp_router_service::{Event, Outcome, Reason};
use serde_json::{Value, json};

use super::*;

const STATE: &str = r#""\u0041\/\ud83d\ude00 secret""#;

fn interim() -> Outcome {
    let request = json!({"method": "elicitation/create", "params": form("who")});
    let text = format!(
        r#"{{"resultType":"input_required","inputRequests":{{"k":{request}}},"requestState":{STATE},"x":1.00e0}}"#
    );
    Outcome::InputRequired(RawJson::parse(text.into()).unwrap().into())
}

/// The members of the next round.
fn answered(interim: &Value) -> Value {
    json!({"requestState": interim["requestState"], "inputResponses": {"k": accept()}})
}

#[tokio::test(start_paused = true)]
async fn r32_a_modern_backend_gets_its_own_state_back_byte_for_byte_where_it_gave_it() {
    let mut scene = Scene::modern();
    let answer = scene.tool(&json!({}));
    scene.call().await.with(interim());
    let Outcome::InputRequired(result) = outcome_of(answer.await.unwrap().unwrap()) else {
        panic!("an interim result")
    };
    let text = result.result.as_str().to_owned();
    assert!(
        text.contains(r#""x":1.00e0"#),
        "the rest stays as it was: {text}"
    );
    assert!(!text.contains("secret"), "the state is not readable");
    let next = json!({
        "requestState": result.result.get_str("requestState"),
        "inputResponses": {"k": accept()},
    });
    let answer = scene.tool(&next);
    let round = scene.call().await;
    assert_eq!(
        round.request.params.request_state().unwrap().as_str(),
        STATE
    );
    assert_eq!(round.params()["inputResponses"], json!({"k": accept()}));
    assert_eq!(
        round.request.context.pin.as_ref().unwrap().backend.as_str(),
        "a"
    );
    round.done();
    assert!(is_complete(&outcome_of(answer.await.unwrap().unwrap())));
}

#[tokio::test(start_paused = true)]
async fn r32_a_state_that_was_not_there_is_taken_away_again() {
    let mut scene = Scene::modern();
    let answer = scene.tool(&json!({}));
    let wants = json!({"k": {"method": "roots/list"}});
    scene.call().await.interim(json!({"inputRequests": wants}));
    let first = interim_of(outcome_of(answer.await.unwrap().unwrap()));
    let _answer = scene.tool(&answered(&first));
    let round = scene.call().await;
    assert!(round.request.params.request_state().is_none());
    assert!(round.request.params.input_responses().is_some());
}

#[tokio::test(start_paused = true)]
async fn r32_an_interim_result_at_the_end_of_a_stream_is_sealed_too() {
    let mut scene = Scene::modern();
    let answer = scene.tool(&json!({}));
    let feed = scene.call().await.streamed();
    feed.notify(Method::Progress);
    feed.events.send(Ok(Event::Outcome(interim()))).unwrap();
    let (outcome, seen) = finished(answer.await.unwrap()).await;
    assert_eq!(seen, [Method::Progress]);
    assert!(
        !interim_of(outcome)["requestState"]
            .as_str()
            .unwrap()
            .contains("secret")
    );
}

#[tokio::test(start_paused = true)]
async fn r34_a_state_is_good_for_its_own_call_and_caller_alone() {
    let mut scene = Scene::modern();
    let ann = Principal::Named("ann".into());
    let answer = scene.send_as(&ann, Method::ToolsCall, &tool(&json!({})));
    scene.call().await.with(interim());
    let first = interim_of(outcome_of(answer.await.unwrap().unwrap()));
    let good = tool(&answered(&first));
    let altered = |change: &dyn Fn(&mut Value)| {
        let mut params = good.clone();
        change(&mut params);
        params
    };
    let token = first["requestState"].as_str().unwrap().to_owned();
    let bob = Principal::Named("bob".into());
    for (who, method, params) in [
        (&bob, Method::ToolsCall, good.clone()),
        (&Principal::Anonymous, Method::ToolsCall, good.clone()),
        (&ann, Method::PromptsGet, good.clone()),
        (
            &ann,
            Method::ToolsCall,
            altered(&|p| p["arguments"]["a"] = json!("y")),
        ),
        (
            &ann,
            Method::ToolsCall,
            altered(&|p| p["name"] = json!("a.u")),
        ),
        (&ann, Method::ToolsCall, altered(&|p| p["more"] = json!(1))),
        (
            &ann,
            Method::ToolsCall,
            altered(&|p| p["requestState"] = json!(7)),
        ),
        (
            &ann,
            Method::ToolsCall,
            altered(&|p| p["requestState"] = json!("")),
        ),
        (
            &ann,
            Method::ToolsCall,
            altered(&|p| p["requestState"] = json!(token[1..])),
        ),
        (
            &ann,
            Method::ToolsCall,
            altered(&|p| p["requestState"] = json!(format!("{token}A"))),
        ),
        (
            &ann,
            Method::ToolsCall,
            altered(&|p| p["inputResponses"] = json!([])),
        ),
    ] {
        let answer = scene.send_as(who, method, &params).await.unwrap();
        let (code, _) = error_of(outcome_of(answer.unwrap()));
        assert_eq!(code, -32602, "{params}");
    }
    // The call itself written anew, by a client with another order of members, and other `_meta`.
    let again = json!({
        "inputResponses": {"k": accept()}, "requestState": token, "_meta": {"x": 1},
        "arguments": {"a": "x", "b": [1, {"c": 2}]}, "name": "a.t",
    });
    let answer = scene.send_as(&ann, Method::ToolsCall, &again);
    scene.call().await.done();
    assert!(is_complete(&outcome_of(answer.await.unwrap().unwrap())));
    assert!(scene.calls.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn r34_a_state_of_another_router_is_refused() {
    let mut scene = Scene::modern();
    let answer = scene.tool(&json!({}));
    scene.call().await.with(interim());
    let first = interim_of(outcome_of(answer.await.unwrap().unwrap()));
    let other = Scene::modern();
    let answer = other.tool(&answered(&first)).await.unwrap().unwrap();
    assert_eq!(error_of(outcome_of(answer)).0, -32602);
}

#[tokio::test(start_paused = true)]
async fn r35_a_modern_client_gets_the_error_that_names_what_it_did_not_declare() {
    let mut scene = Scene::modern().declaring(json!({"elicitation": {"url": {}}}));
    let answer = scene.tool(&json!({}));
    scene.call().await.with(interim());
    let error = error_of(outcome_of(answer.await.unwrap().unwrap()));
    let required = json!({"requiredCapabilities": {"elicitation": {"form": {}}}});
    assert_eq!(error, (-32021, required));
}

#[tokio::test(start_paused = true)]
async fn prompts_and_resources_may_need_input_and_nothing_else() {
    let mut scene = Scene::modern();
    let complete = json!({"ref": {"type": "ref/prompt", "name": "a.t"}, "argument": {}});
    for (method, params, may) in [
        (Method::PromptsGet, json!({"name": "a.t"}), true),
        (Method::ResourcesRead, json!({"uri": "a+x:y"}), true),
        (Method::Complete, complete, false),
    ] {
        let answer = scene.send(method, &params);
        scene.call().await.with(interim());
        match answer.await.unwrap() {
            Ok(answer) => drop(interim_of(outcome_of(answer))),
            Err(error) => {
                assert!(!may);
                assert_eq!(error.reason, Reason::ProtocolError);
                assert_eq!(error.backend.unwrap().as_str(), "a");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_hangs_on_the_clients_answers_is_cached_by_nobody() {
    let mut scene = Scene::modern();
    let read = json!({"uri": "a+x:y"});
    let answer = scene.send(Method::ResourcesRead, &read);
    scene.call().await.with(interim());
    let first = interim_of(outcome_of(answer.await.unwrap().unwrap()));
    let mut next = read.clone();
    next["requestState"] = first["requestState"].clone();
    next["inputResponses"] = json!({"k": accept()});
    let answer = scene.send(Method::ResourcesRead, &next);
    let result = r#"{"contents":[],"ttlMs":60000,"cacheScope":"public"}"#;
    let result = Outcome::Complete(RawJson::from_static(result));
    scene.call().await.with(result);
    let Outcome::Complete(result) = outcome_of(answer.await.unwrap().unwrap()) else {
        panic!("a result")
    };
    assert_eq!(
        result.as_str(),
        r#"{"contents":[],"ttlMs":0,"cacheScope":"private"}"#
    );
}
