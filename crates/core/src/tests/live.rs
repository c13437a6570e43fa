//! A router over time: losses, changes, streams, draining.

use std::time::Duration;

use futures::StreamExt;
use mcp_router_protocol::{ItemKind, Method, RawParams};
use mcp_router_service::{BackendEvent, Event, McpRequest, McpResponse, Outcome, ResponseStream};
use serde_json::json;
use tower::ServiceExt;

use super::mock::{Mock, ask, names, router};
use crate::{Router, State};

pub(super) async fn listen(router: &Router, filter: serde_json::Value) -> ResponseStream {
    let params = RawParams::of(&json!({ "notifications": filter }));
    let request = McpRequest::new(Method::Listen, params);
    match router.clone().oneshot(request).await.unwrap() {
        McpResponse::Stream(stream) => stream,
        McpResponse::Ready(outcome) => panic!("{outcome:?}"),
    }
}

pub(super) async fn next(stream: &mut ResponseStream) -> (Method, String) {
    match stream.next().await.unwrap().unwrap() {
        Event::Notification { method, params } => (
            method,
            params
                .json()
                .map(|p| p.as_str().to_owned())
                .unwrap_or_default(),
        ),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn r23_acknowledgement_first_then_only_what_was_asked_for() {
    let (mock, backend) = Mock::backend("a", &["t"]);
    let router = router(Router::builder().backend(backend));
    router.ready().await;
    let filter = json!({ "toolsListChanged": true, "resourceSubscriptions": ["x:y"] });
    let mut stream = listen(&router, filter).await;
    let (method, params) = next(&mut stream).await;
    assert_eq!(method, Method::SubscriptionsAcknowledged);
    assert_eq!(params, r#"{"notifications":{"toolsListChanged":true}}"#);

    // A change of prompts is none of this client's; one of tools is, once for the burst.
    mock.list(ItemKind::Prompt, &[&["p"]]);
    mock.event(BackendEvent::Changed(ItemKind::Prompt));
    for tools in [&["t", "u"][..], &["t", "u", "v"]] {
        mock.list(ItemKind::Tool, &[tools]);
        mock.event(BackendEvent::Changed(ItemKind::Tool));
    }
    assert_eq!(next(&mut stream).await.0, Method::ToolsChanged);
    assert_eq!(names(&router, ItemKind::Tool).await, ["a.t", "a.u", "a.v"]);

    // A list that did not really change is no news.
    mock.event(BackendEvent::Changed(ItemKind::Tool));
    let quiet = tokio::time::timeout(Duration::from_secs(60), stream.next()).await;
    assert!(quiet.is_err(), "nothing changed, yet {quiet:?}");

    router.drain();
    let last = stream.next().await.unwrap().unwrap();
    assert!(matches!(last, Event::Outcome(Outcome::Complete(_))));
    assert!(stream.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn items_of_a_lost_backend_stay_for_stale_ttl() {
    let (mock, backend) = Mock::backend("a", &["t"]);
    let router = router(
        Router::builder()
            .stale_ttl(Duration::from_secs(300))
            .backend(backend),
    );
    router.ready().await;
    mock.lose();
    tokio::time::sleep(Duration::from_secs(299)).await;
    assert_eq!(names(&router, ItemKind::Tool).await, ["a.t"]);
    // Calls are still tried.
    ask(&router, Method::ToolsCall, json!({ "name": "a.t" }))
        .await
        .unwrap();
    let list = ask(&router, Method::ToolsList, json!({})).await.unwrap();
    assert_eq!(list["ttlMs"], 5_000);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(names(&router, ItemKind::Tool).await.is_empty());

    mock.connect();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(names(&router, ItemKind::Tool).await, ["a.t"]);
    assert_eq!(router.backends()[0].state, State::Ready);
}

#[tokio::test(start_paused = true)]
async fn f1_a_backend_refused_at_start_joins_later_with_one_notification() {
    let (mock, events) = Mock::new(&["t"]);
    let router = router(
        Router::builder().backend(mock.as_backend("a", events).namespace("a".parse().unwrap())),
    );
    mock.lose();
    router.ready().await;
    let mut stream = listen(&router, json!({ "toolsListChanged": true })).await;
    next(&mut stream).await;
    let status = &router.backends()[0];
    assert_eq!((status.healthy, status.error_count), (false, 1));
    assert!(
        status
            .last_error
            .as_deref()
            .is_some_and(|e| e.contains("connect_failed"))
    );
    mock.connect();
    assert_eq!(next(&mut stream).await.0, Method::ToolsChanged);
    let more = tokio::time::timeout(Duration::from_secs(5), stream.next()).await;
    assert!(more.is_err());
    let status = &router.backends()[0];
    assert_eq!(
        (status.healthy, status.error_count, status.tools),
        (true, 0, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn f14_an_endless_list_is_refused_and_the_last_good_one_kept() {
    let (mock, backend) = Mock::backend("a", &["t"]);
    let router = router(Router::builder().max_items(3).backend(backend));
    router.ready().await;
    mock.list(ItemKind::Tool, &[&["a", "b"], &["c", "d"]]);
    mock.event(BackendEvent::Changed(ItemKind::Tool));
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(names(&router, ItemKind::Tool).await, ["a.t"]);
    assert!(
        router.backends()[0]
            .last_error
            .as_deref()
            .is_some_and(|e| e.contains("too many items"))
    );
    // Tried again, and taken once it is good.
    mock.list(ItemKind::Tool, &[&["a", "b"]]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(names(&router, ItemKind::Tool).await, ["a.a", "a.b"]);
    assert!(router.backends()[0].healthy);
}

#[tokio::test(start_paused = true)]
async fn lists_are_fetched_again_when_they_are_old() {
    let (mock, backend) = Mock::backend("a", &["t"]);
    let router = router(
        Router::builder()
            .cache_ttl(Duration::from_secs(60))
            .backend(backend),
    );
    router.ready().await;
    mock.list(ItemKind::Tool, &[&["t", "u"]]);
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(names(&router, ItemKind::Tool).await, ["a.t", "a.u"]);
}

#[tokio::test(start_paused = true)]
async fn a_backend_without_events_describes_itself() {
    let (mock, _events) = Mock::new(&["t"]);
    mock.answer(super::mock::Answer::Result(
        json!({ "capabilities": { "tools": {} } }),
    ));
    let backend = crate::Backend::new("a".parse().unwrap(), mock);
    let router = router(Router::builder().backend(backend));
    assert_eq!(names(&router, ItemKind::Tool).await, ["t"]);
}

#[tokio::test(start_paused = true)]
async fn management_tools_tell_the_exact_fields() {
    let (_, backend) = Mock::backend("a", &["t"]);
    let off = crate::Backend::disabled("off".parse().unwrap());
    let router = router(
        Router::builder()
            .backend(backend.url_text("http://h/mcp"))
            .backend(off),
    );
    router.ready().await;
    let call = |params| ask(&router, Method::ToolsCall, params);
    let all = call(json!({ "name": "list_backends" })).await.unwrap();
    let first = &all["structuredContent"]["result"][0];
    for (field, value) in [
        ("name", json!("a")),
        ("url", json!("http://h/mcp")),
        ("namespace", json!("a")),
        ("priority", json!(10)),
        ("healthy", json!(true)),
        ("circuit_state", json!("CLOSED")),
        ("error_count", json!(0)),
        ("is_managed", json!(false)),
        ("is_running", json!(false)),
    ] {
        assert_eq!(first[field], value, "{field}");
    }
    assert_eq!(all["structuredContent"]["result"][1]["state"], "disabled");
    let text: serde_json::Value =
        serde_json::from_str(all["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(text, all["structuredContent"]["result"]);

    let health = json!({ "name": "get_backend_health", "arguments": { "backend_name": "a" } });
    assert_eq!(
        call(health).await.unwrap()["structuredContent"]["healthy"],
        true
    );
    let unknown = json!({ "name": "get_backend_health", "arguments": { "backend_name": "zz" } });
    let unknown = call(unknown).await.unwrap();
    assert_eq!(unknown["isError"], true);
    assert_eq!(unknown["content"][0]["text"], "Backend not found: zz");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_called_healthy_before_clients_see_what_it_lists() {
    let (_mock, here) = Mock::backend("a", &["t"]);
    let (other, events) = Mock::new(&["t"]);
    let comes = other
        .as_backend("b", events)
        .namespace("b".parse().unwrap());
    let router = router(
        Router::builder()
            .startup_wait(Duration::ZERO)
            .backend(here)
            .backend(comes),
    );
    router.ready().await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    let fleet = router.hub.fleet.load_full();
    let [a, b] = &fleet.cells[..] else { panic!() };
    // What its supervisor does when it is listed, in two steps.
    b.update(|live| *live = (*a.live.load_full()).clone());
    let status = &router.backends()[1];
    assert_eq!((status.healthy, status.tools), (false, 0));
    assert_eq!(status.state, State::Starting);
    assert_eq!(names(&router, ItemKind::Tool).await, ["a.t"]);
    router.hub.publish();
    let status = &router.backends()[1];
    assert_eq!((status.healthy, status.tools), (true, 1));
    assert_eq!(names(&router, ItemKind::Tool).await, ["a.t", "b.t"]);
    // A loss is told at once.
    b.update(|live| live.state = State::Down);
    assert!(!router.backends()[1].healthy);
}
