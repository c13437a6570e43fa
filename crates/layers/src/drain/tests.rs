use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::ServiceExt;
use tower_test::mock;

use super::*;
use crate::testing::{Backend, Mock, call, into_stream, next, notification, ready, secs, stream};

fn drained() -> (DrainLayer, Drain<Mock>, Backend) {
    let (service, backend) = mock::pair();
    let layer = DrainLayer::new();
    let service = layer.layer(service);
    (layer, service, backend)
}

type Call = task::Spawn<DrainFuture<<Mock as Service<McpRequest>>::Future>>;

async fn start(service: &mut Drain<Mock>) -> Call {
    let ready = service.ready().await.unwrap();
    let mut call = task::spawn(ready.call(call(secs(30))));
    assert_pending!(call.poll());
    call
}

#[tokio::test]
async fn f38_a_call_that_hangs_is_answered_when_cut() {
    let (layer, mut service, _backend) = drained();
    let mut call = start(&mut service).await;
    layer.cut();
    assert!(call.is_woken());
    let error = assert_ready_err!(call.poll());
    assert_eq!(
        (error.reason, error.sent),
        (Reason::Draining, Sent::Unknown)
    );
}

#[tokio::test]
async fn f38_an_answer_that_is_there_is_given() {
    let (layer, mut service, mut backend) = drained();
    let mut call = start(&mut service).await;
    let (_, respond) = backend.next_request().await.unwrap();
    respond.send_response(ready());
    layer.cut();
    assert_ready_ok!(call.poll());
}

#[tokio::test]
async fn i4_a_call_after_the_cut_is_not_sent() {
    let (layer, service, mut backend) = drained();
    backend.allow(1);
    layer.cut();
    let error = service.oneshot(call(secs(30))).await.unwrap_err();
    assert_eq!((error.reason, error.sent), (Reason::Draining, Sent::No));
    assert!(backend.next_request().await.is_none());
}

#[tokio::test]
async fn f38_a_stream_that_goes_on_and_on_ends_in_an_answer() {
    let (layer, mut service, mut backend) = drained();
    let mut call = start(&mut service).await;
    let (feed, streamed, alive) = stream();
    let (_, respond) = backend.next_request().await.unwrap();
    respond.send_response(streamed);
    let mut events = into_stream(assert_ready!(call.poll()).unwrap());
    for _ in 0..3 {
        feed.send(notification(mcp_router_protocol::Method::Progress))
            .unwrap();
    }
    assert!(next(&mut events).await.unwrap().is_ok());
    layer.cut();
    let error = next(&mut events).await.unwrap().unwrap_err();
    assert_eq!(
        (error.reason, error.sent),
        (Reason::Draining, Sent::Unknown)
    );
    assert!(next(&mut events).await.is_none());
    assert_eq!(Arc::strong_count(&alive), 1, "the edge's stream is dropped");
}

#[tokio::test]
async fn calls_one_after_the_other_wait_in_the_same_place() {
    let (layer, mut service, _backend) = drained();
    let places = |layer: &DrainLayer| layer.cut.places();
    for _ in 0..10 {
        drop(start(&mut service).await);
    }
    assert_eq!(places(&layer), (1, 0));
    let _two = (start(&mut service).await, start(&mut service).await);
    assert_eq!(places(&layer), (2, 2));
}

#[tokio::test]
async fn f38_whoever_polls_a_call_now_is_woken() {
    let (layer, mut service, _backend) = drained();
    let mut call = start(&mut service).await.into_inner();
    let mut other = task::spawn(());
    let mut call = std::pin::Pin::new(&mut call);
    other.enter(|cx, _| assert_pending!(call.as_mut().poll(cx)));
    layer.cut();
    assert!(other.is_woken());
    let end = other.enter(|cx, _| call.as_mut().poll(cx));
    assert_ready_err!(end);
}
