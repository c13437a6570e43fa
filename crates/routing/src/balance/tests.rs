use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn idle() -> Load {
    Load {
        fitness: Fitness::Usable,
        in_flight: 0,
        latency: None,
        priority: 0,
        share: 1.0,
    }
}

fn unfit(fitness: Fitness) -> Load {
    Load { fitness, ..idle() }
}

fn busy(in_flight: u32, millis: u64) -> Load {
    Load {
        in_flight,
        latency: Some(Duration::from_millis(millis)),
        ..idle()
    }
}

/// How often each is picked in so many turns, with a plain sequence of random numbers.
fn picks(policy: Policy, loads: &[Load], turns: u64) -> Vec<u64> {
    let mut counts = vec![0; loads.len()];
    for turn in 0..turns {
        let random = (turn + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        counts[policy.pick(loads, turn, random).unwrap()] += 1;
    }
    counts
}

#[test]
fn policies_are_read_back_as_they_are_written() {
    for policy in Policy::ALL {
        assert_eq!(policy.to_string().parse(), Ok(policy));
    }
    assert_eq!("random".parse::<Policy>(), Err(UnknownPolicy));
}

#[test]
fn round_robin_gives_the_calls_of_a_dead_endpoint_to_all_others_alike() {
    let loads = [idle(), unfit(Fitness::Out), idle(), idle()];
    assert_eq!(picks(Policy::RoundRobin, &loads, 300), [100, 0, 100, 100]);
}

#[test]
fn priority_takes_turns_on_the_first_tier_and_falls_to_the_next() {
    let tier = |priority, fitness| Load {
        priority,
        ..unfit(fitness)
    };
    let (well, out) = (Fitness::Usable, Fitness::Out);
    let mut loads = [tier(1, well), tier(2, well), tier(1, well)];
    assert_eq!(picks(Policy::Priority, &loads, 10), [5, 0, 5]);
    (loads[0], loads[2]) = (tier(1, out), tier(1, Fitness::Doubtful));
    assert_eq!(picks(Policy::Priority, &loads, 10), [0, 10, 0]);
}

#[test]
fn priorities_are_nothing_to_the_other_policies() {
    let mut loads = [idle(); 2];
    loads[1].priority = 7;
    assert_eq!(picks(Policy::RoundRobin, &loads, 10), [5, 5]);
    assert_eq!(picks(Policy::LeastConnections, &loads, 10), [5, 5]);
}

#[test]
fn the_best_fitness_that_is_there_is_taken() {
    use Fitness::{Doubtful, Out, Resting};
    for policy in Policy::ALL {
        let one = |loads: &[Load]| policy.pick(loads, 0, 0);
        assert_eq!(one(&[unfit(Doubtful), idle()]), Some(1));
        assert_eq!(one(&[unfit(Resting), unfit(Doubtful)]), Some(1));
        assert_eq!(one(&[unfit(Out), unfit(Resting)]), Some(1));
        assert_eq!(one(&[unfit(Out), unfit(Out)]), None);
        assert_eq!(one(&[]), None);
    }
}

#[test]
fn least_connections_lets_equals_take_turns() {
    let loads = [busy(5, 1), idle(), idle(), busy(1, 1), idle()];
    let counts = picks(Policy::LeastConnections, &loads, 300);
    assert_eq!(counts, [0, 100, 100, 0, 100]);
}

#[test]
fn peak_ewma_avoids_the_slow_and_the_hanging_one() {
    // Of two drawn the worse is never taken, so the worst of all gets nothing.
    let counts = picks(
        Policy::PeakEwma,
        &[busy(0, 10), busy(0, 10), busy(0, 500)],
        300,
    );
    assert_eq!(counts[2], 0);
    assert!(counts[0] > 100 && counts[1] > 100, "{counts:?}");
    let hangs = Load {
        in_flight: 1,
        ..idle()
    };
    assert_eq!(picks(Policy::PeakEwma, &[hangs, busy(9, 900)], 10), [0, 10]);
    // Who was never asked is asked.
    assert_eq!(picks(Policy::PeakEwma, &[idle(), busy(0, 1)], 10), [10, 0]);
}

#[test]
fn a_newcomer_gets_a_part_and_a_common_start_holds_nobody_back() {
    let mut loads = [idle(); 4];
    loads[3].share = 0.1;
    let counts = picks(Policy::RoundRobin, &loads, 4000);
    assert!((50..200).contains(&counts[3]), "{counts:?}");
    for share in [0.1, 0.5, f32::NAN, 0.0] {
        let all = [Load { share, ..idle() }; 4];
        assert_eq!(picks(Policy::RoundRobin, &all, 400), [100; 4], "{share}");
    }
    // Its emptiness is not mistaken for speed.
    loads[3].share = 0.1;
    for load in &mut loads[..3] {
        load.in_flight = 5;
    }
    assert_eq!(picks(Policy::LeastConnections, &loads, 300)[3], 0);
}

#[test]
fn a_peak_counts_at_once_and_fades() {
    let s = Duration::from_secs;
    let ms = Duration::from_millis;
    assert_eq!(PeakEwma::default().latency(s(9)), None);
    let calm = PeakEwma::default().observe(ms(10), s(1));
    let peak = calm.observe(s(2), s(2));
    assert_eq!(peak.latency(s(2)), Some(s(2)));
    let after = peak.observe(ms(10), s(3)).latency(s(3)).unwrap();
    assert!(after > s(1) && after < s(2), "{after:?}");
    assert!(peak.latency(s(120)).unwrap() < ms(1));
    // A call given up early proves nothing good.
    assert_eq!(peak.observe_at_least(ms(1), s(2)), peak);
    assert_eq!(calm.observe_at_least(s(3), s(4)).latency(s(4)), Some(s(3)));
}

fn loads() -> impl Strategy<Value = Vec<Load>> {
    let fitness = prop::sample::select(vec![
        Fitness::Usable,
        Fitness::Doubtful,
        Fitness::Resting,
        Fitness::Out,
    ]);
    let latency = prop::option::of((0u64..100_000).prop_map(Duration::from_millis));
    let load = (fitness, 0u32..50, latency, 0u32..3, 0.0f32..=1.0).prop_map(
        |(fitness, in_flight, latency, priority, share)| Load {
            fitness,
            in_flight,
            latency,
            priority,
            share,
        },
    );
    prop::collection::vec(load, 0..12)
}

proptest! {
    #[test]
    fn nobody_is_picked_while_a_fitter_one_is_there(
        loads in loads(), turn: u64, random: u64, policy in prop::sample::select(Policy::ALL.to_vec()),
    ) {
        let best = loads.iter().map(|l| l.fitness).min().filter(|f| *f != Fitness::Out);
        let picked = policy.pick(&loads, turn, random).map(|at| loads[at]);
        prop_assert_eq!(picked.map(|l| l.fitness), best);
        if let (Policy::Priority, Some(picked)) = (policy, picked) {
            let tier = loads.iter().filter(|l| l.fitness == picked.fitness);
            prop_assert_eq!(tier.map(|l| l.priority).min(), Some(picked.priority));
        }
    }

    #[test]
    fn round_robin_is_exactly_fair(fit in prop::collection::vec(any::<bool>(), 1..12), rounds in 1u64..20) {
        let loads: Vec<_> = fit.iter().map(|fit| unfit(if *fit { Fitness::Usable } else { Fitness::Out })).collect();
        let members = fit.iter().filter(|fit| **fit).count() as u64;
        prop_assume!(members > 0);
        for (count, fit) in picks(Policy::RoundRobin, &loads, rounds * members).iter().zip(fit) {
            prop_assert_eq!(*count, if fit { rounds } else { 0 });
        }
    }

    #[test]
    fn least_connections_takes_nobody_with_more(counts in prop::collection::vec(0u32..9, 1..12), turn: u64) {
        let loads: Vec<_> = counts.iter().map(|n| busy(*n, 1)).collect();
        let at = Policy::LeastConnections.pick(&loads, turn, 0).unwrap();
        prop_assert_eq!(Some(&counts[at]), counts.iter().min());
    }

    #[test]
    fn peak_ewma_never_takes_the_worst(worst in 0usize..6, others in prop::collection::vec(1u64..1000, 1..6), random: u64) {
        let worst = worst.min(others.len());
        let mut loads: Vec<_> = others.iter().map(|ms| busy(1, *ms)).collect();
        loads.insert(worst, busy(1, 1001));
        prop_assert_ne!(Policy::PeakEwma.pick(&loads, 0, random), Some(worst));
    }

    #[test]
    fn an_average_stays_within_what_was_seen(seen in prop::collection::vec((1u64..60_000, 0u64..5_000), 1..50)) {
        let (mut ewma, mut now) = (PeakEwma::default(), Duration::ZERO);
        for (latency, wait) in &seen {
            now += Duration::from_millis(*wait);
            let latency = Duration::from_millis(*latency);
            ewma = PeakEwma::from_bits(ewma.observe(latency, now).to_bits());
            prop_assert!(ewma.latency(now).unwrap() >= latency.mul_f32(0.999));
        }
        let most = seen.iter().map(|(latency, _)| *latency).max().unwrap_or(0);
        prop_assert!(ewma.latency(now).unwrap() <= Duration::from_millis(most).mul_f32(1.001));
    }

    #[test]
    fn a_share_only_grows(window in 0u64..1000, ages in prop::collection::vec(0u64..2000, 2)) {
        let slow = SlowStart::new(Duration::from_millis(window));
        let share = |ms: u64| slow.share(Duration::from_millis(ms));
        let (young, old) = (ages[0].min(ages[1]), ages[0].max(ages[1]));
        prop_assert!(0.1 <= share(young) && share(young) <= share(old) && share(old) <= 1.0);
        prop_assert_eq!(share(window), 1.0);
    }
}
