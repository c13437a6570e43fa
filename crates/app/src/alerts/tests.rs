use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use mcp_router_config::{LoadInput, load};
use mcp_router_transport::client::Posted;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::counts::Fate;
use super::*;

const S: Duration = Duration::from_secs(1);

type Told = mpsc::UnboundedReceiver<(Instant, HeaderMap, Value)>;

/// A receiver of the kind of `config` that answers as `answer` says, and what it is told when.
fn receiver(
    alerts: &Alerts,
    config: &AlertConfig,
    answer: impl Fn(usize) -> Result<u16, &'static str> + Send + Sync + 'static,
) -> (Sink, Told) {
    let (tell, told) = mpsc::unbounded_channel();
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let post: sink::Post = Arc::new(move |headers, body: Bytes| {
        let body = serde_json::from_slice(&body).unwrap();
        let _ = tell.send((Instant::now(), headers, body));
        let answer = answer(asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        Box::pin(async move {
            Ok(Posted {
                status: StatusCode::from_u16(answer?).unwrap(),
                retry_after: None,
                body: Bytes::new(),
            })
        })
    });
    let (name, counts) = (alerts.shared.router.clone(), alerts.shared.counts.clone());
    let way = (post, "host".to_owned());
    (Sink::start(config.clone(), way, name, counts), told)
}

fn configs(text: &str) -> Vec<AlertConfig> {
    use std::io::Write;
    let mut file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    write!(file, "backends: []\nalerts: {text}").unwrap();
    let input = LoadInput {
        path: Some(file.path().to_owned()),
        ..LoadInput::default()
    };
    load(&input).unwrap().config.alerts
}

fn webhook() -> Vec<AlertConfig> {
    configs("[{ type: webhook, url: 'http://h/', headers: { X-Key: k } }]")
}

/// Backends as a test sets them.
#[derive(Clone, Default)]
struct Stage(Arc<Mutex<Option<Vec<Seen>>>>);

impl Stage {
    fn set(&self, backends: &[(&str, Health)]) {
        let seen = |(name, health): &(&str, Health)| Seen {
            backend: (*name).into(),
            namespace: None,
            health: *health,
            reason: "probe failed: no answer".to_owned(),
        };
        *self.0.lock().unwrap() = Some(backends.iter().map(seen).collect());
    }

    fn stop(&self) {
        *self.0.lock().unwrap() = None;
    }
}

/// Alerts over `stage` with one webhook that answers so.
fn alerts_with(
    stage: &Stage,
    answer: impl Fn(usize) -> Result<u16, &'static str> + Send + Sync + 'static,
) -> (Alerts, Told) {
    let alerts = Alerts::new("front");
    let (sink, told) = receiver(&alerts, &webhook()[0], answer);
    alerts.shared.state().sinks = vec![Arc::new(sink)];
    let stage = stage.clone();
    alerts.look_at(move || stage.0.lock().unwrap().clone());
    (alerts, told)
}

fn alerts(stage: &Stage) -> (Alerts, Told) {
    alerts_with(stage, |_| Ok(204))
}

async fn next(told: &mut Told) -> (Instant, Value) {
    let (at, _, body) = told.recv().await.unwrap();
    (at, body)
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_told_once_within_seconds_and_so_is_its_end() {
    let stage = Stage::default();
    stage.set(&[("db", Health::Well), ("web", Health::Well)]);
    let (alerts, mut told) = alerts(&stage);
    sleep(60 * S).await;
    stage.set(&[("db", Health::Ailing), ("web", Health::Well)]);
    let died = Instant::now();
    let (at, headers, out) = told.recv().await.unwrap();
    assert!(at - died <= 7 * S, "{:?}", at - died);
    assert_eq!(headers["x-key"], "k");
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(out["event"], "backend_unhealthy");
    assert_eq!(out["backend"], "db");
    assert_eq!(out["reason"], "probe failed: no answer");
    assert_eq!(out["router"], "front");
    sleep(3600 * S).await;
    assert!(told.try_recv().is_err(), "it is told once");
    stage.set(&[("db", Health::Well), ("web", Health::Well)]);
    let returned = Instant::now();
    let (at, back) = next(&mut told).await;
    assert!(at - returned <= 12 * S, "{:?}", at - returned);
    assert_eq!(back["event"], "backend_recovered");
    assert_eq!(back["since"], out["since"]);
    sleep(3600 * S).await;
    assert!(told.try_recv().is_err(), "its end is told once");
    let sent = alerts
        .counts()
        .all()
        .find(|(_, fate, _)| *fate == Fate::Sent);
    assert_eq!(sent, Some(("webhook", Fate::Sent, 2)));
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_never_came_is_told_after_the_grace() {
    let stage = Stage::default();
    stage.set(&[
        ("db", Health::Ailing),
        ("lazy", Health::Unknown),
        ("off", Health::Off),
    ]);
    let start = Instant::now();
    let (_alerts, mut told) = alerts(&stage);
    let (at, out) = next(&mut told).await;
    assert_eq!((at - start).as_secs(), 30);
    assert_eq!(out["backend"], "db");
    sleep(3600 * S).await;
    assert!(told.try_recv().is_err(), "nothing is known of the others");
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_taken_away_is_out_no_longer() {
    for gone in [&[][..], &[("db", Health::Off)]] {
        let stage = Stage::default();
        stage.set(&[("db", Health::Ailing)]);
        let (_alerts, mut told) = alerts(&stage);
        assert_eq!(next(&mut told).await.1["event"], "backend_unhealthy");
        stage.set(gone);
        let (_, back) = next(&mut told).await;
        assert_eq!(back["event"], "backend_recovered");
        assert_eq!(back["reason"], "it is no longer in use");
    }
}

#[tokio::test(start_paused = true)]
async fn a_router_that_stops_tells_of_no_backend_that_it_closes() {
    let stage = Stage::default();
    stage.set(&[("db", Health::Well)]);
    let (alerts, mut told) = alerts(&stage);
    sleep(10 * S).await;
    stage.stop();
    sleep(2 * S).await;
    stage.set(&[("db", Health::Ailing)]);
    sleep(60 * S).await;
    alerts.close().await;
    assert!(told.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_away_is_told_later_in_order() {
    let stage = Stage::default();
    stage.set(&[("db", Health::Ailing)]);
    let answers = [
        Err("no connection"),
        Ok(503),
        Ok(429),
        Err("no answer in 10 s"),
    ];
    let (alerts, mut told) = alerts_with(&stage, move |at| {
        answers.get(at).copied().unwrap_or(Ok(200))
    });
    let mut at = Vec::new();
    for _ in 0..5 {
        let (when, out) = next(&mut told).await;
        assert_eq!(out["event"], "backend_unhealthy");
        at.push(when);
    }
    for (pair, longest) in at.windows(2).zip([1, 2, 4, 8]) {
        let wait = pair[1] - pair[0];
        assert!(wait * 2 >= longest * S && wait <= longest * S, "{wait:?}");
    }
    stage.set(&[("db", Health::Well)]);
    assert_eq!(next(&mut told).await.1["event"], "backend_recovered");
    let count = |wanted| alerts.counts().all().find(|(_, fate, _)| *fate == wanted);
    assert_eq!(count(Fate::Retried), Some(("webhook", Fate::Retried, 4)));
}

#[tokio::test(start_paused = true)]
async fn an_outage_and_its_end_that_nobody_took_are_both_told_in_order() {
    let stage = Stage::default();
    stage.set(&[("db", Health::Ailing)]);
    let away = Instant::now() + 300 * S;
    let (_alerts, mut told) = alerts_with(&stage, move |_| match Instant::now() < away {
        true => Err("no connection"),
        false => Ok(200),
    });
    sleep(60 * S).await;
    stage.set(&[("db", Health::Well)]);
    sleep(400 * S).await;
    let mut events = Vec::new();
    while let Ok((at, _, body)) = told.try_recv() {
        if at >= away {
            events.push(body["event"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(events, ["backend_unhealthy", "backend_recovered"]);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_refuses_is_not_asked_again_and_counted() {
    let stage = Stage::default();
    stage.set(&[("db", Health::Ailing)]);
    let (alerts, mut told) = alerts_with(&stage, |_| Ok(404));
    next(&mut told).await;
    sleep(600 * S).await;
    assert!(told.try_recv().is_err());
    let failed = alerts
        .counts()
        .all()
        .find(|(_, fate, _)| *fate == Fate::Failed);
    assert_eq!(failed, Some(("webhook", Fate::Failed, 1)));
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_holds_up_no_other() {
    let stage = Stage::default();
    stage.set(&[("db", Health::Ailing)]);
    let (alerts, mut told) = alerts(&stage);
    let hanging: sink::Post = Arc::new(|_, _| Box::pin(std::future::pending()));
    let (name, counts) = (alerts.shared.router.clone(), alerts.shared.counts.clone());
    let slack = &configs("[{ type: slack, url: 'http://h/' }]")[0];
    let hanging = Sink::start(slack.clone(), (hanging, "h".to_owned()), name, counts);
    alerts.shared.state().sinks.insert(0, Arc::new(hanging));
    let begin = Instant::now();
    let (at, _) = next(&mut told).await;
    assert_eq!((at - begin).as_secs(), 30);
    let begin = Instant::now();
    alerts.close().await;
    assert_eq!(begin.elapsed(), LAST_WORDS);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_what_waits_gets_one_more_attempt_and_nobody_waits_for_another() {
    for (last, attempts) in [(Ok(200), 2), (Err("no connection"), 2)] {
        let stage = Stage::default();
        stage.set(&[("db", Health::Ailing)]);
        let (alerts, mut told) = alerts_with(&stage, move |at| match at {
            0 => Ok(503),
            _ => last,
        });
        next(&mut told).await;
        let begin = Instant::now();
        alerts.close().await;
        assert_eq!(begin.elapsed(), Duration::ZERO);
        let mut seen = 1;
        while told.recv().await.is_some() {
            seen += 1;
        }
        assert_eq!(seen, attempts);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_receiver_hears_of_outages_that_last_and_one_that_stays_hears_nothing_twice() {
    let stage = Stage::default();
    stage.set(&[("db", Health::Ailing)]);
    let (alerts, mut told) = alerts(&stage);
    next(&mut told).await;
    let both = [webhook(), configs("[{ type: slack, url: 'http://h/' }]")].concat();
    let new = Mutex::new(None);
    alerts.replace(&both, |config| {
        let (sink, heard) = receiver(&alerts, config, |_| Ok(200));
        *new.lock().unwrap() = Some((config.kind.as_str(), heard));
        Some(sink)
    });
    let (kind, mut heard) = new.lock().unwrap().take().unwrap();
    assert_eq!(kind, "slack");
    let (_, out) = next(&mut heard).await;
    assert!(out["text"].as_str().unwrap().contains("unhealthy"));
    sleep(60 * S).await;
    assert!(told.try_recv().is_err());
    // Another key is another receiver.
    let rotated = "[{ type: webhook, url: 'http://h/', headers: { X-Key: l } }]";
    let sinks = || alerts.shared.state().sinks.len();
    alerts.replace(&configs(rotated), |_| None);
    assert_eq!(sinks(), 0);
}

#[tokio::test(start_paused = true)]
async fn logs_and_debug_forms_of_a_receiver_have_its_host_alone() {
    let secret = "[{ type: webhook, url: 'http://h/s3cret?k=s3cret', headers: { X: s3cret } },
        { type: pagerduty, routing_key: s3cret }]";
    let configs = configs(secret);
    let alerts = Alerts::new("front");
    alerts.update(&configs);
    let shown = format!("{alerts:?} {configs:?}");
    assert!(shown.contains("webhook at h"), "{shown}");
    assert!(
        shown.contains("pagerduty at events.pagerduty.com"),
        "{shown}"
    );
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn what_is_told_of_a_real_backend_says_what_failed() {
    use mcp_router_core::Backend;
    use mcp_router_service::{CallError, McpRequest, McpResponse, Reason, Sent};
    let gone = tower::service_fn(|_: McpRequest| async {
        let error = CallError::new(Reason::ConnectFailed, Sent::No);
        Err::<McpResponse, _>(error.detail("connection refused"))
    });
    let off = Backend::disabled("off".parse().unwrap());
    let backend = Backend::new("db".parse().unwrap(), gone);
    let router = Router::builder()
        .backend(backend)
        .backend(off)
        .build()
        .unwrap();
    router.ready().await;
    let seen: Vec<_> = router.backends().iter().map(Seen::of).collect();
    assert_eq!(
        (seen[0].health, seen[1].health),
        (Health::Ailing, Health::Off)
    );
    assert_eq!(
        seen[0].reason,
        "list failed: connect_failed (connection refused)"
    );
    router.close().await;
}
