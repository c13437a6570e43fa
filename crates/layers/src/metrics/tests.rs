use mcp_router_service::{McpRequest, Reason, Sent};
use tokio_test::{assert_pending, assert_ready, task};
use tower::ServiceExt;
use tower_test::mock;

use super::*;
use crate::testing::{Backend, Mock, call, into_stream, next, outcome, ready, secs, stream};

type Call = task::Spawn<MetricsFuture<<Mock as Service<McpRequest>>::Future, Running, ByTraits>>;

async fn start(stats: &CallStats) -> (Call, Backend) {
    let (service, backend) = mock::pair();
    let mut service: Metrics<Mock, _> = MetricsLayer::new(stats.clone()).layer(service);
    let mut call = task::spawn(service.ready().await.unwrap().call(call(secs(30))));
    assert_pending!(call.poll());
    (call, backend)
}

#[tokio::test(start_paused = true)]
async fn a_call_is_counted_with_its_end_and_its_time() {
    let stats = CallStats::new();
    for result in [
        Ok(ready()),
        Err(CallError::new(Reason::Timeout, Sent::Unknown)),
    ] {
        let (mut call, mut backend) = start(&stats).await;
        assert_eq!(stats.in_flight(), 1);
        tokio::time::advance(std::time::Duration::from_millis(40)).await;
        let (_, respond) = backend.next_request().await.unwrap();
        match result {
            Ok(answer) => respond.send_response(answer),
            Err(error) => respond.send_error(error),
        }
        let _ = assert_ready!(call.poll());
    }
    assert_eq!(
        (stats.ended(Class::Success), stats.ended(Class::Failure)),
        (1, 1)
    );
    assert_eq!((stats.in_flight(), stats.given_up()), (0, 0));
    assert_eq!(stats.durations()[5], 2, "over 25 ms, up to 50 ms");
    assert_eq!(stats.time().as_millis(), 80);
}

#[tokio::test(start_paused = true)]
async fn i7_a_call_that_is_given_up_is_no_longer_running() {
    let stats = CallStats::new();
    let (call, _backend) = start(&stats).await;
    drop(call);
    assert_eq!((stats.in_flight(), stats.given_up()), (0, 1));
    assert_eq!(stats.durations().iter().sum::<u64>(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_runs_until_its_outcome() {
    let stats = CallStats::new();
    let (mut call, mut backend) = start(&stats).await;
    let (feed, streamed, _alive) = stream();
    backend
        .next_request()
        .await
        .unwrap()
        .1
        .send_response(streamed);
    let mut events = into_stream(assert_ready!(call.poll()).unwrap());
    assert_eq!(stats.in_flight(), 1);
    tokio::time::advance(secs(3)).await;
    feed.send(outcome()).unwrap();
    next(&mut events).await.unwrap().unwrap();
    assert_eq!((stats.in_flight(), stats.ended(Class::Success)), (0, 1));
    assert_eq!(stats.time(), secs(3));
}
