//! Backends that are probed, that flap, and that sleep.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::FutureExt;
use mcp_router_health::{BreakerParams, CircuitState, ProbeParams};
use mcp_router_layers::{BreakerLayer, Endpoint, Probe, Stage};
use mcp_router_protocol::{ItemKind, Method};
use mcp_router_service::{BackendEvent, ProbeFailure, Prober, Pulse, Reason, Sent};
use serde_json::json;
use tokio::time::{Instant, sleep};
use tower::Layer;

use super::live::{listen, next};
use super::mock::{Answer, Mock, names, router, try_ask};
use crate::{Backend, Router, State};

/// What the next probes find; `None`: silence.
#[derive(Clone)]
struct Pulses(Arc<Mutex<Option<Result<Pulse, ProbeFailure>>>>);

impl Pulses {
    fn well() -> Self {
        Self(Arc::new(Mutex::new(Some(Ok(Pulse::Well)))))
    }

    fn set(&self, found: Option<Result<Pulse, ProbeFailure>>) {
        *self.0.lock().unwrap() = found;
    }

    fn prober(&self) -> Prober {
        let pulses = self.clone();
        Arc::new(move || {
            let found = pulses.0.lock().unwrap().clone();
            match found {
                Some(found) => std::future::ready(found).boxed(),
                None => std::future::pending().boxed(),
            }
        })
    }
}

/// A backend behind a breaker, as an application puts it together.
struct Probed {
    mock: Mock,
    pulses: Pulses,
    endpoint: Endpoint,
}

fn backend() -> (Probed, Backend) {
    let (mock, events) = Mock::new(&["t"]);
    let (pulses, endpoint) = (Pulses::well(), Endpoint::new("e", BreakerParams::default()));
    let backend = Backend::new(
        "a".parse().unwrap(),
        BreakerLayer::new(endpoint.clone()).layer(mock.clone()),
    )
    .events(mock.events(events))
    .namespace("a".parse().unwrap())
    .endpoints(vec![endpoint.clone()])
    .source(
        endpoint.clone(),
        mcp_router_service::McpService::new(mock.clone()),
    )
    .probe(endpoint.clone(), pulses.prober(), ProbeParams::default());
    mock.connect();
    let probed = Probed {
        mock,
        pulses,
        endpoint,
    };
    (probed, backend)
}

async fn started() -> (Probed, Router) {
    let (probed, backend) = backend();
    let router = router(Router::builder().backend(backend));
    router.ready().await;
    sleep(Duration::from_millis(10)).await;
    assert_eq!(probed.endpoint.probe(), Probe::Up);
    (probed, router)
}

fn nobody() -> Option<Result<Pulse, ProbeFailure>> {
    Some(Err(ProbeFailure::counting("connect_failed")))
}

async fn called(router: &Router) -> Result<(), Reason> {
    let call = try_ask(router, Method::ToolsCall, json!({ "name": "a.t" })).await;
    call.map(drop).map_err(|error| error.reason)
}

