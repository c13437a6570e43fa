//! People are told when a backend is out, and when it is back.

use std::time::{Duration, Instant};

use mcp_router_tests::fixture::Fixture;
use mcp_router_tests::harness::{Router, StdioRouter};
use serde_json::Value;

use super::receiver::{Post, Receiver};

/// Probes and circuit, so that nobody waits for a minute.
const QUICK: &str = "health_check: { interval_seconds: 1, timeout_seconds: 1 }, \
    circuit_breaker: { timeout_seconds: 1, half_open_attempts: 1 }";

/// Backends, of which `db` is at `backend`, and three receivers.
fn file(backend: &Fixture, receiver: &Receiver) -> String {
    format!(
        "backends:\n  - {{ name: db, namespace: db, url: \"{}\", {QUICK} }}\n{}",
        backend.url(),
        receivers(receiver)
    )
}

fn receivers(receiver: &Receiver) -> String {
    let url = |path| receiver.url(path);
    format!(
        "alerts:\n  - {{ type: webhook, url: \"{}\", headers: {{ X-Token: \"${{TOKEN}}\" }} }}\n  \
         - {{ type: slack, url: \"{}\" }}\n  \
         - {{ type: pagerduty, url: \"{}\", routing_key: \"${{KEY}}\" }}\n",
        url("/hook-s3cret"),
        url("/slack-s3cret"),
        url("/pager")
    )
}

async fn start(file: &str) -> Router {
    let builder = Router::builder().config(file);
    let builder = builder.env("TOKEN", "t-s3cret").env("KEY", "k-s3cret");
    builder.start().await
}

/// Until the router has looked at its healthy backends, which it does once a second and tells
/// nobody. One that it never saw healthy is told of after the grace of the start.
async fn looked_at() {
    tokio::time::sleep(Duration::from_millis(2500)).await;
}

fn event(post: &Post) -> String {
    post.json()["event"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_backend_that_dies_without_traffic_is_told_once_and_so_is_its_return() {
    let (backend, receiver) = (Fixture::builder().spawn().await, Receiver::start().await);
    let router = start(&file(&backend, &receiver)).await;
    router.until_healthy("db").await;
    looked_at().await;
    backend.go_down().await;
    let died = Instant::now();
    let told = receiver.wait("/hook-s3cret", 1).await;
    assert!(told[0].at - died < Duration::from_secs(20));
    let out = told[0].json();
    assert_eq!(
        (&out["event"], &out["backend"]),
        (&"backend_unhealthy".into(), &"db".into())
    );
    assert!(
        out["reason"].as_str().unwrap().contains("failed: "),
        "{out}"
    );
    assert_eq!(told[0].headers["x-token"], "t-s3cret");
    backend.go_up().await;
    let told = receiver.wait("/hook-s3cret", 2).await;
    let back = told[1].json();
    assert_eq!(back["event"], "backend_recovered");
    assert_eq!(back["since"], out["since"]);

    let slack = receiver.wait("/slack-s3cret", 2).await;
    let text = |post: &Post| post.json()["text"].as_str().unwrap().to_owned();
    assert!(
        text(&slack[0]).contains("backend `db` is unhealthy since"),
        "{slack:?}"
    );
    assert!(
        text(&slack[1]).contains("backend `db` has recovered after"),
        "{slack:?}"
    );
    let pager = receiver.wait("/pager", 2).await;
    let [trigger, resolve]: [Value; 2] = [pager[0].json(), pager[1].json()];
    assert_eq!(trigger["event_action"], "trigger");
    assert_eq!(trigger["routing_key"], "k-s3cret");
    assert_eq!(resolve["event_action"], "resolve");
    assert_eq!(resolve["dedup_key"], trigger["dedup_key"]);

    for kind in ["webhook", "slack", "pagerduty"] {
        let series = format!("mcp_router_alerts_total{{sink_type=\"{kind}\",outcome=\"sent\"}}");
        assert_eq!(router.metric(&series).await, Some(2.0), "{series}");
    }
    let shown = format!("{} {}", router.logs().text(), router.metrics().await);
    assert!(!shown.contains("s3cret"), "{shown}");
    assert_eq!(receiver.all("/hook-s3cret").len(), 2, "each is told once");
}

#[tokio::test]
async fn one_dead_replica_is_told_by_name_and_a_backend_that_the_file_drops_is_out_no_longer() {
    let (dead, alive) = (
        Fixture::builder().spawn().await,
        Fixture::builder().spawn().await,
    );
    let (receiver, other) = (Receiver::start().await, Fixture::builder().spawn().await);
    let kept = format!(
        "backends:\n  - {{ name: other, namespace: other, url: \"{}\" }}\n",
        other.url()
    );
    let many = format!(
        "  - {{ name: many, namespace: m, urls: [\"{}\", \"{}\"], {QUICK} }}\n",
        dead.url(),
        alive.url()
    );
    let router = start(&format!("{kept}{many}{}", receivers(&receiver))).await;
    router.until_healthy("many").await;
    looked_at().await;
    dead.go_down().await;
    let out = receiver.wait("/hook-s3cret", 1).await[0].json();
    let reason = out["reason"].as_str().unwrap();
    assert!(
        reason.contains(&format!("endpoint {}", dead.url())),
        "{reason}"
    );
    assert!(!reason.contains(&alive.url()), "{reason}");
    router.rewrite_config(&format!("{kept}{}", receivers(&receiver)));
    router.signal("HUP");
    let told = receiver.wait("/hook-s3cret", 2).await;
    assert_eq!(event(&told[1]), "backend_recovered");
    assert_eq!(told[1].json()["reason"], "it is no longer in use");
}

#[tokio::test]
async fn over_stdio_people_are_told_as_well() {
    let (backend, receiver) = (Fixture::builder().spawn().await, Receiver::start().await);
    let builder = Router::builder().config(&file(&backend, &receiver));
    let builder = builder.env("TOKEN", "t").env("KEY", "k");
    let mut router = StdioRouter::start_with(&builder);
    router.initialize("2025-11-25").await;
    backend.log().wait_for("health", 1).await;
    looked_at().await;
    backend.go_down().await;
    let told = receiver.wait("/pager", 1).await;
    assert_eq!(told[0].json()["event_action"], "trigger");
    router.close_stdin();
    let status = router.wait(Duration::from_secs(5)).await;
    assert!(status.success(), "{status}");
}
