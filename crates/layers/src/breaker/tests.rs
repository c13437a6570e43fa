use mcp_router_health::{BreakerParams, CircuitState};
use mcp_router_protocol::Method;
use mcp_router_service::{Class, McpRequest, McpResponse};
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::ServiceExt;
use tower_test::mock;

use super::*;
use crate::endpoint::Standing;
use crate::testing::{
    Backend, Mock, call, into_stream, next, notification, outcome, ready, secs, stream,
};

type Call = task::Spawn<BreakerFuture<<Mock as Service<McpRequest>>::Future, ByTraits>>;

/// A breaker of 3 failures, 60 s and `trials` trials.
fn breaker(trials: u32) -> (Breaker<Mock>, Backend) {
    let (service, mut backend) = mock::pair();
    backend.allow(1_000_000);
    let params = BreakerParams::new(3, secs(60), trials).unwrap();
    (BreakerLayer::new(params).layer(service), backend)
}

async fn start(service: &Breaker<Mock>) -> Call {
    let mut service = service.clone();
    task::spawn(service.ready().await.unwrap().call(call(secs(30))))
}

/// One call that ends in `result`.
async fn run(
    service: &Breaker<Mock>,
    backend: &mut Backend,
    result: Result<McpResponse, CallError>,
) {
    let mut started = start(service).await;
    assert_pending!(started.poll());
    let (_, respond) = backend.next_request().await.unwrap();
    match result {
        Ok(answer) => respond.send_response(answer),
        Err(error) => respond.send_error(error),
    }
    let _ = assert_ready!(started.poll());
}

fn lost() -> CallError {
    CallError::new(Reason::BackendLost, Sent::Unknown)
}

