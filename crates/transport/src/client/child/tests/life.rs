//! Children over time: asleep, probed, crashing again and again.

use mcp_router_service::{ProbeFailure, Pulse};

use super::*;

async fn asleep(events: &mut EventStream) {
    loop {
        match within(SOON, events.next()).await.unwrap() {
            BackendEvent::Asleep => return,
            other => eprintln!("{other:?}"),
        }
    }
}

async fn probed(edge: &Connected) -> Result<Pulse, ProbeFailure> {
    within(SOON, (edge.probe)()).await
}

#[tokio::test]
async fn a_lazy_child_starts_with_the_first_call_and_a_probe_does_not_wake_it() {
    let mut params = params(&format!("tool() {{ text here; }}\n{LEGACY}"));
    params.lazy = true;
    let mut edge = child(params);
    assert_eq!(probed(&edge).await, Ok(Pulse::Asleep));
    asleep(&mut edge.events).await;
    assert!(edge.events.next().now_or_never().is_none());
    assert_eq!(within(SOON, said(&edge)).await, "here");
    (edge.close)().await;
}

#[tokio::test]
async fn a_lazy_child_that_nobody_calls_is_stopped_and_the_next_call_starts_it_again() {
    let mut params = params(&format!("tool() {{ text $$; }}\n{LEGACY}"));
    params.lazy = true;
    params.idle_after = Duration::from_millis(200);
    let mut edge = child(params);
    asleep(&mut edge.events).await;
    let first = within(SOON, said(&edge)).await;
    connected(&mut edge.events).await;
    // Being listed is no use that a client makes of it.
    let list = McpRequest::new(Method::ToolsList, RawParams::default());
    let listing = tokio::spawn(edge.service.clone().oneshot(list));
    asleep(&mut edge.events).await;
    within(SOON, gone(&first)).await;
    assert!(within(SOON, listing).await.unwrap().is_err());
    assert_eq!(probed(&edge).await, Ok(Pulse::Asleep));
    let second = within(SOON, said(&edge)).await;
    assert_ne!(first, second);
    (edge.close)().await;
}

#[tokio::test]
async fn a_lazy_child_is_not_stopped_under_a_call() {
    let mut params = params(&format!("tool() {{ sleep 1; text $$; }}\n{LEGACY}"));
    params.lazy = true;
    params.idle_after = Duration::from_millis(50);
    let mut edge = child(params);
    let pid = within(SOON, said(&edge)).await;
    asleep(&mut edge.events).await;
    within(SOON, gone(&pid)).await;
    (edge.close)().await;
}

#[tokio::test]
async fn a_child_is_probed_over_its_pipe_and_an_error_is_a_sign_of_life() {
    let server = LEGACY.replace(
        "*tools/call*)",
        "*\\\"ping\\\"*) fail -32601;; *tools/call*)",
    );
    let mut edge = start(&format!("tool() {{ exit 3; }}\n{server}"));
    within(SOON, connected(&mut edge.events)).await;
    assert_eq!(probed(&edge).await, Ok(Pulse::Well));
    (edge.close)().await;
}

#[tokio::test]
async fn a_child_that_was_lost_fails_its_probe_until_it_is_started_again() {
    let mut params = params(&format!("tool() {{ exit 3; }}\n{LEGACY}"));
    params.backoff = BackoffParams::RECONNECT.starting(SOON * 10);
    let mut edge = child(params);
    within(SOON, connected(&mut edge.events)).await;
    assert!(call(&edge).await.is_err());
    lost(&mut edge.events).await;
    let failure = probed(&edge).await.unwrap_err();
    assert!(failure.counts);
    assert!(failure.text.starts_with("connect_failed"), "{failure}");
    (edge.close)().await;
}

#[tokio::test]
async fn a_child_that_hangs_answers_no_probe() {
    let mut edge = legacy("while :; do sleep 60; done");
    within(SOON, connected(&mut edge.events)).await;
    let _hanging = tokio::spawn(edge.service.clone().oneshot(request("{}")));
    let answer = tokio::time::timeout(Duration::from_millis(300), (edge.probe)());
    assert!(answer.await.is_err());
    (edge.close)().await;
}

#[tokio::test]
async fn f27_a_child_that_crashes_at_once_is_started_12_times_in_5_minutes_at_most() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let script = format!("echo x >> {}; exit 1", file.path().display());
    let mut params = params(&script);
    // Five minutes in three seconds: a hundredth of every wait.
    params.backoff = BackoffParams::RECONNECT
        .starting(Duration::from_millis(10))
        .capped(Duration::from_millis(600));
    let edge = child(params);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let spawns = std::fs::read_to_string(file.path())
        .unwrap()
        .lines()
        .count();
    assert!((3..=12).contains(&spawns), "{spawns}");
    (edge.close)().await;
}
