//! How calls end that wait for a client which does not come, and how many may wait.

use std::time::Duration;

use mcp_router_protocol::{ErrorObject, Method};
use mcp_router_service::Reason;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;

async fn interim(answer: JoinHandle<Answer>) -> Value {
    let (outcome, _) = finished(answer.await.unwrap()).await;
    interim_of(outcome)
}

async fn until_closed(feed: &Feed) {
    while feed.is_open() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn lost() -> (i64, Value) {
    (-32603, json!({"reason": "state_lost"}))
}

#[tokio::test(start_paused = true)]
async fn r36_a_call_whose_client_never_comes_back_is_told_so_and_cancelled() {
    let mut scene = Scene::modern();
    let answer = scene.tool(&json!({}));
    let feed = scene.call().await.streamed();
    let form = feed.ask(Method::Elicit, form("who"));
    let model = feed.ask(
        Method::CreateMessage,
        json!({"messages": [], "maxTokens": 1}),
    );
    let roots = feed.ask(Method::RootsList, json!({}));
    let first = interim(answer).await;
    let start = Instant::now();
    assert_eq!(
        value(&form.await.unwrap().unwrap()),
        json!({"action": "cancel"})
    );
    let code = |reply: Reply| ErrorObject::code(&reply.unwrap_err());
    assert_eq!(code(model.await.unwrap()), -1);
    assert_eq!(code(roots.await.unwrap()), -32603);
    assert_eq!(start.elapsed().as_secs(), 300);
    assert!(feed.is_open(), "it may end by itself");
    until_closed(&feed).await;
    assert!(start.elapsed() < Duration::from_secs(302));
    assert_eq!(scene.router.hub.bridge.parks.waiting(), 0);
    let late = json!({"requestState": first["requestState"]});
    let late = scene.tool(&late).await.unwrap().unwrap();
    assert_eq!(error_of(outcome_of(late)), lost());
}

#[tokio::test(start_paused = true)]
async fn r36_an_answer_that_nobody_fetched_is_dropped_with_its_call() {
    let mut scene = Scene::modern();
    let answer = scene.tool(&json!({}));
    let feed = scene.call().await.streamed();
    feed.ask(Method::Elicit, form("who"));
    interim(answer).await;
    feed.end();
    tokio::time::sleep(Duration::from_secs(301)).await;
    assert!(!feed.is_open());
}

#[tokio::test(start_paused = true)]
async fn r38_a_client_that_leaves_in_a_later_round_cancels_the_call() {
    let mut scene = Scene::modern();
    let answer = scene.tool(&json!({}));
    let feed = scene.call().await.streamed();
    let reply = feed.ask(Method::Elicit, form("who"));
    let first = interim(answer).await;
    let responses = json!({"elicitation-1": accept()});
    let next = json!({"requestState": first["requestState"], "inputResponses": responses});
    let stream = stream_of(scene.tool(&next).await.unwrap());
    reply.await.unwrap().unwrap();
    drop(stream);
    until_closed(&feed).await;
    let again = scene.tool(&next).await.unwrap().unwrap();
    assert_eq!(error_of(outcome_of(again)), lost());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_router_ends_what_waits() {
    let mut scene = Scene::modern();
    let answer = scene.tool(&json!({}));
    let feed = scene.call().await.streamed();
    let reply = feed.ask(Method::Elicit, form("who"));
    interim(answer).await;
    scene.router.close().await;
    assert_eq!(
        value(&reply.await.unwrap().unwrap()),
        json!({"action": "cancel"})
    );
    until_closed(&feed).await;
}

#[tokio::test(start_paused = true)]
async fn so_many_calls_wait_and_no_more_of_one_principal_and_of_all() {
    let parking = Parking {
        calls: 3,
        calls_per_principal: 2,
        ..Parking::default()
    };
    let mut scene = Scene::parking(parking);
    let (ann, bob) = (
        Principal::Named("ann".into()),
        Principal::Named("bob".into()),
    );
    let mut feeds = Vec::new();
    for (who, fits) in [
        (&ann, true),
        (&ann, true),
        (&ann, false),
        (&bob, true),
        (&bob, false),
        (&Principal::Anonymous, false),
    ] {
        let answer = scene.send_as(who, Method::ToolsCall, &tool(&json!({})));
        let feed = scene.call().await.streamed();
        let reply = feed.ask(Method::Elicit, form("who"));
        let mut stream = stream_of(answer.await.unwrap());
        let item = futures::StreamExt::next(&mut stream).await.unwrap();
        assert_eq!(item.is_ok(), fits, "{who:?}");
        if let Err(error) = item {
            assert_eq!(error.reason, Reason::Overloaded);
            assert!(reply.await.is_err());
            assert!(!feed.is_open(), "given up");
        } else {
            feeds.push((feed, reply));
        }
    }
    // They end, and make room.
    tokio::time::sleep(Duration::from_secs(302)).await;
    assert_eq!(scene.router.hub.bridge.parks.waiting(), 0);
    let answer = scene.send_as(&ann, Method::ToolsCall, &tool(&json!({})));
    let feed = scene.call().await.streamed();
    feed.ask(Method::Elicit, form("who"));
    interim(answer).await;
}

#[tokio::test(start_paused = true)]
async fn answers_over_256_kib_are_not_kept_for_a_second_look() {
    let mut scene = Scene::modern();
    let answer = scene.tool(&json!({}));
    let feed = scene.call().await.streamed();
    let reply = feed.ask(Method::Elicit, form("who"));
    let first = interim(answer).await;
    let responses = json!({"elicitation-1": accept()});
    let round = json!({"requestState": first["requestState"], "inputResponses": responses});
    let next = scene.tool(&round);
    reply_and_end(&feed, reply);
    assert!(is_complete(&finished(next.await.unwrap()).await.0));
    let again = scene.tool(&round).await.unwrap().unwrap();
    assert_eq!(error_of(outcome_of(again)), lost());
}

/// Ends the call with a large result.
fn reply_and_end(feed: &Feed, reply: oneshot::Receiver<Reply>) {
    let events = feed.events.clone();
    tokio::spawn(async move {
        reply.await.unwrap().unwrap();
        let large = RawJson::of(&json!({"content": [], "x": "x".repeat(300 << 10)}));
        let outcome = Event::Outcome(Outcome::Complete(large));
        let _ = events.send(Ok(outcome));
    });
}
