use mcp_router_service::{McpRequest, McpResponse};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower::ServiceExt;
use tower_test::mock;

use super::*;
use crate::testing::{Backend, Mock, call, into_stream, next, outcome, ready, secs, stream};

fn limited(max_concurrency: usize, max_queue: usize) -> (Limit<Mock>, Backend) {
    let (service, mut backend) = mock::pair();
    backend.allow(1000);
    let layer = LimitLayer::new(LimitParams {
        max_concurrency,
        max_queue,
        ..LimitParams::default()
    });
    (layer.layer(service), backend)
}

type Call = task::Spawn<LimitFuture<Mock, McpRequest>>;

async fn start(service: &Limit<Mock>) -> Call {
    let mut service = service.clone();
    let ready = service.ready().await.unwrap();
    let mut started = task::spawn(ready.call(call(secs(30))));
    assert_pending!(started.poll());
    started
}

#[tokio::test(start_paused = true)]
async fn f24_a_call_beyond_the_bound_waits_its_turn() {
    let (service, mut backend) = limited(1, 1);
    let mut first = start(&service).await;
    let mut second = start(&service).await;
    let (_, respond) = backend.next_request().await.unwrap();
    respond.send_response(ready());
    drop(assert_ready_ok!(first.poll()));
    assert!(second.is_woken());
    assert_pending!(second.poll());
    let (_, respond) = backend.next_request().await.unwrap();
    respond.send_response(ready());
    assert_ready_ok!(second.poll());
}

#[tokio::test(start_paused = true)]
async fn f24_a_full_queue_refuses_at_once_and_unsent() {
    let (service, _backend) = limited(1, 1);
    let _running = start(&service).await;
    let _queued = start(&service).await;
    let error = service.clone().oneshot(call(secs(30))).await.unwrap_err();
    assert_eq!((error.reason, error.sent), (Reason::Overloaded, Sent::No));
}

#[tokio::test(start_paused = true)]
async fn f24_nobody_waits_longer_than_a_second() {
    let (service, _backend) = limited(1, 1);
    let _running = start(&service).await;
    let mut queued = start(&service).await;
    tokio::time::advance(Duration::from_millis(999)).await;
    assert_pending!(queued.poll());
    tokio::time::advance(Duration::from_millis(2)).await;
    let error = assert_ready_err!(queued.poll());
    assert_eq!((error.reason, error.sent), (Reason::Overloaded, Sent::No));
}

#[tokio::test(start_paused = true)]
async fn i7_a_cancelled_waiter_gives_its_place_back() {
    let (service, _backend) = limited(1, 1);
    let running = start(&service).await;
    drop(start(&service).await);
    let _queued = start(&service).await;
    drop(running);
    assert_eq!(service.gate.queued.load(Ordering::Acquire), 1);
}

#[tokio::test(start_paused = true)]
async fn i7_a_streamed_answer_holds_its_permit_until_its_end() {
    let (service, mut backend) = limited(1, 1);
    let mut first = start(&service).await;
    let (feed, streamed, _alive) = stream();
    let (_, respond) = backend.next_request().await.unwrap();
    respond.send_response(streamed);
    let answer: McpResponse = assert_ready_ok!(first.poll());
    let mut events = into_stream(answer);
    assert_eq!(service.gate.permits.free(), 0);
    feed.send(outcome()).unwrap();
    drop(feed);
    while next(&mut events).await.is_some() {}
    assert_eq!(service.gate.permits.free(), 1);
}
