//! Failed calls: who is asked next, and who is not.

use std::time::Duration;

use mcp_router_health::{BreakerParams, Safety, Verdict};
use mcp_router_layers::{BreakerLayer, Endpoint, RetryLayer, RetryParams};
use mcp_router_protocol::{ItemKind, Method};
use mcp_router_service::{CallError, McpRequest, Pin, Reason, Repeat, RepeatAfter, Sent, Trail};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::mock::{Answer, Mock, ask, router, try_ask};
use crate::{Backend, Router};

/// A backend of namespace `n`, and the mock behind it, with the tool `t` annotated like this.
fn member(name: &str, priority: u32, annotations: Value) -> (Mock, Backend) {
    let (mock, events) = Mock::new(&[]);
    mock.annotate("t", annotations);
    mock.connect();
    let backend = mock.as_backend(name, events).priority(priority);
    (mock, backend.namespace("n".parse().unwrap()))
}

fn idempotent() -> Value {
    json!({ "idempotentHint": true })
}

/// Three backends of one namespace, tried in this order.
struct Scene {
    mocks: [Mock; 3],
    router: Router,
}

impl Scene {
    async fn new(annotations: Value, with: impl Fn(Backend) -> Backend) -> Self {
        let mut builder = Router::builder();
        let mocks = ["a", "b", "c"].map(|name| {
            let priority = u32::from(name.as_bytes()[0]);
            let (mock, backend) = member(name, priority, annotations.clone());
            builder = std::mem::take(&mut builder).backend(with(backend));
            mock
        });
        let router = router(builder);
        router.ready().await;
        Self { mocks, router }
    }

    async fn call(&self) -> Result<(), CallError> {
        let call = try_ask(&self.router, Method::ToolsCall, json!({ "name": "n.t" }));
        call.await.map(drop)
    }

    fn counts(&self) -> [usize; 3] {
        self.mocks.each_ref().map(|m| m.calls().len())
    }
}

fn plain(backend: Backend) -> Backend {
    backend
}

/// Every kind of failure, and whether the call cannot have run (by refusal, or for sure).
fn failures() -> Vec<(Answer, Option<Sent>)> {
    use Reason::{
        BackendLost, BackendStatus, CircuitOpen, ConnectFailed, Draining, Overloaded,
        ProtocolError, Timeout, TooLarge,
    };
    vec![
        (Answer::Fail(ConnectFailed, Sent::No), Some(Sent::No)),
        (Answer::Fail(CircuitOpen, Sent::No), Some(Sent::No)),
        (Answer::Fail(Overloaded, Sent::No), Some(Sent::No)),
        (Answer::Fail(Timeout, Sent::No), Some(Sent::No)),
        (
            Answer::Status(429, Sent::RejectedUnexecuted, None),
            Some(Sent::RejectedUnexecuted),
        ),
        (
            Answer::Status(503, Sent::RejectedUnexecuted, Some(1)),
            Some(Sent::RejectedUnexecuted),
        ),
        (Answer::Fail(Timeout, Sent::Unknown), Some(Sent::Unknown)),
        (
            Answer::Fail(BackendLost, Sent::Unknown),
            Some(Sent::Unknown),
        ),
        (
            Answer::Fail(ProtocolError, Sent::Unknown),
            Some(Sent::Unknown),
        ),
        (
            Answer::Fail(BackendStatus, Sent::Unknown),
            Some(Sent::Unknown),
        ),
        (
            Answer::Status(503, Sent::Unknown, None),
            Some(Sent::Unknown),
        ),
        (
            Answer::Status(500, Sent::Unknown, None),
            Some(Sent::Unknown),
        ),
        // Nobody would do better, or nobody may be asked again.
        (Answer::Status(401, Sent::RejectedUnexecuted, None), None),
        (Answer::Status(400, Sent::Unknown, None), None),
        (Answer::Fail(Draining, Sent::No), None),
        (Answer::Fail(TooLarge, Sent::Unknown), None),
    ]
}

