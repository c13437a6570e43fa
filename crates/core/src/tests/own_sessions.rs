//! Backends that keep something of each client, in an upstream session of its own; and sessions of
//! clients that were begun elsewhere.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use mcp_router_protocol::{ItemKind, Method, RawJson, RawParams};
use mcp_router_service::{
    BackendEvent, BackendInfo, McpRequest, McpResponse, Outcome, Reason, ResponseStream, Scope,
    Sent, Session, SessionId, carry_key,
};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::live::next;
use super::mock::{Answer, Mock, router};
use crate::Router;

/// A backend `db` that keeps something of each client and has the resources `x:a` and `x:b`.
async fn keeping() -> (Mock, Router) {
    let (mock, events) = Mock::new(&["t"]);
    mock.list(ItemKind::Resource, &[&["x:a", "x:b"]]);
    mock.event(BackendEvent::Connected(BackendInfo {
        capabilities: Some(RawJson::from_static(
            r#"{"tools":{},"resources":{"subscribe":true}}"#,
        )),
        attach: true,
        stateful: true,
        ..BackendInfo::default()
    }));
    mock.answer(Answer::Result(json!({})));
    let backend = mock.as_backend("db", events);
    let backend = backend.namespace("db".parse().unwrap());
    let router = router(Router::builder().backend(backend));
    router.ready().await;
    (mock, router)
}

fn session() -> Session {
    // What is sent to the client outside its listen stream is no matter here.
    Session::open(SessionId::new("s"), Arc::default()).0
}

fn in_session(session: &Session, method: Method, params: &Value) -> McpRequest {
    let mut request = McpRequest::new(method, RawParams::of(params));
    request.context.session = Some(session.clone());
    request.context.client = session.client().clone();
    request
}

async fn asked(router: &Router, session: &Session, method: Method, uri: &str) -> Outcome {
    let request = in_session(session, method, &json!({ "uri": uri }));
    let answer = router.clone().oneshot(request).await.unwrap();
    answer.outcome().await.unwrap()
}

async fn listen(router: &Router, session: &Session) -> ResponseStream {
    let kinds = ["tools", "prompts", "resources"].map(|kind| (format!("{kind}ListChanged"), true));
    let filter: serde_json::Map<_, _> = kinds.into_iter().map(|(k, v)| (k, v.into())).collect();
    let request = in_session(session, Method::Listen, &json!({ "notifications": filter }));
    let McpResponse::Stream(mut stream) = router.clone().oneshot(request).await.unwrap() else {
        panic!("no stream")
    };
    assert_eq!(next(&mut stream).await.0, Method::SubscriptionsAcknowledged);
    stream
}

fn update(mock: &Mock, session: &Session, uri: &str) {
    mock.event(BackendEvent::Notification {
        method: Method::ResourceUpdated,
        params: RawParams::of(&json!({ "uri": uri })),
        scope: Scope::Session(session.clone()),
    });
}

async fn updated(stream: &mut ResponseStream) -> String {
    let (method, params) = next(stream).await;
    assert_eq!(method, Method::ResourceUpdated);
    let params: Value = serde_json::from_str(&params).unwrap();
    params["uri"].as_str().unwrap().to_owned()
}

async fn quiet(stream: &mut ResponseStream) {
    let waited = tokio::time::timeout(Duration::from_secs(5), stream.next()).await;
    assert!(waited.is_err(), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_subscribes_in_its_own_upstream_session_and_hears_what_comes_there() {
    let (mock, router) = keeping().await;
    let (own, other) = (session(), session());
    let mut news = listen(&router, &own).await;
    // In the spelling that it uses.
    for uri in ["db://x:a", "db+x:b"] {
        let answer = asked(&router, &own, Method::ResourcesSubscribe, uri).await;
        assert!(matches!(answer, Outcome::Complete(_)), "{answer:?}");
    }
    assert_eq!(mock.calls(), [json!({"uri": "x:a"}), json!({"uri": "x:b"})]);
    for (uri, shown) in [
        ("x:a", "db://x:a"),
        ("x:b", "db+x:b"),
        ("x:b/part", "db+x:b/part"),
    ] {
        update(&mock, &own, uri);
        assert_eq!(updated(&mut news).await, shown);
    }
    // Neither what it did not ask for, nor what another's session brings.
    update(&mock, &own, "x:c");
    update(&mock, &own, "x:bc");
    update(&mock, &other, "x:a");
    quiet(&mut news).await;
    let answer = asked(&router, &own, Method::ResourcesUnsubscribe, "db+x:a").await;
    assert!(matches!(answer, Outcome::Complete(_)), "{answer:?}");
    assert_eq!(mock.calls().last(), Some(&json!({"uri": "x:a"})));
    update(&mock, &own, "x:a");
    quiet(&mut news).await;
}

#[tokio::test(start_paused = true)]
async fn r41_a_client_whose_session_was_begun_elsewhere_hears_what_it_subscribed_to_there() {
    let (mock, router) = keeping().await;
    let revived = session();
    revived.set_revived();
    let mut news = listen(&router, &revived).await;
    for kind in [Method::ToolsChanged, Method::ResourcesChanged] {
        assert_eq!(next(&mut news).await.0, kind, "it may have missed that");
    }
    update(&mock, &revived, "x:a");
    assert_eq!(updated(&mut news).await, "db+x:a");
    // What it subscribes to here keeps its spelling.
    asked(&router, &revived, Method::ResourcesSubscribe, "db://x:a").await;
    update(&mock, &revived, "x:a");
    assert_eq!(updated(&mut news).await, "db://x:a");
    asked(&router, &revived, Method::ResourcesUnsubscribe, "db+x:b").await;
    assert_eq!(mock.calls().last(), Some(&json!({"uri": "x:b"})));
    quiet(&mut news).await;
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_asked_to_subscribe_is_named() {
    let (mock, router) = keeping().await;
    mock.answer(Answer::Fail(Reason::ConnectFailed, Sent::No));
    let subscribe = json!({ "uri": "db+x:a" });
    let request = in_session(&session(), Method::ResourcesSubscribe, &subscribe);
    let error = router.clone().oneshot(request).await.unwrap_err();
    assert_eq!(error.reason, Reason::ConnectFailed);
    assert_eq!(error.backend.unwrap().as_str(), "db");
}

#[tokio::test(start_paused = true)]
async fn r40_the_end_of_a_session_is_told_to_those_whose_sessions_it_carries() {
    let (keeps, router) = keeping().await;
    let [own, bare] = [session(), session()];
    own.set_carried(carry_key(&"db".parse().unwrap(), "one"), "upstream");
    bare.set_carried(carry_key(&"d".parse().unwrap(), "one"), "upstream");
    for (session, told) in [(&bare, 0), (&own, 1)] {
        let request = in_session(session, Method::Detach, &json!({}));
        let answer = router.clone().oneshot(request).await.unwrap();
        assert!(matches!(answer, McpResponse::Ready(Outcome::Complete(_))));
        assert_eq!(keeps.calls().len(), told);
    }
    // One that is away is not waited for, and no matter.
    keeps.answer(Answer::Fail(Reason::ConnectFailed, Sent::No));
    let request = in_session(&own, Method::Detach, &json!({}));
    assert!(router.oneshot(request).await.is_ok());
}
