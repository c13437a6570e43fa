//! One call, and the endpoints that it is given to.

use std::time::Duration;

use mcp_router_service::{Deadline, Pin};
use tokio::time::Instant;

use super::*;

#[tokio::test(start_paused = true)]
async fn f2_a_safe_call_that_a_replica_takes_to_its_grave_is_answered_by_another() {
    let scene = Scene::round_robin(&[Mood::Dies, Mood::Well(1)]);
    assert_eq!(scene.ask(safe()).await.unwrap(), "b");
    assert_eq!(scene.asked(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn i3_f2_an_unsafe_call_that_may_have_run_is_given_to_nobody_else() {
    let scene = Scene::round_robin(&[Mood::Dies, Mood::Well(1)]);
    let error = scene.ask(once()).await.unwrap_err();
    assert_eq!(
        (error.reason, error.sent),
        (Reason::BackendLost, Sent::Unknown)
    );
    assert_eq!(scene.asked(), [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn f4_what_was_not_sent_goes_elsewhere_whatever_it_is() {
    let scene = Scene::round_robin(&[Mood::Absent(2000), Mood::Well(10)]);
    let began = Instant::now();
    assert_eq!(scene.ask(once()).await.unwrap(), "b");
    assert!(began.elapsed() <= Duration::from_millis(2250));
}

#[tokio::test(start_paused = true)]
async fn f22_a_throttling_replica_hands_on_the_call_and_is_left_in_peace() {
    let scene = Scene::round_robin(&[Mood::Throttles(30), Mood::Well(1)]);
    for _ in 0..5 {
        assert_eq!(scene.ask(once()).await.unwrap(), "b");
    }
    assert_eq!(scene.asked(), [1, 5]);
    scene.fakes[0].set(Mood::Well(1));
    tokio::time::advance(secs(30)).await;
    scene.ask(once()).await.unwrap();
    tokio::time::advance(secs(10)).await; // its share has grown
    for _ in 0..10 {
        scene.ask(once()).await.unwrap();
    }
    assert!(scene.asked()[0] > 5, "{:?}", scene.asked());
}

#[tokio::test(start_paused = true)]
async fn f22_with_all_replicas_throttling_a_call_reaches_one_of_them() {
    let scene = Scene::round_robin(&[Mood::Throttles(9), Mood::Throttles(5), Mood::Throttles(7)]);
    // The first finds them out.
    let error = scene.ask(once()).await.unwrap_err();
    assert_eq!(scene.asked(), [1, 1, 1]);
    assert_eq!(error.status, Some(429));
    assert_eq!(error.retry_after, Some(secs(5)), "when the first is ready");
    for _ in 0..6 {
        scene.ask(once()).await.unwrap_err();
    }
    assert_eq!(scene.asked().iter().sum::<usize>(), 3 + 6);
}

#[tokio::test(start_paused = true)]
async fn f22_throttling_without_a_time_is_a_second() {
    let scene = Scene::round_robin(&[Mood::Throttles(0); 3]);
    for _ in 0..7 {
        let error = scene.ask(once()).await.unwrap_err();
        assert_eq!((error.status, error.retry_after), (Some(429), None));
    }
    assert_eq!(scene.asked().iter().sum::<usize>(), 3 + 6);
    tokio::time::advance(secs(1)).await;
    scene.ask(once()).await.unwrap_err();
    assert_eq!(scene.asked().iter().sum::<usize>(), 9 + 3);
}

#[tokio::test(start_paused = true)]
async fn an_answer_about_the_request_is_asked_for_once() {
    let scene = Scene::round_robin(&[Mood::Rejects, Mood::Well(1)]);
    let error = scene.ask(safe()).await.unwrap_err();
    assert_eq!(error.status, Some(400));
    assert_eq!(scene.asked(), [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn every_endpoint_is_asked_once_and_the_last_failure_is_told() {
    let scene = Scene::round_robin(&[Mood::Absent(1), Mood::Dies, Mood::Absent(1)]);
    let error = scene.ask(safe()).await.unwrap_err();
    assert_eq!(scene.asked(), [1, 1, 1]);
    assert_eq!(error.reason, Reason::ConnectFailed);
    assert_eq!(
        error.sent,
        Sent::Unknown,
        "i4: it may have run at the second"
    );
}

#[tokio::test(start_paused = true)]
async fn i4_only_a_call_that_ran_nowhere_is_said_not_to_have_run() {
    for (moods, sent) in [
        ([Mood::Absent(1), Mood::Absent(1)], Sent::No),
        ([Mood::Dies, Mood::Absent(1)], Sent::Unknown),
        ([Mood::Absent(1), Mood::Dies], Sent::Unknown),
    ] {
        let scene = Scene::round_robin(&moods);
        assert_eq!(scene.ask(safe()).await.unwrap_err().sent, sent, "{moods:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_replica_is_asked_even_where_nobody_may_wait() {
    let scene = Scene::round_robin(&[Mood::Absent(1), Mood::Well(1)]);
    let mut request = once();
    request.context.repeat.here = false;
    assert_eq!(scene.ask(request).await.unwrap(), "b");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_begun_after_the_deadline() {
    let scene = Scene::round_robin(&[Mood::Absent(2000), Mood::Well(1)]);
    let mut request = once();
    request.context.deadline = Deadline::after(secs(2));
    let error = scene.ask(request).await.unwrap_err();
    assert_eq!(error.reason, Reason::ConnectFailed);
    assert_eq!(scene.asked(), [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn the_log_line_counts_every_attempt() {
    let scene = Scene::round_robin(&[Mood::Absent(1), Mood::Absent(1), Mood::Well(1)]);
    let mut request = once();
    request.context.trail = mcp_router_service::Trail::recording();
    let trail = request.context.trail.clone();
    trail.visit(&name()); // as the router does before it calls
    scene.ask(request).await.unwrap();
    assert_eq!(trail.last(), (Some(name()), 3));
}

#[tokio::test(start_paused = true)]
async fn i8_an_open_circuit_is_not_asked_and_all_of_them_refuse_until_the_first_trial() {
    let scene = Scene::round_robin(&[Mood::Absent(1), Mood::Well(1)]);
    for _ in 0..20 {
        scene.ask(once()).await.unwrap();
    }
    assert_eq!(scene.asked(), [5, 20], "the threshold is five");
    scene.fakes[1].set(Mood::Absent(1000));
    for _ in 0..5 {
        scene.ask(once()).await.unwrap_err();
    }
    let error = scene.ask(once()).await.unwrap_err();
    assert_eq!((error.reason, error.sent), (Reason::CircuitOpen, Sent::No));
    let trial = scene.endpoints[0].retry_in();
    assert!(trial.is_some() && error.retry_after == trial, "{error:?}");
    assert_eq!(scene.asked(), [5, 25]);
}

#[tokio::test(start_paused = true)]
async fn i8_a_refusal_for_want_of_trials_hides_no_failure() {
    let scene = Scene::round_robin(&[Mood::Absent(1), Mood::Well(1)]);
    let b = &scene.endpoints[1];
    for _ in 0..5 {
        b.admit()
            .unwrap()
            .report(mcp_router_health::Verdict::Failure);
    }
    tokio::time::advance(secs(60)).await;
    let _trials = [0; 3].map(|_| b.admit().unwrap());
    let error = scene.ask(safe()).await.unwrap_err();
    assert_eq!(error.reason, Reason::ConnectFailed);
    assert_eq!(scene.asked(), [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_pinned_call_goes_where_it_must_and_nowhere_else() {
    let pinned = |endpoint: &str| {
        let mut request = safe();
        let (backend, endpoint) = (name(), endpoint.into());
        request.context.pin = Some(Pin { backend, endpoint });
        request
    };
    let scene = Scene::round_robin(&[Mood::Well(1), Mood::Well(1)]);
    for _ in 0..3 {
        assert_eq!(scene.ask(pinned("b")).await.unwrap(), "b");
    }
    scene.fakes[1].set(Mood::Dies);
    let error = scene.ask(pinned("b")).await.unwrap_err();
    assert_eq!(error.reason, Reason::BackendLost);
    let error = scene.ask(pinned("z")).await.unwrap_err();
    assert_eq!((error.reason, error.sent), (Reason::NoBackend, Sent::No));
    assert_eq!(scene.asked(), [0, 4]);
}

#[tokio::test]
async fn nothing_to_balance_over_is_no_backend() {
    let error = Scene::round_robin(&[]).ask(safe()).await.unwrap_err();
    assert_eq!((error.reason, error.sent), (Reason::NoBackend, Sent::No));
}

#[tokio::test(start_paused = true)]
async fn i7_a_call_counts_until_it_is_dropped_or_its_stream_has_ended() {
    let scene = Scene::of(Policy::LeastConnections, &[Mood::Hangs, Mood::Streams]);
    let hanging = tokio::spawn(scene.balance.clone().oneshot(once()));
    tokio::task::yield_now().await;
    assert_eq!(scene.asked(), [1, 0]);
    let streaming = scene.balance.clone().oneshot(once()).await.unwrap();
    let counts = || [0, 1].map(|at| scene.balance.group.members[at].running());
    assert_eq!((scene.asked(), counts()), (vec![1, 1], [1, 1]));
    drop(streaming);
    assert_eq!(counts(), [1, 0]);
    hanging.abort();
    hanging.await.unwrap_err();
    assert_eq!(counts(), [0, 0]);
}