#[tokio::test(start_paused = true)]
async fn r43_a_call_moves_on_only_after_failures_that_allow_it() {
    for (safety, annotations, least) in [
        (Safety::Strict, json!({}), RepeatAfter::NotSent),
        (Safety::Strict, idempotent(), RepeatAfter::NotSent),
        (Safety::Standard, json!({}), RepeatAfter::Refused),
        (Safety::Standard, idempotent(), RepeatAfter::Failed),
        (
            Safety::Standard,
            json!({ "readOnlyHint": true }),
            RepeatAfter::Failed,
        ),
        (Safety::Trusting, json!({}), RepeatAfter::Failed),
    ] {
        for (answer, sent) in failures() {
            let scene = Scene::new(annotations.clone(), |b| b.safety(safety)).await;
            scene.mocks[0].answer(answer.clone());
            let moves = match sent {
                Some(Sent::No) => true,
                Some(Sent::RejectedUnexecuted) => least >= RepeatAfter::Refused,
                Some(Sent::Unknown) => least >= RepeatAfter::Failed,
                None => false,
            };
            let start = tokio::time::Instant::now();
            assert_eq!(scene.call().await.is_ok(), moves, "{safety} {answer:?}");
            assert_eq!(
                scene.counts(),
                [1, usize::from(moves), 0],
                "{safety} {answer:?}"
            );
            assert!(start.elapsed().is_zero(), "another one is asked at once");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn i3_an_unsafe_call_that_may_have_run_is_sent_to_nobody_else() {
    // Whatever happens at the three backends, in any combination.
    let all = failures();
    for (first, _) in &all {
        for (second, _) in &all {
            let scene = Scene::new(json!({}), plain).await;
            scene.mocks[0].answer(first.clone());
            scene.mocks[1].answer(second.clone());
            let result = scene.call().await;
            let may_run = |answer: &Answer| match answer {
                Answer::Fail(_, sent) | Answer::Status(_, sent, _) => *sent == Sent::Unknown,
                Answer::Result(_) | Answer::Hang | Answer::WantsHeader | Answer::Interim(_) => true,
            };
            let [a, b, c] = scene.counts();
            let runs = a * usize::from(may_run(first)) + b * usize::from(may_run(second)) + c;
            assert!(runs <= 1, "{first:?} {second:?}: ran {runs} times");
            if let Err(error) = result {
                let unknown = error.sent == Sent::Unknown;
                assert_eq!(unknown, runs == 1, "i4: {first:?} {second:?}: {error}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_last_usable_one_may_be_tried_again_in_place() {
    let scene = Scene::new(idempotent(), plain).await;
    for mock in &scene.mocks {
        mock.answer(Answer::Fail(Reason::ConnectFailed, Sent::No));
    }
    let error = scene.call().await.unwrap_err();
    assert_eq!(
        (error.reason, error.sent),
        (Reason::ConnectFailed, Sent::No)
    );
    let here = scene.mocks.each_ref().map(|m| m.repeats());
    let after = RepeatAfter::Failed;
    let seen = |here| vec![Repeat { after, here }];
    assert_eq!(here, [seen(false), seen(false), seen(true)]);
    // One that is down comes after it, and is asked once.
    scene.mocks[2].lose();
    tokio::time::sleep(Duration::from_millis(1)).await;
    scene.call().await.unwrap_err();
    let here = scene.mocks.each_ref().map(|m| m.repeats()[1].here);
    assert_eq!(here, [false, true, false]);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_while_another_usable_backend_is_left() {
    let retrying = |backend: Backend| backend.layer(RetryLayer::new(RetryParams::default()));
    let scene = Scene::new(json!({}), retrying).await;
    scene.mocks[0].answer(Answer::Fail(Reason::ConnectFailed, Sent::No));
    let start = tokio::time::Instant::now();
    scene.call().await.unwrap();
    assert_eq!(scene.counts(), [1, 1, 0]);
    assert!(start.elapsed().is_zero());
    // All down: the last one gets its three attempts, the others one each.
    for mock in &scene.mocks {
        mock.answer(Answer::Fail(Reason::ConnectFailed, Sent::No));
    }
    scene.call().await.unwrap_err();
    assert_eq!(scene.counts(), [2, 2, 3]);
    assert!(
        start.elapsed() >= Duration::from_millis(1_500),
        "the last one was waited for"
    );
}

/// A backend behind a breaker that opens at the first failure.
fn guarded(name: &str, priority: u32) -> (Mock, Backend, Endpoint) {
    let (mock, backend) = member(name, priority, json!({}));
    let params = BreakerParams::new(1, Duration::from_secs(60), 1).unwrap();
    let endpoint = Endpoint::new(name, params);
    let backend = backend
        .layer(BreakerLayer::new(endpoint.clone()))
        .endpoints(vec![endpoint.clone()]);
    (mock, backend, endpoint)
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_comes_last_and_is_refused_at_once() {
    let (first, a, circuit) = guarded("a", 1);
    let (second, b, _) = guarded("b", 2);
    let router = router(Router::builder().backend(a).backend(b));
    router.ready().await;
    circuit.admit().unwrap().report(Verdict::Failure);
    let call = || try_ask(&router, Method::ToolsCall, json!({ "name": "n.t" }));
    call().await.unwrap();
    assert_eq!((first.calls().len(), second.calls().len()), (0, 1));
    // What went wrong at the one that was asked is told, not that the other could not be.
    second.answer(Answer::Fail(Reason::ConnectFailed, Sent::No));
    let error = call().await.unwrap_err();
    assert_eq!(error.reason, Reason::ConnectFailed);
    assert_eq!(error.backend.unwrap().as_str(), "b");
    assert!(first.calls().is_empty());
    // Both open now.
    let error = call().await.unwrap_err();
    assert_eq!((error.reason, error.sent), (Reason::CircuitOpen, Sent::No));
    assert!(error.retry_after.is_some());
    let status = &router.backends()[0];
    assert_eq!((status.circuit_state, status.healthy), ("OPEN", false));
    assert_eq!(status.next_trial_seconds, Some(60));
}

#[tokio::test(start_paused = true)]
async fn f21_a_backend_that_asked_for_peace_comes_last_until_then() {
    let (first, a, _) = guarded("a", 1);
    let (second, b, _) = guarded("b", 2);
    let router = router(Router::builder().backend(a).backend(b));
    router.ready().await;
    let call = || ask(&router, Method::ToolsCall, json!({ "name": "n.t" }));
    first.answer(Answer::Status(429, Sent::RejectedUnexecuted, Some(5)));
    call().await.unwrap();
    first.answer(Answer::Result(json!({})));
    call().await.unwrap();
    assert_eq!((first.calls().len(), second.calls().len()), (1, 2));
    tokio::time::advance(Duration::from_secs(5)).await;
    call().await.unwrap();
    assert_eq!((first.calls().len(), second.calls().len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn r43_running_a_tool_here_and_there_takes_that_both_say_it_may() {
    let (first, a) = member("a", 1, idempotent());
    let (second, b) = member("b", 2, json!({}));
    let (third, c) = member("c", 3, idempotent());
    let builder = Router::builder().backend(a).backend(b).backend(c);
    let router = router(builder);
    router.ready().await;
    first.answer(Answer::Fail(Reason::Timeout, Sent::Unknown));
    let call = || try_ask(&router, Method::ToolsCall, json!({ "name": "n.t" }));
    call().await.unwrap();
    assert!(second.calls().is_empty());
    assert_eq!(third.calls().len(), 1);
    // The last attempt was not sent, but an earlier one may have run.
    third.answer(Answer::Fail(Reason::ConnectFailed, Sent::No));
    assert_eq!(call().await.unwrap_err().sent, Sent::Unknown);
}

#[tokio::test(start_paused = true)]
async fn what_a_tool_says_of_itself_is_believed_of_trusted_backends_alone() {
    let scene = Scene::new(idempotent(), |b| b.trusted(false)).await;
    scene.mocks[0].answer(Answer::Fail(Reason::Timeout, Sent::Unknown));
    scene.call().await.unwrap_err();
    assert_eq!(scene.counts(), [1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn prompts_resources_and_completions_move_on_after_any_failure() {
    let scene = Scene::new(json!({}), plain).await;
    for mock in &scene.mocks {
        mock.list(ItemKind::Prompt, &[&["p"]]);
        mock.list(ItemKind::Resource, &[&["x:y"]]);
        mock.list(ItemKind::Template, &[&["row://{id}"]]);
        mock.connect();
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    scene.mocks[0].answer(Answer::Fail(Reason::BackendLost, Sent::Unknown));
    let reference = json!({ "type": "ref/prompt", "name": "n.p" });
    for (asked, (method, params)) in [
        (Method::PromptsGet, json!({ "name": "n.p" })),
        (Method::ResourcesRead, json!({ "uri": "n+x:y" })),
        (Method::ResourcesRead, json!({ "uri": "n+row://7" })),
        (Method::ResourcesRead, json!({ "uri": "n+unlisted:z" })),
        (Method::Complete, json!({ "ref": reference })),
    ]
    .into_iter()
    .enumerate()
    {
        ask(&scene.router, method, params).await.unwrap();
        assert_eq!(scene.counts(), [asked + 1, asked + 1, 0]);
    }
    let strict = Scene::new(json!({}), |b| b.safety(Safety::Strict)).await;
    strict.mocks[0].list(ItemKind::Prompt, &[&["p"]]);
    strict.mocks[1].list(ItemKind::Prompt, &[&["p"]]);
    strict.mocks.iter().for_each(Mock::connect);
    tokio::time::sleep(Duration::from_millis(10)).await;
    strict.mocks[0].answer(Answer::Fail(Reason::BackendLost, Sent::Unknown));
    let get = try_ask(&strict.router, Method::PromptsGet, json!({ "name": "n.p" }));
    get.await.unwrap_err();
    assert_eq!(strict.counts(), [1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_an_answer_whatever_it_says() {
    let scene = Scene::new(idempotent(), plain).await;
    scene.mocks[0].answer(Answer::Result(json!({ "content": [], "isError": true })));
    scene.call().await.unwrap();
    assert_eq!(scene.counts(), [1, 0, 0]);
}

fn call_of_t() -> McpRequest {
    let params = mcp_router_protocol::RawParams::of(&json!({ "name": "n.t" }));
    McpRequest::new(Method::ToolsCall, params)
}

#[tokio::test(start_paused = true)]
async fn a_later_round_goes_where_the_first_went_and_nowhere_else() {
    let scene = Scene::new(idempotent(), plain).await;
    let mut request = call_of_t();
    request.context.pin = Some(Pin {
        backend: "b".parse().unwrap(),
        endpoint: "e".into(),
    });
    scene.router.clone().oneshot(request.clone()).await.unwrap();
    assert_eq!(scene.counts(), [0, 1, 0]);
    scene.mocks[1].answer(Answer::Fail(Reason::BackendLost, Sent::Unknown));
    let failed = scene.router.clone().oneshot(request.clone()).await;
    assert_eq!(failed.unwrap_err().reason, Reason::BackendLost);
    assert_eq!(scene.counts(), [0, 2, 0]);
    request.context.pin = Some(Pin {
        backend: "gone".parse().unwrap(),
        endpoint: "e".into(),
    });
    let failed = scene.router.clone().oneshot(request).await.unwrap_err();
    assert_eq!((failed.reason, failed.sent), (Reason::NoBackend, Sent::No));
    assert_eq!(scene.counts(), [0, 2, 0]);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_after_the_deadline() {
    let scene = Scene::new(idempotent(), plain).await;
    scene.mocks[0].answer(Answer::Fail(Reason::Timeout, Sent::Unknown));
    let mut request = call_of_t();
    request.context.deadline = mcp_router_service::Deadline::after(Duration::ZERO);
    let error = scene.router.clone().oneshot(request).await.unwrap_err();
    assert_eq!(error.reason, Reason::Timeout);
    assert_eq!(scene.counts(), [1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn the_trail_has_every_backend_that_was_asked() {
    let scene = Scene::new(idempotent(), plain).await;
    scene.mocks[0].answer(Answer::Fail(Reason::Timeout, Sent::Unknown));
    scene.mocks[1].answer(Answer::Fail(Reason::Overloaded, Sent::No));
    let mut request = call_of_t();
    let trail = Trail::recording();
    request.context.trail = trail.clone();
    scene.router.clone().oneshot(request).await.unwrap();
    assert_eq!(trail.last(), (Some("c".parse().unwrap()), 3));
    let notes = trail.notes();
    let earlier: Vec<_> = notes.earlier.iter().map(|v| v.backend.as_str()).collect();
    assert_eq!(earlier, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_asks_nobody_else() {
    let scene = Scene::new(idempotent(), plain).await;
    scene.mocks[0].answer(Answer::Hang);
    let dropped = tokio::time::timeout(Duration::from_secs(1), scene.call()).await;
    assert!(dropped.is_err());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(scene.counts(), [1, 0, 0]);
}
