use std::sync::Arc;

use mcp_router_protocol::RawJson;
use mcp_router_service::{Class, Classify};
use tokio::time::advance;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, task};
use tower::ServiceExt;
use tower_test::mock;

use super::*;
use crate::testing::{Backend, Feed, Mock, call, into_stream, next, notification, secs, stream};

type Call = task::Spawn<TimeoutFuture<<Mock as Service<McpRequest>>::Future>>;

async fn start(attempt: u64, request: McpRequest) -> (Call, Backend) {
    let (service, backend) = mock::pair();
    let mut service = TimeoutLayer::new(secs(attempt)).layer(service);
    let ready = service.ready().await.unwrap();
    let mut call = task::spawn(ready.call(request));
    assert_pending!(call.poll());
    (call, backend)
}

/// A call with an attempt of 10 s whose answer is a stream that the test feeds.
async fn streaming(deadline: u64) -> (Feed, ResponseStream, Deadline, Arc<()>) {
    let request = call(secs(deadline));
    let handle = request.context.deadline.clone();
    let (mut call, mut backend) = start(10, request).await;
    let (_, respond) = backend.next_request().await.unwrap();
    let (feed, streamed, alive) = stream();
    respond.send_response(streamed);
    let events = into_stream(assert_ready!(call.poll()).unwrap());
    (feed, events, handle, alive)
}

async fn timeout_of(events: &mut ResponseStream) -> CallError {
    let error = next(events).await.expect("an item").expect_err("an error");
    assert_eq!(error.reason, Reason::Timeout);
    assert!(next(events).await.is_none(), "the error is the last item");
    error
}

#[tokio::test(start_paused = true)]
async fn f3_an_attempt_ends_at_its_time_and_cancels_what_is_below() {
    let alive = Arc::new(());
    let held = alive.clone();
    let never = tower::service_fn(move |_: McpRequest| {
        let held = held.clone();
        async move {
            let _held = held;
            std::future::pending::<Result<McpResponse, CallError>>().await
        }
    });
    let mut service = TimeoutLayer::new(secs(30)).layer(never);
    let mut call = task::spawn(service.call(call(secs(600))));
    assert_pending!(call.poll());
    advance(Duration::from_millis(29_990)).await;
    assert_pending!(call.poll());
    assert_eq!(Arc::strong_count(&alive), 3);
    advance(Duration::from_millis(20)).await;
    let error = assert_ready_err!(call.poll());
    assert_eq!((error.reason, error.sent), (Reason::Timeout, Sent::Unknown));
    assert_eq!(error.detail.as_deref(), Some("after 30 s"));
    assert_eq!(
        Arc::strong_count(&alive),
        2,
        "gone while the caller holds on"
    );
}

#[tokio::test(start_paused = true)]
async fn i1_an_attempt_never_outlives_the_deadline_of_its_call() {
    let (mut call, _backend) = start(30, call(secs(5))).await;
    advance(secs(6)).await;
    let error = assert_ready_err!(call.poll());
    assert_eq!(error.detail.as_deref(), Some("at the deadline of the call"));
}

#[tokio::test(start_paused = true)]
async fn i1_a_deadline_that_others_move_is_followed() {
    let request = call(secs(5));
    let deadline = request.context.deadline.clone();
    let (mut call, _backend) = start(30, request).await;
    deadline.extend(secs(20));
    advance(secs(19)).await;
    assert_pending!(call.poll());
    advance(secs(2)).await;
    assert_ready_err!(call.poll());
}

