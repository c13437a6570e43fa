//! The whole stack of one backend under a random schedule of faults, with callers that go away at
//! any time, judged by what the backend itself knows to have run.
//!
//! A failure names its seed; `STACK_SEED` runs that one again, `STATE_MACHINE_STEPS` says how many
//! calls to make at least.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use mcp_router_health::{BreakerParams, CircuitState};
use mcp_router_layers::{
    BreakerLayer, CallStats, Endpoint, LimitLayer, LimitParams, MetricsLayer, RetryLayer,
    RetryParams, TimeoutLayer,
};
use mcp_router_protocol::{Method, RawJson, RawParams};
use mcp_router_service::{
    CallError, Class, Deadline, Event, McpRequest, McpResponse, McpService, Outcome, Reason,
    RepeatAfter, ResponseStream, Sent,
};
use tokio::time::{Instant, sleep, timeout};
use tower::{Service, ServiceBuilder, ServiceExt};

const CALLS: usize = 400;
const PERMITS: usize = 8;

#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    NoConnection,
    Throttled,
    ComeBack,
    Status,
    Lost,
    Hang,
    Stream,
    StreamLost,
    StreamHangs,
}

impl Fault {
    const ALL: [Self; 10] = [
        Self::None,
        Self::NoConnection,
        Self::Throttled,
        Self::ComeBack,
        Self::Status,
        Self::Lost,
        Self::Hang,
        Self::Stream,
        Self::StreamLost,
        Self::StreamHangs,
    ];

    /// Whether the tool runs although the answer may not arrive.
    fn runs(self) -> bool {
        !matches!(self, Self::NoConnection | Self::Throttled | Self::ComeBack)
    }
}

/// Runs tools, and knows how often each call ran.
#[derive(Clone)]
struct Backend {
    endpoint: Endpoint,
    rng: Arc<Mutex<fastrand::Rng>>,
    ran: Arc<Mutex<HashMap<usize, u32>>>,
    serving: Arc<AtomicUsize>,
    well: bool,
}

struct Serving(Arc<AtomicUsize>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn done() -> Result<Event, CallError> {
    Ok(Event::Outcome(Outcome::Complete(RawJson::from_static(
        "{}",
    ))))
}

fn progress() -> Result<Event, CallError> {
    Ok(Event::Notification {
        method: Method::Progress,
        params: RawParams::default(),
    })
}

fn lost() -> CallError {
    CallError::new(Reason::BackendLost, Sent::Unknown)
}

fn status(status: u16, sent: Sent) -> CallError {
    CallError::new(Reason::BackendStatus, sent).status(status)
}

impl Backend {
    fn fault(&self) -> (Fault, u64) {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = if self.well || rng.bool() {
            Fault::None
        } else {
            Fault::ALL[rng.usize(..Fault::ALL.len())]
        };
        (fault, rng.u64(0..200))
    }
}

impl Service<McpRequest> for Backend {
    type Response = McpResponse;
    type Error = CallError;
    type Future = BoxFuture<'static, Result<McpResponse, CallError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: McpRequest) -> Self::Future {
        assert_ne!(self.endpoint.state(), CircuitState::Open, "I8");
        let before = self.serving.fetch_add(1, Ordering::Relaxed);
        assert!(before < PERMITS, "{before} were being served");
        let serving = Serving(self.serving.clone());
        let (fault, ms) = self.fault();
        let nonce = request.params.name().expect("a name").parse();
        let nonce: usize = nonce.expect("the calls are named by numbers");
        let ran = self.ran.clone();
        Box::pin(async move {
            sleep(Duration::from_millis(ms)).await;
            if fault.runs() {
                let mut ran = ran.lock().unwrap_or_else(PoisonError::into_inner);
                *ran.entry(nonce).or_default() += 1;
            }
            let after = Some(Duration::from_secs(ms % 5));
            match fault {
                Fault::None => Ok(McpResponse::complete(RawJson::from_static("{}"))),
                Fault::NoConnection => Err(CallError::new(Reason::ConnectFailed, Sent::No)),
                Fault::Throttled => Err(status(429, Sent::RejectedUnexecuted).retry_after(after)),
                Fault::ComeBack => Err(status(503, Sent::RejectedUnexecuted).retry_after(after)),
                Fault::Status => Err(status(502, Sent::Unknown)),
                Fault::Lost => Err(lost()),
                Fault::Hang => std::future::pending().await,
                Fault::Stream => Ok(streamed(vec![progress(), done()], false, serving)),
                Fault::StreamLost => Ok(streamed(vec![progress(), Err(lost())], false, serving)),
                Fault::StreamHangs => Ok(streamed(vec![progress()], true, serving)),
            }
        })
    }
}