/// Seconds until the backend is in `state`.
async fn until(router: &Router, state: State) -> u64 {
    let start = Instant::now();
    while router.backends()[0].state != state {
        sleep(Duration::from_millis(100)).await;
        assert!(
            start.elapsed() < Duration::from_secs(600),
            "never {state:?}"
        );
    }
    start.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn with_defaults_and_no_traffic_an_outage_is_known_within_60_seconds() {
    for found in [None, nobody()] {
        let (probed, router) = started().await;
        probed.pulses.set(found);
        let took = until(&router, State::Down).await;
        assert!(took <= 60, "{took}");
        let failure = probed.endpoint.last_failure().unwrap();
        assert_eq!(failure.stage, Stage::Probe);
        assert!(failure.next_retry.unwrap() <= Instant::now() + Duration::from_secs(5));
        assert!(!router.backends()[0].healthy);
        // And so is its end.
        probed.pulses.set(Some(Ok(Pulse::Well)));
        let took = until(&router, State::Ready).await;
        assert!(took <= 10, "{took}");
        assert_eq!(probed.endpoint.probe(), Probe::Up);
    }
}

#[tokio::test(start_paused = true)]
async fn two_lost_probes_are_no_outage() {
    let (probed, router) = started().await;
    probed.pulses.set(nobody());
    while probed.endpoint.failures() < 2 {
        sleep(Duration::from_millis(100)).await;
    }
    probed.pulses.set(Some(Ok(Pulse::Well)));
    sleep(Duration::from_secs(120)).await;
    assert_eq!(router.backends()[0].state, State::Ready);
    assert_eq!(
        (probed.endpoint.probe(), probed.endpoint.failures()),
        (Probe::Up, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn tools_of_a_backend_that_is_down_by_its_probes_stay_listed_for_5_minutes() {
    let (probed, router) = started().await;
    probed.pulses.set(nobody());
    until(&router, State::Down).await;
    sleep(Duration::from_secs(295)).await;
    assert_eq!(names(&router, ItemKind::Tool).await, ["a.t"]);
    sleep(Duration::from_secs(10)).await;
    assert!(names(&router, ItemKind::Tool).await.is_empty());
    probed.pulses.set(Some(Ok(Pulse::Well)));
    until(&router, State::Ready).await;
    assert_eq!(names(&router, ItemKind::Tool).await, ["a.t"]);
}

#[tokio::test(start_paused = true)]
async fn probes_that_find_nobody_open_the_circuit_and_are_its_trials_without_traffic() {
    let (probed, router) = started().await;
    let endpoint = &probed.endpoint;
    probed.pulses.set(nobody());
    while endpoint.state() == CircuitState::Closed {
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(endpoint.failures(), 5);
    probed.pulses.set(Some(Ok(Pulse::Well)));
    let opened = Instant::now();
    assert_eq!(called(&router).await, Err(Reason::CircuitOpen));
    // Listed all the same: an open circuit hides no tools.
    until(&router, State::Ready).await;
    while endpoint.state() != CircuitState::Closed {
        sleep(Duration::from_millis(100)).await;
    }
    // 60 s open, then three successes in a row, 5 s apart.
    let took = opened.elapsed().as_secs();
    assert!((60..=80).contains(&took), "{took}");
    assert_eq!(called(&router).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_says_it_is_unwell_is_down_and_its_circuit_stays_closed() {
    let (probed, router) = started().await;
    probed
        .pulses
        .set(Some(Err(ProbeFailure::unwell("HTTP 503"))));
    until(&router, State::Down).await;
    sleep(Duration::from_secs(200)).await;
    assert_eq!(probed.endpoint.state(), CircuitState::Closed);
    assert_eq!(probed.endpoint.failures(), 0);
    assert_eq!(called(&router).await, Ok(()), "it is tried all the same");
}

#[tokio::test(start_paused = true)]
async fn silence_to_a_probe_is_no_failure_while_a_call_is_in_flight() {
    let (probed, router) = started().await;
    probed.mock.answer(Answer::Hang);
    probed.pulses.set(None);
    let call = tokio::spawn({
        let router = router.clone();
        async move { called(&router).await }
    });
    sleep(Duration::from_secs(120)).await;
    assert_eq!(router.backends()[0].state, State::Ready);
    assert_eq!(probed.endpoint.failures(), 0);
    call.abort();
    let took = until(&router, State::Down).await;
    assert!(took <= 60, "{took}");
}

#[tokio::test(start_paused = true)]
async fn f1_a_backend_that_appears_late_joins_within_a_probe_interval_though_its_circuit_is_open() {
    let (probed, backend) = backend();
    probed.mock.lose();
    probed.pulses.set(nobody());
    probed
        .mock
        .answer(Answer::Fail(Reason::ConnectFailed, Sent::No));
    let router = router(Router::builder().backend(backend));
    router.ready().await;
    sleep(Duration::from_secs(40)).await;
    assert_eq!(probed.endpoint.state(), CircuitState::Open);
    probed.pulses.set(Some(Ok(Pulse::Well)));
    probed.mock.connect();
    let took = until(&router, State::Ready).await;
    assert!(took <= 30, "{took}");
    assert_eq!(names(&router, ItemKind::Tool).await, ["a.t"]);
}

#[tokio::test(start_paused = true)]
async fn f15_a_backend_that_flaps_with_another_list_each_time_is_news_4_times_a_minute() {
    let (probed, router) = started().await;
    let mut stream = listen(&router, json!({ "toolsListChanged": true })).await;
    next(&mut stream).await;
    let news = Arc::new(Mutex::new(Vec::new()));
    let heard = news.clone();
    let hearing = tokio::spawn(async move {
        loop {
            next(&mut stream).await;
            heard.lock().unwrap().push(Instant::now());
        }
    });
    for n in 0..300 {
        probed.mock.lose();
        sleep(Duration::from_millis(500)).await;
        let tool = format!("t{n}");
        probed.mock.list(ItemKind::Tool, &[&[&tool]]);
        probed.mock.connect();
        sleep(Duration::from_millis(500)).await;
        assert_eq!(router.backends()[0].state, State::Ready, "listed in time");
    }
    sleep(Duration::from_secs(120)).await;
    hearing.abort();
    let news = news.lock().unwrap().clone();
    let minute = |from: &Instant| {
        let end = *from + Duration::from_secs(60);
        news.iter().filter(|at| (*from..end).contains(at)).count()
    };
    assert!(news.len() >= 4);
    assert!(news.iter().map(minute).max() <= Some(4), "{news:?}");
    // What it listed last is shown in the end.
    assert_eq!(names(&router, ItemKind::Tool).await, ["a.t299"]);
}

#[tokio::test(start_paused = true)]
async fn a_lazy_backend_is_woken_by_the_first_list_and_keeps_its_items_when_it_sleeps_again() {
    let (mock, events) = Mock::new(&["t"]);
    mock.event(BackendEvent::Asleep);
    let backend = mock.as_backend("a", events).namespace("a".parse().unwrap());
    let start = Instant::now();
    let router = router(Router::builder().backend(backend));
    router.ready().await;
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "nobody waits for it"
    );
    assert_eq!(router.backends()[0].state, State::Asleep);
    assert!(!router.backends()[0].healthy, "nothing is known of it");
    assert_eq!(names(&router, ItemKind::Tool).await, ["a.t"]);
    let listed = mock.listed();
    mock.event(BackendEvent::Asleep);
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(names(&router, ItemKind::Tool).await, ["a.t"]);
    assert_eq!(mock.listed(), listed, "a list does not wake it again");
    let status = &router.backends()[0];
    assert_eq!(
        (status.state, status.healthy, status.is_running),
        (State::Asleep, true, false)
    );
}

#[tokio::test(start_paused = true)]
async fn a_lazy_backend_is_woken_by_the_first_call_into_its_namespace() {
    let (mock, events) = Mock::new(&["t"]);
    mock.event(BackendEvent::Asleep);
    let backend = mock.as_backend("a", events).namespace("a".parse().unwrap());
    let router = router(Router::builder().backend(backend));
    // Not even the start is waited for, and the second caller waits for what the first one woke.
    let both = futures::future::join(called(&router), called(&router)).await;
    assert_eq!(both, (Ok(()), Ok(())));
    assert_eq!(mock.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_fell_asleep_unwell_is_not_held_against_it() {
    let (probed, router) = started().await;
    probed.pulses.set(nobody());
    until(&router, State::Down).await;
    probed.pulses.set(Some(Ok(Pulse::Asleep)));
    probed.mock.event(BackendEvent::Asleep);
    sleep(Duration::from_secs(6)).await;
    assert_eq!(probed.endpoint.probe(), Probe::Unknown);
    assert_eq!(router.backends()[0].state, State::Asleep);
    assert_eq!(names(&router, ItemKind::Tool).await, ["a.t"]);
}
