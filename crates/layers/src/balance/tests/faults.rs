//! Replicas that die and come back under load.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// Starts `calls` calls, one every `gap` milliseconds, all at the same time as `meanwhile`.
async fn load(
    scene: &Scene,
    calls: usize,
    gap: u64,
    safe: bool,
    meanwhile: impl Future<Output = ()>,
) -> Vec<Result<String, CallError>> {
    let calls = (0..calls).map(async |number| {
        tokio::time::sleep(Duration::from_millis(number as u64 * gap)).await;
        scene.ask(numbered(number, safe)).await
    });
    let (results, ()) = tokio::join!(join_all(calls), meanwhile);
    results
}

async fn wait(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[tokio::test(start_paused = true)]
async fn f2_a_replica_that_dies_under_load_costs_safe_calls_not_one_error() {
    for policy in Policy::ALL {
        let scene = Scene::of(policy, &[Mood::Well(20); 3]);
        let results = load(&scene, 1000, 2, true, async {
            wait(500).await;
            scene.fakes[1].set(Mood::Absent(0));
        })
        .await;
        let failed: Vec<_> = results.iter().filter_map(|r| r.as_ref().err()).collect();
        assert!(failed.is_empty(), "{policy}: {failed:?}");
        assert!(scene.asked()[1] > 0, "{policy}");
    }
}

#[tokio::test(start_paused = true)]
async fn i3_i5_a_replica_that_dies_under_load_makes_no_unsafe_call_run_twice() {
    let scene = Scene::round_robin(&[Mood::Well(20); 3]);
    let results = load(&scene, 1000, 2, false, async {
        wait(500).await;
        scene.fakes[1].set(Mood::Absent(0));
    })
    .await;
    let mut ran = HashMap::<String, usize>::new();
    for name in scene.fakes.iter().flat_map(Fake::ran) {
        *ran.entry(name).or_default() += 1;
    }
    for (number, result) in results.iter().enumerate() {
        let times = ran.get(&number.to_string()).copied().unwrap_or(0);
        assert_eq!(times, 1, "{number}: {result:?}");
        if let Err(error) = result {
            assert_eq!(error.sent, Sent::Unknown);
        }
    }
    let failed = results.iter().filter(|r| r.is_err()).count();
    assert!(
        (1..=10).contains(&failed),
        "those in flight there: {failed}"
    );
}

#[tokio::test(start_paused = true)]
async fn f15_a_replica_that_flaps_every_second_costs_safe_calls_nothing() {
    let scene = Scene::round_robin(&[Mood::Well(20); 3]);
    let results = load(&scene, 6000, 10, true, async {
        for second in 0..60 {
            let mood = [Mood::Absent(0), Mood::Well(20)][second % 2];
            scene.fakes[0].set(mood);
            wait(1000).await;
        }
    })
    .await;
    assert!(results.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn f3_a_replica_that_hangs_slows_nobody_beyond_its_own_calls() {
    let scene = Scene::of(Policy::LeastConnections, &[Mood::Hangs, Mood::Well(10)]);
    let calls = (0..200).map(async |number| {
        wait(number as u64 * 20).await;
        let ask = scene.ask(numbered(number, true));
        tokio::time::timeout(secs(30), ask).await.is_ok()
    });
    let answered = join_all(calls).await.into_iter().filter(|a| *a).count();
    assert_eq!(answered + scene.asked()[0], 200);
    assert!(scene.asked()[0] <= 2, "{:?}", scene.asked());
}

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![
        4 => (0u64..50).prop_map(Mood::Well),
        1 => (0u64..50).prop_map(Mood::Absent),
        1 => Just(Mood::Dies),
        1 => (0u64..3).prop_map(Mood::Throttles),
        1 => Just(Mood::Hangs),
        1 => Just(Mood::Rejects),
    ]
}

#[derive(Clone, Debug)]
enum Op {
    /// A call; given up after so many milliseconds.
    Call {
        safe: bool,
        session: u8,
        patience: u64,
    },
    Turn(usize, Mood),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (any::<bool>(), 0u8..4, 1u64..200).prop_map(|(safe, session, patience)| Op::Call { safe, session, patience }),
        2 => (0usize..4, mood()).prop_map(|(at, mood)| Op::Turn(at, mood)),
        2 => (0u64..5000).prop_map(Op::Wait),
    ]
}

/// Runs `ops` against four replicas and checks what must hold whatever they do.
async fn check(policy: Policy, moods: Vec<Mood>, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let scene = Arc::new(Scene::of(policy, &moods));
    let sessions: Vec<_> = (0..4).map(|id| session(&id.to_string())).collect();
    let mut calls = Vec::new();
    for (number, op) in ops.into_iter().enumerate() {
        match op {
            Op::Turn(at, mood) => scene.fakes[at].set(mood),
            Op::Wait(millis) => wait(millis).await,
            Op::Call {
                safe,
                session,
                patience,
            } => {
                let mut request = numbered(number, safe);
                request.context.session = sessions.get(usize::from(session)).cloned();
                let scene = scene.clone();
                calls.push((
                    number,
                    safe,
                    tokio::spawn(async move {
                        let patience = Duration::from_millis(patience);
                        tokio::time::timeout(patience, scene.ask(request)).await
                    }),
                ));
                tokio::task::yield_now().await;
            }
        }
    }
    for (number, safe, call) in calls {
        let result = call.await.unwrap();
        let times = |fake: &Fake| {
            fake.ran()
                .iter()
                .filter(|n| **n == number.to_string())
                .count()
        };
        let ran: Vec<_> = scene.fakes.iter().map(times).collect();
        prop_assert!(ran.iter().all(|n| *n <= 1), "each endpoint once: {:?}", ran);
        let ran: usize = ran.into_iter().sum();
        prop_assert!(safe || ran <= 1, "I3: {}", ran);
        match result {
            Ok(Ok(_)) if !safe => prop_assert_eq!(ran, 1, "I5"),
            Ok(Err(e)) if e.sent != Sent::Unknown => prop_assert_eq!(ran, 0, "I4 {:?}", e),
            _ => {}
        }
    }
    for member in &scene.balance.group.members {
        prop_assert_eq!(member.running(), 0, "I7");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn i3_i4_i5_i7_hold_whatever_replicas_and_callers_do(
        policy in prop::sample::select(Policy::ALL.to_vec()),
        moods in prop::collection::vec(mood(), 4),
        ops in prop::collection::vec(op(), 1..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time().start_paused(true).build().unwrap();
        runtime.block_on(check(policy, moods, ops))?;
    }
}