#[tokio::test(start_paused = true)]
async fn i4_a_call_that_comes_after_its_deadline_is_not_sent() {
    let request = call(secs(1));
    advance(secs(2)).await;
    let (service, mut backend) = mock::pair::<McpRequest, McpResponse>();
    backend.allow(1);
    let service = TimeoutLayer::new(secs(30)).layer(service);
    let error = service.oneshot(request).await.unwrap_err();
    assert_eq!((error.reason, error.sent), (Reason::Timeout, Sent::No));
    assert!(backend.next_request().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn f3_a_stream_that_stalls_ends_in_the_timeout_and_is_cancelled() {
    let (feed, mut events, _, alive) = streaming(600).await;
    feed.send(notification(Method::LogMessage)).unwrap();
    assert!(next(&mut events).await.unwrap().is_ok());
    let error = timeout_of(&mut events).await;
    assert_eq!(error.detail.as_deref(), Some("after 10 s"));
    assert_eq!(Arc::strong_count(&alive), 1, "the edge's stream is dropped");
}

#[tokio::test(start_paused = true)]
async fn f5_progress_extends_an_attempt_and_other_messages_do_not() {
    let (feed, mut events, deadline, _alive) = streaming(12).await;
    let start = Instant::now();
    for _ in 0..5 {
        advance(secs(8)).await;
        feed.send(notification(Method::Progress)).unwrap();
        assert!(next(&mut events).await.unwrap().is_ok());
    }
    assert!(deadline.remaining() >= secs(9));
    advance(secs(8)).await;
    feed.send(notification(Method::LogMessage)).unwrap();
    assert!(next(&mut events).await.unwrap().is_ok());
    timeout_of(&mut events).await;
    assert_eq!(start.elapsed().as_secs(), 50);
}

#[tokio::test(start_paused = true)]
async fn f5_progress_never_moves_the_hard_cap() {
    let mut request = call(secs(12));
    request.context.deadline = Deadline::with_cap(secs(12), secs(20));
    let (mut call, mut backend) = start(10, request).await;
    let (_, respond) = backend.next_request().await.unwrap();
    let (feed, streamed, _alive) = stream();
    respond.send_response(streamed);
    let mut events = into_stream(assert_ready!(call.poll()).unwrap());
    let start = Instant::now();
    let error = loop {
        let _ = feed.send(notification(Method::Progress));
        match next(&mut events).await.expect("an item") {
            Ok(_) => tokio::time::sleep(secs(3)).await,
            Err(error) => break error,
        }
    };
    assert_eq!(error.reason, Reason::Timeout);
    assert_eq!(
        start.elapsed().as_secs(),
        21,
        "seen at the first look after 20 s"
    );
}

type Reply = Result<RawJson, mcp_router_protocol::ErrorObject>;

fn asking() -> (
    Result<Event, CallError>,
    tokio::sync::oneshot::Receiver<Reply>,
) {
    let (reply, answer) = tokio::sync::oneshot::channel();
    let request = mcp_router_service::ServerRequest {
        method: Method::Elicit,
        params: mcp_router_protocol::RawParams::default(),
        reply,
        origin: None,
    };
    (Ok(Event::ServerRequest(request)), answer)
}

async fn asked(events: &mut ResponseStream) -> mcp_router_service::ServerRequest {
    match next(events).await {
        Some(Ok(Event::ServerRequest(request))) => request,
        other => panic!("a request was expected, not {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_clock_stands_still_while_the_client_is_asked() {
    let (feed, mut events, deadline, _alive) = streaming(12).await;
    let (request, answer) = asking();
    feed.send(request).unwrap();
    let asked = asked(&mut events).await;
    // What else is said meanwhile changes nothing.
    for method in [Method::Progress, Method::LogMessage] {
        feed.send(notification(method)).unwrap();
        assert!(next(&mut events).await.unwrap().is_ok());
        advance(secs(100)).await;
        assert_pending!(tokio_test::task::spawn(next(&mut events)).poll());
    }
    asked.reply.send(Ok(RawJson::from_static("{}"))).unwrap();
    // From the answer on it has the time of an attempt again, and the call what was left of it.
    let start = Instant::now();
    let error = timeout_of(&mut events).await;
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(error.detail.as_deref(), Some("after 10 s"));
    assert!(answer.await.unwrap().is_ok());
    assert!(deadline.remaining() > Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_clock_goes_on_when_the_last_of_several_answers_is_there() {
    let (feed, mut events, _, _alive) = streaming(600).await;
    let ((first, one), (second, two)) = (asking(), asking());
    feed.send(first).unwrap();
    feed.send(second).unwrap();
    let (first, second) = (asked(&mut events).await, asked(&mut events).await);
    first.reply.send(Ok(RawJson::from_static("{}"))).unwrap();
    assert_pending!(tokio_test::task::spawn(next(&mut events)).poll());
    assert!(one.await.unwrap().is_ok());
    advance(secs(200)).await;
    assert_pending!(tokio_test::task::spawn(next(&mut events)).poll());
    // Nobody can answer this one; and a backend that stops waiting is no wait either.
    drop(second);
    assert_pending!(tokio_test::task::spawn(next(&mut events)).poll());
    assert!(two.await.is_err());
    let (third, three) = asking();
    feed.send(third).unwrap();
    let third = asked(&mut events).await;
    drop(three);
    assert_pending!(tokio_test::task::spawn(next(&mut events)).poll());
    assert!(
        third.reply.is_closed(),
        "the client need not answer any more"
    );
    let start = Instant::now();
    timeout_of(&mut events).await;
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_answer_is_not_held_against_the_backend() {
    let (feed, mut events, _, _alive) = streaming(600).await;
    let (request, _answer) = asking();
    feed.send(request).unwrap();
    let _asked = asked(&mut events).await;
    let error = timeout_of(&mut events).await;
    assert_eq!(error.detail.as_deref(), Some("waiting for the client"));
    assert_eq!(error.class(), Class::Neutral);
}

#[tokio::test(start_paused = true)]
async fn f3_a_call_may_bring_a_time_of_its_own() {
    let mut request = call(secs(600));
    request.context.attempt = Some(secs(120));
    let (mut call, _backend) = start(30, request).await;
    advance(Duration::from_millis(119_990)).await;
    assert_pending!(call.poll());
    advance(Duration::from_millis(20)).await;
    let error = assert_ready_err!(call.poll());
    assert_eq!(error.detail.as_deref(), Some("after 120 s"));
    assert_eq!(error.class(), Class::Failure);
}

#[tokio::test(start_paused = true)]
async fn a_listen_stream_has_no_attempt_to_end() {
    let mut request = call(secs(5));
    request.method = Method::Listen;
    let (mut call, _backend) = start(1, request).await;
    advance(secs(3600)).await;
    assert_pending!(call.poll());
}
