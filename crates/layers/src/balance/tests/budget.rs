//! What pays for going on to another endpoint.

use mcp_router_health::BudgetParams;
use tower::ServiceBuilder;

use super::*;
use crate::{RetryLayer, RetryParams};

/// Endpoints whose circuits stay closed, so that nothing but the budget holds calls back.
fn scene(moods: &[Mood], percent: u32, burst: u32) -> (Scene, Budget) {
    let budget = BudgetParams::new(percent, secs(10), 0, burst).unwrap();
    let budget = Budget::new(budget);
    let scene = Scene::breaking(Policy::RoundRobin, moods, never(), |replica| replica);
    let balance = scene.balance.clone().paid_by(&budget);
    (Scene { balance, ..scene }, budget)
}

fn never() -> BreakerParams {
    BreakerParams::new(u32::MAX, secs(60), 1).unwrap()
}

fn total(scene: &Scene) -> usize {
    scene.asked().iter().sum()
}

#[tokio::test(start_paused = true)]
async fn f23_endpoints_that_fail_together_are_not_asked_in_turn_for_ever() {
    let (scene, budget) = scene(&[Mood::Dies; 3], 20, 10);
    for _ in 0..1000 {
        budget.deposit(); // as the retries outside do
        scene.ask(safe()).await.unwrap_err();
    }
    let attempts = total(&scene);
    assert!(
        (1200..=1212).contains(&attempts),
        "{attempts} for 1000 calls"
    );
    assert!(
        budget.withheld().get() >= 700,
        "{}",
        budget.withheld().get()
    );
}

#[tokio::test(start_paused = true)]
async fn f23_with_retries_outside_all_attempts_together_have_the_one_budget() {
    let scene = Scene::breaking(Policy::RoundRobin, &[Mood::Dies; 3], never(), |replica| {
        replica
    });
    let retry = RetryLayer::new(RetryParams::default());
    let balance = scene.balance.clone().paid_by(retry.budget());
    let stack = ServiceBuilder::new().layer(retry.clone()).service(balance);
    let began = tokio::time::Instant::now();
    let calls = (0..1000).map(async |number| {
        tokio::time::sleep(Duration::from_millis(number * 5)).await;
        stack.clone().oneshot(safe()).await.map(drop)
    });
    assert!(join_all(calls).await.iter().all(Result::is_err));
    let seconds = began.elapsed().as_secs() as usize;
    let attempts = total(&scene);
    let most = 1200 + 10 + seconds + 3;
    assert!(
        (1100..=most).contains(&attempts),
        "{attempts}, at most {most}"
    );
}

#[tokio::test(start_paused = true)]
async fn f4_what_was_not_sent_costs_nothing() {
    let (scene, budget) = scene(&[Mood::Absent(1), Mood::Absent(1), Mood::Well(1)], 0, 0);
    for _ in 0..100 {
        assert_eq!(scene.ask(once()).await.unwrap(), "c");
    }
    assert_eq!(budget.withheld().get(), 0);
}

#[tokio::test(start_paused = true)]
async fn f15_an_endpoint_that_dies_costs_no_safe_call_however_little_budget_there_is() {
    let (scene, budget) = scene(&[Mood::Well(5000); 2], 0, 0);
    let calls = (0..200).map(|_| scene.ask(safe()));
    let dies = async {
        tokio::time::sleep(secs(1)).await;
        scene.fakes[0].set(Mood::Absent(0));
    };
    let (answers, ()) = tokio::join!(join_all(calls), dies);
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(scene.asked(), [100, 200]);
    assert_eq!(budget.withheld().get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_session_does_not_move_for_a_call_that_is_not_paid_for() {
    let (scene, _) = scene(&[Mood::Well(1), Mood::Dies], 0, 0);
    let session = session("s");
    assert_eq!(scene.ask(of(&session, once())).await.unwrap(), "a");
    // `b` has failed, so going there would have to be paid for.
    scene.ask(once()).await.unwrap_err();
    scene.fakes[0].set(Mood::Dies);
    let error = scene.ask(of(&session, safe())).await.unwrap_err();
    assert_eq!(error.reason, Reason::BackendLost);
    for fake in &scene.fakes {
        fake.set(Mood::Well(1));
    }
    assert_eq!(scene.ask(of(&session, once())).await.unwrap(), "a");
}
