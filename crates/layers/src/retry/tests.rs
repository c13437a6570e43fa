use std::collections::VecDeque;

use mcp_router_service::{CallError, McpRequest, McpResponse, Reason, RepeatAfter, Sent, Trail};
use tokio::time::Instant;
use tokio_test::{assert_pending, task};
use tower::ServiceExt;

use super::*;
use crate::testing::{call, ready, secs};

type Answer = Result<McpResponse, CallError>;

/// Gives the answers it is told, then succeeds, and notes when it is called.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    calls: Arc<Mutex<Vec<Instant>>>,
}

impl Script {
    fn new(answers: impl IntoIterator<Item = CallError>) -> Self {
        let answers: VecDeque<Answer> = answers.into_iter().map(Err).collect();
        Self {
            answers: Arc::new(Mutex::new(answers)),
            calls: Arc::default(),
        }
    }

    /// How long after the first each further call came.
    fn waits(&self) -> Vec<Duration> {
        let calls = self.calls.lock().unwrap();
        calls.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }
}

impl Service<McpRequest> for Script {
    type Response = McpResponse;
    type Error = CallError;
    type Future = std::future::Ready<Answer>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: McpRequest) -> Self::Future {
        self.calls.lock().unwrap().push(Instant::now());
        let answer = self.answers.lock().unwrap().pop_front();
        std::future::ready(answer.unwrap_or_else(|| Ok(ready())))
    }
}

/// Waits without jitter.
fn params(max_attempts: u32) -> RetryParams {
    RetryParams {
        max_attempts,
        backoff: BackoffParams::new(secs(1), 2.0, secs(10), 0.0).unwrap(),
        attempt: secs(30),
        budget: BudgetParams::default(),
    }
}

fn request(after: RepeatAfter) -> McpRequest {
    let mut request = call(secs(600));
    request.context.repeat.after = after;
    request.context.trail = Trail::recording();
    request
}

async fn run(script: &Script, max_attempts: u32, request: McpRequest) -> Answer {
    let layer = RetryLayer::new(params(max_attempts));
    layer.layer(script.clone()).oneshot(request).await
}

fn lost() -> CallError {
    CallError::new(Reason::BackendLost, Sent::Unknown)
}

fn refused(status: u16, retry_after: Option<u64>) -> CallError {
    let error = CallError::new(Reason::BackendStatus, Sent::RejectedUnexecuted).status(status);
    error.retry_after(retry_after.map(secs))
}

fn no_connection() -> CallError {
    CallError::new(Reason::ConnectFailed, Sent::No)
}

#[tokio::test(start_paused = true)]
async fn f19_a_safe_call_is_made_again_after_growing_waits_until_its_attempts_are_used() {
    let script = Script::new([lost(), lost(), lost(), lost(), lost()]);
    let request = request(RepeatAfter::Failed);
    let trail = request.context.trail.clone();
    let error = run(&script, 4, request).await.unwrap_err();
    assert_eq!(error.reason, Reason::BackendLost);
    assert_eq!(script.waits(), [secs(1), secs(2), secs(4)]);
    assert_eq!(trail.last().1, 3, "attempts beyond the first are noted");
}