async fn trip(service: &Breaker<Mock>, backend: &mut Backend) {
    for _ in 0..3 {
        run(service, backend, Err(lost())).await;
    }
    assert_eq!(service.endpoint.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn i8_an_open_circuit_lets_no_call_through_and_says_when() {
    let (service, mut backend) = breaker(1);
    trip(&service, &mut backend).await;
    tokio::time::advance(secs(20)).await;
    let error = assert_ready_err!(start(&service).await.poll());
    assert_eq!((error.reason, error.sent), (Reason::CircuitOpen, Sent::No));
    assert_eq!(error.retry_after, Some(secs(40)));
    assert_pending!(task::spawn(backend.next_request()).poll());
}

#[tokio::test(start_paused = true)]
async fn i8_a_half_open_circuit_lets_its_trials_through_and_no_more() {
    let (service, mut backend) = breaker(2);
    trip(&service, &mut backend).await;
    tokio::time::advance(secs(60)).await;
    let mut trials = [start(&service).await, start(&service).await];
    assert_pending!(trials[0].poll());
    assert_pending!(trials[1].poll());
    let error = assert_ready_err!(start(&service).await.poll());
    assert_eq!(error.reason, Reason::CircuitOpen);
    for trial in &mut trials {
        let (_, respond) = backend.next_request().await.unwrap();
        respond.send_response(ready());
        assert_ready_ok!(trial.poll());
    }
    assert_eq!(service.endpoint.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn i8_cancelled_trials_give_their_slots_back() {
    let (service, mut backend) = breaker(2);
    trip(&service, &mut backend).await;
    tokio::time::advance(secs(60)).await;
    for round in 0..10 {
        let (mut polled, untouched) = (start(&service).await, start(&service).await);
        assert_pending!(polled.poll());
        assert!(
            assert_ready_err!(start(&service).await.poll())
                .retry_after
                .is_some()
        );
        drop((polled, untouched));
        assert_eq!(service.endpoint.in_flight(), 0, "round {round}");
    }
    assert_eq!(service.endpoint.state(), CircuitState::HalfOpen);
    // Those were given to the mock before they were dropped.
    for _ in 0..20 {
        drop(backend.next_request().await);
    }
    run(&service, &mut backend, Ok(ready())).await;
    run(&service, &mut backend, Ok(ready())).await;
    assert_eq!(service.endpoint.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn one_failed_trial_opens_the_circuit_for_another_full_time() {
    let (service, mut backend) = breaker(2);
    trip(&service, &mut backend).await;
    tokio::time::advance(secs(60)).await;
    run(&service, &mut backend, Ok(ready())).await;
    run(&service, &mut backend, Err(lost())).await;
    assert_eq!(service.endpoint.retry_in(), Some(secs(60)));
    assert_eq!(service.endpoint.failures(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_judged_by_its_end() {
    let (service, mut backend) = breaker(1);
    for last in [outcome(), Err(lost()), Err(lost()), Err(lost())] {
        let failed = last.is_err();
        let (feed, streamed, _alive) = stream();
        let mut started = start(&service).await;
        assert_pending!(started.poll());
        backend
            .next_request()
            .await
            .unwrap()
            .1
            .send_response(streamed);
        let mut events = into_stream(assert_ready_ok!(started.poll()));
        let before = service.endpoint.failures();
        feed.send(notification(Method::Progress)).unwrap();
        assert!(next(&mut events).await.unwrap().is_ok());
        assert_eq!(service.endpoint.failures(), before);
        assert_eq!(service.endpoint.in_flight(), 1);
        feed.send(last).unwrap();
        next(&mut events).await.unwrap().ok();
        assert_eq!(service.endpoint.failures(), before + u32::from(failed));
        assert_eq!(service.endpoint.in_flight(), 0);
    }
    assert_eq!(service.endpoint.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn i8_a_trial_whose_stream_is_given_up_gives_its_slot_back() {
    let (service, mut backend) = breaker(1);
    trip(&service, &mut backend).await;
    tokio::time::advance(secs(60)).await;
    let (_feed, streamed, _alive) = stream();
    let mut trial = start(&service).await;
    assert_pending!(trial.poll());
    backend
        .next_request()
        .await
        .unwrap()
        .1
        .send_response(streamed);
    let events = into_stream(assert_ready_ok!(trial.poll()));
    assert_eq!(service.endpoint.standing(), Standing::Doubtful);
    drop(events);
    assert_eq!(service.endpoint.standing(), Standing::Usable);
    assert_eq!(service.endpoint.state(), CircuitState::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn f22_a_429_is_no_failure_in_a_run_and_makes_the_endpoint_rest() {
    let (service, mut backend) = breaker(1);
    for _ in 0..10 {
        let error = CallError::new(Reason::BackendStatus, Sent::RejectedUnexecuted).status(429);
        run(
            &service,
            &mut backend,
            Err(error.retry_after(Some(secs(7)))),
        )
        .await;
    }
    assert_eq!(service.endpoint.failures(), 0);
    assert_eq!(service.endpoint.resting(), Some(secs(7)));
    assert_eq!(service.endpoint.standing(), Standing::Doubtful);
}

#[tokio::test(start_paused = true)]
async fn f21_a_503_is_a_failure_and_its_retry_after_makes_the_endpoint_rest() {
    let (service, mut backend) = breaker(1);
    let error = CallError::new(Reason::BackendStatus, Sent::RejectedUnexecuted).status(503);
    run(
        &service,
        &mut backend,
        Err(error.retry_after(Some(secs(7)))),
    )
    .await;
    assert_eq!(service.endpoint.failures(), 1);
    assert_eq!(service.endpoint.resting(), Some(secs(7)));
}

#[tokio::test(start_paused = true)]
async fn answers_and_our_own_refusals_are_no_failures() {
    let (service, mut backend) = breaker(1);
    let status = |s| CallError::new(Reason::BackendStatus, Sent::Unknown).status(s);
    for error in [
        status(400),
        status(401),
        status(404),
        CallError::new(Reason::Overloaded, Sent::No),
        CallError::new(Reason::TooLarge, Sent::Unknown),
    ] {
        run(&service, &mut backend, Err(error)).await;
    }
    assert_eq!(service.endpoint.failures(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_last_failure_is_told_until_a_call_succeeds() {
    let (service, mut backend) = breaker(1);
    let error = CallError::new(Reason::BackendStatus, Sent::Unknown).status(502);
    run(&service, &mut backend, Err(error)).await;
    let failure = service.endpoint.last_failure().unwrap();
    assert_eq!(&*failure.text, "backend_status: HTTP 502");
    run(&service, &mut backend, Ok(ready())).await;
    assert_eq!(service.endpoint.last_failure(), None);
    assert_eq!(service.endpoint.failures(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_service_of_foreign_types_is_judged_by_a_closure() {
    let layer = BreakerLayer::new(BreakerParams::new(2, secs(60), 1).unwrap());
    let layer = layer.judge(|result: Result<&u16, &tower::BoxError>| match result {
        Ok(500..) | Err(_) => Class::Failure,
        Ok(_) => Class::Success,
    });
    let service = layer.layer(tower::service_fn(|status: u16| async move {
        if status == 0 {
            Err(tower::BoxError::from("no status"))
        } else {
            Ok(status)
        }
    }));
    assert_eq!(service.clone().oneshot(200).await.unwrap(), 200);
    assert_eq!(service.clone().oneshot(500).await.unwrap(), 500);
    service.clone().oneshot(0).await.unwrap_err();
    let error = service.oneshot(200).await.unwrap_err();
    assert_eq!(error.reason, Reason::CircuitOpen);
}
