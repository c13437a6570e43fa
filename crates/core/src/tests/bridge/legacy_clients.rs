//! Clients that are asked by requests, in front of backends that end calls by interim results.

use std::time::Duration;

use futures::StreamExt;
use mcp_router_protocol::{ErrorObject, Method, RawJson};
use mcp_router_service::{Event, Outcome, Reason};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;

fn wants(requests: Value) -> Value {
    json!({"resultType": "input_required", "inputRequests": requests, "requestState": "s"})
}

fn elicit(message: &str) -> Value {
    json!({"method": "elicitation/create", "params": form(message)})
}

fn visit() -> Value {
    let params = json!({"mode": "url", "url": "https://a.example/", "message": "go"});
    json!({"method": "elicitation/create", "params": params})
}

fn reply(request: ServerRequest, answer: &Value) {
    request.reply.send(Ok(RawJson::of(answer))).unwrap();
}

#[tokio::test(start_paused = true)]
async fn r31_a_legacy_client_is_asked_everything_at_once_and_answers_under_the_same_keys() {
    let mut scene = Scene::legacy();
    let answer = scene.tool(&json!({}));
    let requests = json!({
        "1 \"x\"": elicit("who"),
        "m": {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1}},
        "r": {"method": "roots/list"},
    });
    scene.call().await.interim(wants(requests));
    let mut stream = stream_of(answer.await.unwrap());
    // Answered in another order than asked.
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(asked(&mut stream).await);
    }
    for request in open.into_iter().rev() {
        let method = request.method.to_string();
        reply(request, &json!({ "of": method }));
    }
    let rest = tokio::spawn(async move { stream.collect::<Vec<_>>().await });
    let round = scene.call().await;
    let params = round.params();
    assert_eq!(
        params["inputResponses"]["1 \"x\""],
        json!({"of": "elicitation/create"})
    );
    assert_eq!(
        params["inputResponses"]["m"],
        json!({"of": "sampling/createMessage"})
    );
    assert_eq!(params["inputResponses"]["r"], json!({"of": "roots/list"}));
    assert_eq!(params["arguments"], tool(&json!({}))["arguments"]);
    assert_eq!(
        round.request.context.pin.as_ref().unwrap().backend.as_str(),
        "a"
    );
    round.done();
    let rest = rest.await.unwrap();
    assert!(matches!(&rest[..], [Ok(Event::Outcome(o))] if is_complete(o)));
}

