//! Routers whose backends and settings change while they run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use mcp_router_protocol::{ItemKind, Method};
use serde_json::json;

use super::live::{listen, next};
use super::mock::{Answer, Mock, ask, names, router};
use crate::{Backend, BuildError, Router, State, Transition};

const S: Duration = Duration::from_secs(1);

fn keep(builder: crate::RouterBuilder, name: &str) -> crate::RouterBuilder {
    builder.keep(name.parse().unwrap())
}

async fn update(router: &Router, next: crate::RouterBuilder) {
    router.update(next, Transition::default()).await.unwrap();
}

/// Counts how often it was closed.
fn closing(backend: Backend) -> (Backend, Arc<AtomicUsize>) {
    let closed = Arc::new(AtomicUsize::new(0));
    let count = closed.clone();
    let close = move || {
        async move { count.fetch_add(1, Ordering::SeqCst) }
            .map(drop)
            .boxed()
    };
    (backend.on_close(close), closed)
}

#[tokio::test(start_paused = true)]
async fn f41_who_is_kept_notices_nothing_and_who_goes_is_closed() {
    let (a, stays) = Mock::backend("a", &["t"]);
    let (stays, kept) = closing(stays);
    let (_b, goes) = Mock::backend("b", &["t"]);
    let (goes, gone) = closing(goes);
    let router = router(Router::builder().backend(goes).backend(stays));
    router.ready().await;
    let (_c, comes) = Mock::backend("c", &["t"]);
    let listed = a.listed();
    update(&router, keep(Router::builder().backend(comes), "a")).await;
    // New ones are there when the change is made; the order is the new one.
    assert_eq!(names(&router, ItemKind::Tool).await, ["a.t", "c.t"]);
    let order: Vec<_> = router.backends().into_iter().map(|b| b.name).collect();
    assert_eq!(order, ["c", "a"]);
    assert_eq!(a.listed(), listed);
    tokio::time::sleep(S).await;
    assert_eq!(
        (kept.load(Ordering::SeqCst), gone.load(Ordering::SeqCst)),
        (0, 1)
    );
    router.close().await;
    assert_eq!(
        (kept.load(Ordering::SeqCst), gone.load(Ordering::SeqCst)),
        (1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn f41_calls_in_flight_keep_a_backend_that_goes_as_long_as_they_may() {
    let (a, backend) = Mock::backend("a", &["t"]);
    a.answer(Answer::Hang);
    let (backend, closed) = closing(backend);
    let router = router(Router::builder().backend(backend));
    router.ready().await;
    let asking = router.clone();
    let call =
        tokio::spawn(
            async move { ask(&asking, Method::ToolsCall, json!({ "name": "a.t" })).await },
        );
    while a.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    update(&router, Router::builder()).await;
    assert!(names(&router, ItemKind::Tool).await.is_empty());
    tokio::time::sleep(12 * S).await;
    assert_eq!(closed.load(Ordering::SeqCst), 0, "its call is not over");
    tokio::time::sleep(2 * S).await;
    assert_eq!(closed.load(Ordering::SeqCst), 1, "it may take 13 s");
    call.abort();
}

#[tokio::test(start_paused = true)]
async fn f41_one_that_changes_is_replaced_when_its_successor_is_listed() {
    let (old, backend) = Mock::backend("a", &["t"]);
    let (backend, closed) = closing(backend);
    let router = router(Router::builder().backend(backend));
    router.ready().await;
    let (new, events) = Mock::new(&["t", "u"]);
    let successor = new.as_backend("a", events).namespace("a".parse().unwrap());
    update(&router, Router::builder().backend(successor)).await;
    // It is not there yet: the old one serves.
    assert_eq!(names(&router, ItemKind::Tool).await, ["a.t"]);
    ask(&router, Method::ToolsCall, json!({ "name": "a.t" }))
        .await
        .unwrap();
    assert_eq!((old.calls().len(), closed.load(Ordering::SeqCst)), (1, 0));
    // A change of something else meanwhile changes nothing about that.
    update(&router, keep(Router::builder(), "a")).await;
    new.connect();
    tokio::time::sleep(S).await;
    assert_eq!(names(&router, ItemKind::Tool).await, ["a.t", "a.u"]);
    ask(&router, Method::ToolsCall, json!({ "name": "a.t" }))
        .await
        .unwrap();
    assert_eq!((old.calls().len(), closed.load(Ordering::SeqCst)), (1, 1));
    assert_eq!(router.backends()[0].state, State::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_successor_that_is_never_listed_takes_the_place_after_30_seconds() {
    let (_old, backend) = Mock::backend("a", &["t"]);
    let router = router(Router::builder().backend(backend));
    router.ready().await;
    let (new, events) = Mock::new(&["t"]);
    let (successor, closed) = closing(new.as_backend("a", events));
    update(&router, Router::builder().backend(successor)).await;
    tokio::time::sleep(28 * S).await;
    assert_eq!(router.backends()[0].state, State::Ready);
    tokio::time::sleep(5 * S).await;
    assert_eq!(router.backends()[0].state, State::Starting);
    // One that is superseded before its time is closed.
    let (third, events) = Mock::new(&["t"]);
    let third = third.as_backend("a", events);
    update(&router, Router::builder().backend(third)).await;
    tokio::time::sleep(S).await;
    assert_eq!(closed.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn one_reload_is_one_notification_and_no_change_is_none() {
    let (_a, backend) = Mock::backend("a", &["t"]);
    let router = router(Router::builder().backend(backend));
    router.ready().await;
    let mut stream = listen(&router, json!({ "toolsListChanged": true })).await;
    next(&mut stream).await;
    update(&router, keep(Router::builder(), "a")).await;
    let quiet = tokio::time::timeout(5 * S, stream.next()).await;
    assert!(quiet.is_err(), "nothing changed, yet {quiet:?}");
    let mut builder = Router::builder().namespaces(false);
    for name in ["b", "c"] {
        builder = builder.backend(Mock::backend(name, &[name]).1);
    }
    update(&router, keep(builder, "a")).await;
    assert_eq!(next(&mut stream).await.0, Method::ToolsChanged);
    let more = tokio::time::timeout(5 * S, stream.next()).await;
    assert!(more.is_err(), "{more:?}");
    assert_eq!(names(&router, ItemKind::Tool).await, ["b", "c", "t"]);
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_changes_nothing() {
    let (_a, backend) = Mock::backend("a", &["t"]);
    let router = router(Router::builder().backend(backend));
    router.ready().await;
    let unknown = router.update(keep(Router::builder(), "b"), Transition::default());
    assert!(matches!(unknown.await, Err(BuildError::NotRunning(_))));
    let twice = keep(keep(Router::builder(), "a"), "a");
    let twice = router.update(twice, Transition::default()).await;
    assert!(matches!(twice, Err(BuildError::DuplicateBackend(_))));
    assert_eq!(names(&router, ItemKind::Tool).await, ["a.t"]);
    // One that runs cannot be kept by a router that is not there.
    let built = keep(Router::builder(), "a").build();
    assert!(matches!(built, Err(BuildError::NotRunning(_))));
    router.close().await;
    update(
        &router,
        Router::builder().backend(Mock::backend("z", &["t"]).1),
    )
    .await;
    assert_eq!(router.backends().len(), 1, "a closed router stays as it is");
}

#[tokio::test(start_paused = true)]
async fn another_spelling_of_all_names_is_a_change_of_the_lists_that_have_names() {
    let (_a, backend) = Mock::backend("a", &["t"]);
    let router = router(Router::builder().backend(backend));
    router.ready().await;
    let mut stream = listen(&router, json!({ "toolsListChanged": true })).await;
    next(&mut stream).await;
    update(&router, keep(Router::builder().fitted_names(true), "a")).await;
    assert_eq!(next(&mut stream).await.0, Method::ToolsChanged);
    assert_eq!(names(&router, ItemKind::Tool).await, ["a__t"]);
}