fn streamed(events: Vec<Result<Event, CallError>>, hangs: bool, serving: Serving) -> McpResponse {
    let events = stream::iter(events).then(|event| async {
        sleep(Duration::from_millis(30)).await;
        event
    });
    let tail = if hangs {
        stream::pending().boxed()
    } else {
        stream::empty().boxed()
    };
    let events = events.chain(tail).map(move |event| {
        let _held = &serving;
        event
    });
    McpResponse::Stream(ResponseStream::new(events))
}

fn request(nonce: usize, safe: bool, limit: Duration) -> McpRequest {
    let json = format!(r#"{{"name":"{nonce}","arguments":{{}}}}"#);
    let params = RawParams::parse(Some(json.into())).expect("an object");
    let mut request = McpRequest::new(Method::ToolsCall, params);
    request.context.deadline = Deadline::with_cap(limit, limit);
    if safe {
        request.context.repeat.after = RepeatAfter::Failed;
    }
    request
}

/// One call from its start to its end, or until its caller goes away.
async fn call(stack: McpService, backend: Backend, nonce: usize, mut rng: fastrand::Rng) {
    sleep(Duration::from_millis(rng.u64(0..60_000))).await;
    let (safe, limit) = (rng.bool(), Duration::from_secs(rng.u64(1..20)));
    let patience = Duration::from_millis(rng.u64(0..30_000));
    let start = Instant::now();
    let request = request(nonce, safe, limit);
    let whole = async { stack.oneshot(request).await?.outcome().await };
    let Ok(result) = timeout(patience, whole).await else {
        return; // went away
    };
    assert!(start.elapsed() <= limit + Duration::from_millis(250), "I1");
    let ran = backend.ran.lock().unwrap_or_else(PoisonError::into_inner);
    let ran = ran.get(&nonce).copied().unwrap_or(0);
    match result {
        Ok(_) if !safe => assert_eq!(ran, 1, "I5"),
        Ok(_) => assert!(ran >= 1),
        Err(error) if error.sent != Sent::Unknown => assert_eq!(ran, 0, "I4: {error:?}"),
        Err(_) => {}
    }
    assert!(safe || ran <= 1, "I3");
}

async fn schedule(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let breaker = BreakerParams::new(3, Duration::from_secs(1), 2).expect("in range");
    let (endpoint, stats) = (Endpoint::new("e", breaker), CallStats::new());
    let mut backend = Backend {
        endpoint: endpoint.clone(),
        rng: Arc::new(Mutex::new(rng.fork())),
        ran: Arc::default(),
        serving: Arc::default(),
        well: false,
    };
    let layers = ServiceBuilder::new()
        .layer(MetricsLayer::new(stats.clone()))
        .layer(LimitLayer::new(LimitParams {
            max_concurrency: PERMITS,
            max_queue: 4,
            max_wait: Duration::from_secs(1),
        }))
        .layer(RetryLayer::new(RetryParams::default()))
        .layer(BreakerLayer::new(endpoint.clone()))
        .layer(TimeoutLayer::new(Duration::from_secs(2)));
    let stack = McpService::new(layers.clone().service(backend.clone()));
    let calls = (0..CALLS)
        .map(|nonce| tokio::spawn(call(stack.clone(), backend.clone(), nonce, rng.fork())));
    for call in calls.collect::<Vec<_>>() {
        call.await.expect("no broken invariant");
    }
    let ended = [
        Class::Success,
        Class::Failure,
        Class::Throttled,
        Class::Neutral,
    ];
    let ended: u64 = ended.map(|class| stats.ended(class)).iter().sum();
    assert_eq!(ended + stats.given_up(), CALLS as u64, "one outcome each");
    assert!(stats.ended(Class::Success) > 0);
    // I7: at rest everything is back.
    assert_eq!(backend.serving.load(Ordering::Relaxed), 0);
    assert_eq!((endpoint.in_flight(), stats.in_flight()), (0, 0));
    // And a backend that is well again is used again, with all its permits.
    backend.well = true;
    sleep(Duration::from_secs(61)).await;
    let well = layers.service(backend.clone());
    for nonce in 0..2 {
        let request = request(CALLS + nonce, false, Duration::from_secs(9));
        well.clone()
            .oneshot(request)
            .await
            .expect("a trial that goes well");
    }
    assert_eq!(endpoint.state(), CircuitState::Closed);
}

#[test]
fn i1_i3_i4_i5_i7_hold_under_random_faults_and_callers_that_go_away() {
    let only = std::env::var("STACK_SEED")
        .ok()
        .and_then(|s| s.parse().ok());
    let calls = std::env::var("STATE_MACHINE_STEPS")
        .ok()
        .and_then(|s| s.parse().ok());
    let schedules = calls.unwrap_or(10_000_usize).div_ceil(CALLS) as u64;
    for seed in only.map_or(0..schedules, |seed| seed..seed + 1) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let run = std::panic::AssertUnwindSafe(|| runtime.block_on(schedule(seed)));
        assert!(std::panic::catch_unwind(run).is_ok(), "STACK_SEED={seed}");
    }
}