#[tokio::test(start_paused = true)]
async fn r32_the_state_goes_back_byte_for_byte_and_is_taken_away_when_there_is_none() {
    let mut scene = Scene::legacy();
    let answer = scene.tool(&json!({}));
    let state = r#""\u0041\/\ud83d\ude00 é""#;
    let interim = format!(r#"{{"requestState": {state} ,"resultType":"input_required"}}"#);
    let interim = RawJson::parse(interim.into()).unwrap();
    scene
        .call()
        .await
        .with(Outcome::InputRequired(interim.into()));
    let stream = stream_of(answer.await.unwrap());
    let rest = tokio::spawn(async move { stream.collect::<Vec<_>>().await });
    let second = scene.call().await;
    assert_eq!(
        second.request.params.request_state().unwrap().as_str(),
        state
    );
    assert!(second.request.params.input_responses().is_none());
    second.interim(json!({"inputRequests": {"k": visit()}}));
    drop(rest);
}

#[tokio::test(start_paused = true)]
async fn r31_a_state_without_requests_is_sent_again_after_a_while_until_the_deadline() {
    let mut scene = Scene::legacy();
    let answer = scene.tool(&json!({}));
    let start = Instant::now();
    let waiting = json!({"requestState": "s"});
    scene.call().await.interim(waiting.clone());
    let stream = stream_of(answer.await.unwrap());
    let rest = tokio::spawn(async move { stream.collect::<Vec<_>>().await });
    let mut calls = 0;
    while let Ok(Some(call)) =
        tokio::time::timeout(Duration::from_secs(20), scene.calls.recv()).await
    {
        calls += 1;
        call.interim(waiting.clone());
    }
    let rest = rest.await.unwrap();
    assert!(matches!(&rest[..], [Err(e)] if e.reason == Reason::Timeout));
    assert!(start.elapsed() >= Duration::from_secs(60));
    assert!((8..15).contains(&calls), "{calls} calls in a minute");
}

#[tokio::test(start_paused = true)]
async fn r31_a_backend_that_never_has_enough_is_left_after_eight_rounds() {
    let mut scene = Scene::legacy();
    let answer = scene.tool(&json!({}));
    let backend = tokio::spawn(async move {
        while let Some(call) = scene.calls.recv().await {
            call.interim(wants(json!({"k": elicit("more")})));
        }
    });
    let mut stream = stream_of(answer.await.unwrap());
    let mut rounds = 0;
    let outcome = loop {
        match stream.next().await.unwrap().unwrap() {
            Event::ServerRequest(request) => reply(request, &accept()),
            Event::Outcome(outcome) => break outcome,
            Event::Notification { method, .. } => panic!("{method}"),
        }
        rounds += 1;
    };
    let ended = (-32603, json!({"reason": "too_many_rounds"}));
    assert_eq!((rounds, error_of(outcome)), (8, ended));
    backend.abort();
}

#[tokio::test(start_paused = true)]
async fn r31_a_client_that_refuses_ends_the_call() {
    for gone in [false, true] {
        let mut scene = Scene::legacy();
        let answer = scene.tool(&json!({}));
        let call = scene.call().await;
        call.interim(wants(json!({"k": elicit("1"), "l": elicit("2")})));
        let mut stream = stream_of(answer.await.unwrap());
        let first = asked(&mut stream).await;
        let _second = asked(&mut stream).await;
        match gone {
            true => drop(first),
            false => first
                .reply
                .send(Err(ErrorObject::new(-1, "secret")))
                .unwrap(),
        }
        let Some(Ok(Event::Outcome(outcome))) = stream.next().await else {
            panic!("an outcome")
        };
        assert_eq!(
            error_of(outcome),
            (-32603, json!({"reason": "input_refused"}))
        );
        assert!(stream.next().await.is_none());
        scene.no_call().await;
    }
}

#[tokio::test(start_paused = true)]
async fn r35_a_legacy_client_is_never_asked_what_it_did_not_declare_and_is_told_why() {
    let form = json!({"elicitation": {"form": {}}});
    for (declared, request, required) in [
        (json!({}), elicit("1"), json!({"elicitation": {"form": {}}})),
        (form.clone(), visit(), json!({"elicitation": {"url": {}}})),
        (form, json!({"method": "roots/list"}), json!({"roots": {}})),
    ] {
        let mut scene = Scene::legacy().declaring(declared);
        let answer = scene.tool(&json!({}));
        scene.call().await.interim(wants(json!({ "k": request })));
        let (outcome, _) = finished(answer.await.unwrap()).await;
        let Outcome::Error(error) = outcome else {
            panic!()
        };
        let (name, _) = required.as_object().unwrap().iter().next().unwrap();
        assert!(error.message().contains(name), "{}", error.message());
        let data = json!({"reason": "client_capability", "requiredCapabilities": required});
        assert_eq!(
            (error.code(), value(&error.data().unwrap())),
            (-32603, data)
        );
        scene.no_call().await;
    }
}

#[tokio::test(start_paused = true)]
async fn r35_the_modern_error_for_a_missing_capability_is_put_in_words_for_a_legacy_client() {
    let mut scene = Scene::legacy();
    let answer = scene.tool(&json!({}));
    let data = RawJson::from_static(r#"{"requiredCapabilities":{"elicitation":{"url":{}}}}"#);
    let error = ErrorObject::with_data(-32021, "missing", Some(&data));
    scene.call().await.with(Outcome::Error(error));
    let Outcome::Error(error) = outcome_of(answer.await.unwrap().unwrap()) else {
        panic!("an error")
    };
    assert_eq!(error.code(), -32603);
    assert!(
        error.message().ends_with(": elicitation.url"),
        "{}",
        error.message()
    );
}

#[tokio::test(start_paused = true)]
async fn r31_a_url_that_was_agreed_to_is_asked_for_once_however_often_the_backend_looks() {
    let mut scene = Scene::legacy();
    let answer = scene.tool(&json!({}));
    scene.call().await.interim(wants(json!({"k": visit()})));
    let mut stream = stream_of(answer.await.unwrap());
    reply(asked(&mut stream).await, &json!({"action": "accept"}));
    let rest = tokio::spawn(async move { stream.collect::<Vec<_>>().await });
    for _ in 0..10 {
        let call = scene.call().await;
        assert_eq!(
            call.params()["inputResponses"]["k"],
            json!({"action": "accept"})
        );
        call.interim(wants(json!({"k": visit()})));
    }
    scene.call().await.done();
    let rest = rest.await.unwrap();
    assert!(matches!(&rest[..], [Ok(Event::Outcome(o))] if is_complete(o)));
}

#[tokio::test(start_paused = true)]
async fn r31_the_clock_of_the_call_stands_still_while_the_client_is_asked() {
    let mut scene = Scene::legacy();
    let answer = scene.tool(&json!({}));
    scene.call().await.interim(wants(json!({"k": elicit("1")})));
    let mut stream = stream_of(answer.await.unwrap());
    let request = asked(&mut stream).await;
    let rest = tokio::spawn(async move { stream.collect::<Vec<_>>().await });
    // Longer than the minute that the call has.
    tokio::time::sleep(Duration::from_secs(200)).await;
    reply(request, &accept());
    let call = scene.call().await;
    let remaining = call.request.context.deadline.remaining();
    assert!(remaining > Duration::from_secs(59), "{remaining:?}");
    call.done();
    assert_eq!(rest.await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn r31_notifications_of_every_round_reach_the_client_and_an_interim_end_does_not() {
    let mut scene = Scene::legacy();
    let answer = scene.tool(&json!({}));
    let feed = scene.call().await.streamed();
    feed.notify(Method::Progress);
    let interim = RawJson::of(&wants(json!({"k": elicit("1")})));
    let end = Event::Outcome(Outcome::InputRequired(interim.into()));
    feed.events.send(Ok(end)).unwrap();
    let mut stream = stream_of(answer.await.unwrap());
    let first = stream.next().await.unwrap().unwrap();
    assert!(matches!(first, Event::Notification { .. }));
    reply(asked(&mut stream).await, &accept());
    let rest = tokio::spawn(async move { stream.collect::<Vec<_>>().await });
    let second = scene.call().await.streamed();
    second.notify(Method::Progress);
    second.end();
    assert_eq!(rest.await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn r38_a_client_that_leaves_between_rounds_causes_no_further_call() {
    let mut scene = Scene::legacy();
    let answer = scene.tool(&json!({}));
    scene.call().await.interim(wants(json!({"k": elicit("1")})));
    let mut stream = stream_of(answer.await.unwrap());
    let request = asked(&mut stream).await;
    drop(stream);
    assert!(request.reply.is_closed());
    scene.no_call().await;
}

#[tokio::test(start_paused = true)]
async fn b5_members_of_rounds_that_a_legacy_client_sends_reach_no_backend() {
    let mut scene = Scene::legacy();
    let forged = json!({"requestState": "forged", "inputResponses": {"k": {}}});
    let _answer = scene.tool(&forged);
    let call = scene.call().await;
    assert!(!call.request.params.is_later_round());
}

#[tokio::test(start_paused = true)]
async fn r31_what_is_no_interim_result_is_the_backends_fault() {
    for bad in [
        json!({}),
        json!({"requestState": 7}),
        json!({"inputRequests": []}),
        json!({"inputRequests": {"k": {"method": "tools/call"}}}),
        json!({"inputRequests": {"k": {"method": "roots/list", "params": 3}}}),
    ] {
        let mut scene = Scene::legacy();
        let answer = scene.tool(&json!({}));
        scene.call().await.interim(bad);
        let mut stream = stream_of(answer.await.unwrap());
        let error = stream.next().await.unwrap().unwrap_err();
        assert_eq!(error.reason, Reason::ProtocolError);
        assert_eq!(error.backend.unwrap().as_str(), "a");
    }
}