#[tokio::test(start_paused = true)]
async fn f19_a_safe_call_that_succeeds_at_last_is_an_answer() {
    let script = Script::new([lost(), lost()]);
    assert!(run(&script, 3, request(RepeatAfter::Failed)).await.is_ok());
    assert_eq!(script.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn r43_f19_f23_an_unsafe_call_that_may_have_run_is_made_once() {
    let status = |s| CallError::new(Reason::BackendStatus, Sent::Unknown).status(s);
    for error in [
        lost(),
        CallError::new(Reason::Timeout, Sent::Unknown),
        CallError::new(Reason::ProtocolError, Sent::Unknown),
        status(500),
        status(502),
        status(503),
        status(504),
    ] {
        let script = Script::new([error]);
        run(&script, 3, request(RepeatAfter::Refused))
            .await
            .unwrap_err();
        assert_eq!(script.calls(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn r43_an_unsafe_call_that_did_not_run_is_made_again() {
    for error in [
        no_connection(),
        refused(429, None),
        refused(503, Some(1)),
        refused(404, None),
    ] {
        let script = Script::new([error]);
        assert!(run(&script, 3, request(RepeatAfter::Refused)).await.is_ok());
        assert_eq!(script.calls(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn strict_repeats_only_what_was_not_sent() {
    let script = Script::new([refused(503, Some(1))]);
    run(&script, 3, request(RepeatAfter::NotSent))
        .await
        .unwrap_err();
    assert_eq!(script.calls(), 1);
    let script = Script::new([no_connection()]);
    assert!(run(&script, 3, request(RepeatAfter::NotSent)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn f21_a_wait_that_was_asked_for_is_kept() {
    let script = Script::new([refused(503, Some(7)), refused(503, Some(0))]);
    assert!(run(&script, 3, request(RepeatAfter::Refused)).await.is_ok());
    assert_eq!(script.waits(), [secs(7), secs(2)]);
}

#[tokio::test(start_paused = true)]
async fn f21_a_wait_beyond_a_minute_or_the_deadline_is_the_callers() {
    let script = Script::new([refused(503, Some(61))]);
    let error = run(&script, 3, request(RepeatAfter::Refused))
        .await
        .unwrap_err();
    assert_eq!((error.retry_after, script.calls()), (Some(secs(61)), 1));
    let script = Script::new([refused(503, Some(30))]);
    let mut short = call(secs(30));
    short.context.repeat.after = RepeatAfter::Refused;
    let start = Instant::now();
    let error = run(&script, 3, short).await.unwrap_err();
    assert_eq!((error.retry_after, script.calls()), (Some(secs(30)), 1));
    assert_eq!(start.elapsed(), Duration::ZERO, "at once");
}

#[tokio::test(start_paused = true)]
async fn f22_too_many_calls_are_not_kept_waiting_long() {
    let script = Script::new([refused(429, Some(11))]);
    let error = run(&script, 3, request(RepeatAfter::Refused))
        .await
        .unwrap_err();
    assert_eq!((error.retry_after, script.calls()), (Some(secs(11)), 1));
    let script = Script::new([refused(429, Some(2))]);
    assert!(run(&script, 3, request(RepeatAfter::Refused)).await.is_ok());
    assert_eq!(script.waits(), [secs(2)]);
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_and_a_full_queue_are_never_waited_for() {
    for reason in [Reason::CircuitOpen, Reason::Overloaded, Reason::NoBackend] {
        let script = Script::new([CallError::new(reason, Sent::No).retry_after(Some(secs(1)))]);
        run(&script, 3, request(RepeatAfter::Failed))
            .await
            .unwrap_err();
        assert_eq!(script.calls(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn i4_what_may_have_run_once_is_not_said_to_have_not() {
    let script = Script::new([lost(), no_connection()]);
    let error = run(&script, 2, request(RepeatAfter::Failed))
        .await
        .unwrap_err();
    assert_eq!(
        (error.reason, error.sent),
        (Reason::ConnectFailed, Sent::Unknown)
    );
    // Refused by the circuit that the first attempt opened: the reason is still the first one.
    let open = CallError::new(Reason::CircuitOpen, Sent::No).retry_after(Some(secs(60)));
    let script = Script::new([lost(), open]);
    let error = run(&script, 3, request(RepeatAfter::Failed))
        .await
        .unwrap_err();
    assert_eq!(
        (error.reason, error.sent),
        (Reason::BackendLost, Sent::Unknown)
    );
    assert_eq!(error.retry_after, Some(secs(60)));
    // And it stays so over any number of attempts.
    let script = Script::new([lost(), no_connection(), no_connection()]);
    let error = run(&script, 3, request(RepeatAfter::Failed))
        .await
        .unwrap_err();
    assert_eq!(error.sent, Sent::Unknown);
}

#[tokio::test(start_paused = true)]
async fn while_another_backend_is_next_nobody_waits_here() {
    let script = Script::new([no_connection()]);
    let mut elsewhere = request(RepeatAfter::Failed);
    elsewhere.context.repeat.here = false;
    run(&script, 3, elsewhere).await.unwrap_err();
    assert_eq!(script.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn i1_no_attempt_begins_after_the_deadline() {
    let script = Script::new([lost(), lost(), lost()]);
    let mut short = call(secs(3));
    short.context.repeat.after = RepeatAfter::Failed;
    let start = Instant::now();
    run(&script, 10, short).await.unwrap_err();
    assert_eq!(script.waits(), [secs(1)], "2 s more would be its end");
    assert_eq!(start.elapsed(), secs(1));
}

#[tokio::test(start_paused = true)]
async fn f21_a_backend_is_not_waited_for_longer_than_all_attempts_may_take() {
    // Two attempts of 5 s with a second between them.
    let params = RetryParams {
        attempt: secs(5),
        ..params(2)
    };
    let waits = async |told, attempt| {
        let script = Script::new([refused(503, Some(told))]);
        let mut request = request(RepeatAfter::Refused);
        request.context.attempt = attempt;
        let service = RetryLayer::new(params).layer(script.clone());
        match service.oneshot(request).await {
            Ok(_) => assert_eq!(script.waits(), [secs(told)]),
            Err(error) => assert_eq!((error.retry_after, script.calls()), (Some(secs(told)), 1)),
        }
        script.calls() == 2
    };
    assert!(waits(10, None).await);
    assert!(!waits(11, None).await);
    assert!(
        waits(20, Some(secs(10))).await,
        "the tool has a time of its own"
    );
}

#[tokio::test(start_paused = true)]
async fn retries_are_a_fifth_of_the_requests_and_the_reserve() {
    let params = RetryParams {
        backoff: BackoffParams::new(secs(1), 2.0, Duration::ZERO, 0.0).unwrap(),
        ..params(3)
    };
    let layer = RetryLayer::new(params);
    let script = Script::new((0..10_000).map(|_| lost()));
    let service = layer.layer(script.clone());
    for _ in 0..1000 {
        let request = request(RepeatAfter::Failed);
        service.clone().oneshot(request).await.unwrap_err();
    }
    assert_eq!(layer.retries().get(), 200 + 10);
    assert_eq!(script.calls(), 1000 + 200 + 10);
    assert!(layer.withheld().get() >= 790);
}

#[tokio::test(start_paused = true)]
async fn i7_a_call_that_is_given_up_in_a_wait_is_not_made_again() {
    let script = Script::new([lost()]);
    let service = RetryLayer::new(params(3)).layer(script.clone());
    let mut given_up = task::spawn(service.oneshot(request(RepeatAfter::Failed)));
    assert_pending!(given_up.poll());
    drop(given_up);
    tokio::time::advance(secs(10)).await;
    assert_eq!(script.calls(), 1);
    assert_eq!(
        Arc::strong_count(&script.calls),
        1,
        "nothing is left behind"
    );
}

#[tokio::test(start_paused = true)]
async fn requests_of_foreign_types_are_repeated_by_a_closure() {
    let statuses = Arc::new(Mutex::new(VecDeque::from([503_u16, 503, 200])));
    let service = tower::service_fn(move |_: &'static str| {
        let status = statuses.lock().unwrap().pop_front();
        async move { status.ok_or_else(|| tower::BoxError::from("asked too often")) }
    });
    let policy = |request: &&'static str, result: Result<&u16, &tower::BoxError>| match result {
        Ok(503) if request.starts_with("get") => Again::after(None),
        _ => Again::No,
    };
    let layer = RetryLayer::new(params(3)).policy(policy);
    let service = layer.layer(service);
    assert_eq!(service.clone().oneshot("put").await.unwrap(), 503);
    assert_eq!(service.clone().oneshot("get").await.unwrap(), 200);
    assert_eq!(layer.retries().get(), 1);
}

#[test]
fn the_future_can_be_sent() {
    fn is_send<T: Send>() {}
    is_send::<RetryFuture<mcp_router_service::McpService, McpRequest, ByRequest>>();
}
