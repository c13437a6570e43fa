//! What an endpoint answers without a lock is what its circuit would have said, and what threads
//! do to it together never lets a trial too many through.
//!
//! `STATE_MACHINE_STEPS` says how many steps to take at least.

mod steps;

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mcp_router_health::{Admission, Breaker, BreakerParams, CircuitState, FailureRate, Verdict};
use mcp_router_layers::{Admitted, Endpoint};
use proptest::prelude::*;
use proptest::sample::Index;
use tokio::time::Instant;

#[derive(Clone, Debug)]
enum Step {
    Call,
    Probe,
    End(Index, Verdict),
    Drop(Index),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let verdict = prop_oneof![
        2 => Just(Verdict::Failure),
        4 => Just(Verdict::Success),
        1 => Just(Verdict::Throttled),
    ];
    prop_oneof![
        4 => Just(Step::Call),
        1 => Just(Step::Probe),
        4 => (any::<Index>(), verdict).prop_map(|(at, verdict)| Step::End(at, verdict)),
        1 => any::<Index>().prop_map(Step::Drop),
        2 => prop_oneof![1u64..50, 300u64..1200].prop_map(Step::Pass),
    ]
}

fn params(threshold: u32, slots: u32, rate: bool) -> BreakerParams {
    let open_for = Duration::from_secs(1);
    let rate = rate.then(|| FailureRate::new(50, 4, Duration::from_secs(10)).expect("in range"));
    BreakerParams::new(threshold, open_for, slots)
        .expect("in range")
        .with_failure_rate(rate)
}

async fn same(params: BreakerParams, steps: Vec<Step>) {
    let (endpoint, mut breaker) = (Endpoint::new("e", params), Breaker::new(params));
    let mut running: Vec<(Admitted, Admission)> = Vec::new();
    for step in steps {
        let now = Instant::now().into_std();
        match step {
            Step::Call => match (endpoint.admit(), breaker.admit(now)) {
                (Ok(ours), Ok(theirs)) => running.push((ours, theirs)),
                (ours, theirs) => assert_eq!(ours.err(), theirs.err()),
            },
            Step::Probe => running.push((endpoint.admit_probe(), breaker.admit_probe(now))),
            Step::End(at, verdict) if !running.is_empty() => {
                let (ours, theirs) = running.remove(at.index(running.len()));
                assert_eq!(ours.is_trial(), theirs.is_trial());
                ours.report(verdict);
                breaker.report(theirs, verdict, now);
            }
            Step::Drop(at) if !running.is_empty() => {
                let (ours, theirs) = running.remove(at.index(running.len()));
                drop(ours);
                breaker.report(theirs, Verdict::Neutral, now);
            }
            Step::End(..) | Step::Drop(_) => {}
            Step::Pass(ms) => tokio::time::advance(Duration::from_millis(ms)).await,
        }
        let now = Instant::now().into_std();
        assert_eq!(endpoint.state(), breaker.state(now));
        assert_eq!(endpoint.failures(), breaker.failures());
        assert_eq!(endpoint.retry_in(), breaker.retry_in(now));
    }
    drop(running);
    assert_eq!(endpoint.in_flight(), 0);
}

proptest! {
    #![proptest_config(steps::config())]
    #[test]
    fn i8_an_endpoint_answers_as_its_circuit(
        threshold in 1u32..4,
        slots in 1u32..4,
        rate: bool,
        steps in prop::collection::vec(step(), steps::RANGE),
    ) {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime")
            .block_on(same(params(threshold, slots, rate), steps));
    }
}

/// Threads call, fail, succeed and give up as they like; at every moment the trials are counted.
#[test]
fn i8_threads_together_get_no_trial_too_many() {
    const THREADS: usize = 4;
    const SLOTS: u32 = 2;
    let open_for = Duration::from_micros(200);
    let endpoint = Endpoint::new(
        "e",
        BreakerParams::new(3, open_for, SLOTS).expect("in range"),
    );
    let (trials, seen, barrier) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        Barrier::new(THREADS),
    );
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (endpoint, trials, seen, barrier) = (&endpoint, &trials, &seen, &barrier);
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(thread as u64);
                barrier.wait();
                for _ in 0..20_000 {
                    let Ok(admitted) = endpoint.admit() else {
                        std::thread::yield_now();
                        continue;
                    };
                    let trial = admitted.is_trial();
                    if trial {
                        seen.fetch_add(1, Ordering::SeqCst);
                        let out = trials.fetch_add(1, Ordering::SeqCst);
                        assert!(out < SLOTS as usize, "{out} were out");
                        std::hint::spin_loop();
                        // Before the slot is back: after that, another may have it.
                        trials.fetch_sub(1, Ordering::SeqCst);
                    }
                    match rng.u8(0..10) {
                        0..4 => admitted.report(Verdict::Failure),
                        4..8 => admitted.report(Verdict::Success),
                        _ => drop(admitted),
                    }
                }
            });
        }
    });
    assert!(seen.into_inner() > 0, "there were trials");
    assert_eq!(endpoint.in_flight(), 0);
    // A well endpoint's circuit closes from wherever that left it.
    for _ in 0..100 {
        match endpoint.admit() {
            Ok(admitted) => admitted.report(Verdict::Success),
            Err(refused) => std::thread::sleep(refused.retry_in.min(2 * open_for)),
        }
    }
    assert_eq!(endpoint.state(), CircuitState::Closed);
}
