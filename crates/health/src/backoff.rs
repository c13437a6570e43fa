//! How long to wait before the next attempt.
//!
//! Without growth, a dead backend is hammered for ever; without jitter, everything that lost it
//! together comes back together and knocks it over again.

use std::time::Duration;

use crate::InvalidParams;

/// The shape of a growing wait.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BackoffParams {
    first: Duration,
    multiplier: f64,
    cap: Duration,
    jitter: f64,
}

/// The wait before each further attempt, growing until [`reset`](Backoff::reset).
#[derive(Clone, Debug)]
pub struct Backoff {
    params: BackoffParams,
    /// The next wait, in seconds, before jitter.
    nominal: f64,
}

// === impl BackoffParams ===

impl BackoffParams {
    /// A wait of `first`, times `multiplier` after each, never above `cap`; chance takes up to the
    /// fraction `jitter` off each. A `cap` of zero means no wait at all.
    ///
    /// # Errors
    /// When `multiplier` is below 1 or not finite, or `jitter` is outside 0 to 1.
    pub fn new(
        first: Duration,
        multiplier: f64,
        cap: Duration,
        jitter: f64,
    ) -> Result<Self, InvalidParams> {
        if !(1.0..=1000.0).contains(&multiplier) {
            return Err(InvalidParams::Range("multiplier", 1, 1000));
        }
        if !(0.0..=1.0).contains(&jitter) {
            return Err(InvalidParams::Range("jitter", 0, 1));
        }
        Ok(Self {
            first,
            multiplier,
            cap,
            jitter,
        })
    }

    /// For connecting again and for restarting a child: 1 s doubling to 60 s. Chance takes a
    /// quarter at most: were it half, a child that dies at once could be started 15 times in five
    /// minutes, where 12 are allowed (F27).
    pub const RECONNECT: Self = Self {
        first: Duration::from_secs(1),
        multiplier: 2.0,
        cap: Duration::from_secs(60),
        jitter: 0.25,
    };

    /// The same, but no wait above `cap`.
    #[must_use]
    pub const fn capped(self, cap: Duration) -> Self {
        Self { cap, ..self }
    }

    /// The same, from a first wait of `first`.
    #[must_use]
    pub const fn starting(self, first: Duration) -> Self {
        Self { first, ..self }
    }

    /// For making a call again at the same backend: 1 s doubling to 10 s, jitter 0.5.
    pub const RETRY: Self = Self {
        first: Duration::from_secs(1),
        multiplier: 2.0,
        cap: Duration::from_secs(10),
        jitter: 0.5,
    };

    /// The same, but growing by `multiplier`.
    ///
    /// # Errors
    /// When `multiplier` is below 1 or not finite.
    pub fn growing(self, multiplier: f64) -> Result<Self, InvalidParams> {
        Self::new(self.first, multiplier, self.cap, self.jitter)
    }

    /// What each wait is multiplied with to get the next.
    pub fn multiplier(&self) -> f64 {
        self.multiplier
    }

    /// What so many waits come to at the most.
    pub fn sum(self, waits: u32) -> Duration {
        let steady = Self {
            jitter: 0.0,
            ..self
        };
        let (mut backoff, mut rng) = (Backoff::new(steady), fastrand::Rng::with_seed(0));
        let mut sum = Duration::ZERO;
        for waited in 0..waits {
            let wait = backoff.next(&mut rng);
            sum = sum.saturating_add(wait);
            if wait == self.cap {
                // As long as all that follow.
                return sum.saturating_add(wait.saturating_mul(waits - waited - 1));
            }
        }
        sum
    }

    /// The longest wait there can be.
    pub fn cap(&self) -> Duration {
        self.cap
    }
}

impl Default for BackoffParams {
    fn default() -> Self {
        Self::RECONNECT
    }
}

// === impl Backoff ===

impl Backoff {
    /// A machine that has not waited yet.
    pub fn new(params: BackoffParams) -> Self {
        Self {
            nominal: params.first.as_secs_f64(),
            params,
        }
    }

    /// The wait before the next attempt; the one after it will be longer.
    pub fn next(&mut self, rng: &mut fastrand::Rng) -> Duration {
        let cap = self.params.cap.as_secs_f64();
        let nominal = self.nominal.min(cap);
        // Held at the cap, so that a month of failures does not end in infinity.
        self.nominal = (nominal * self.params.multiplier).min(cap);
        Duration::from_secs_f64(nominal * (1.0 - self.params.jitter * rng.f64()))
    }

    /// Back to the first wait: the backend has been well for long enough.
    pub fn reset(&mut self) {
        self.nominal = self.params.first.as_secs_f64();
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(BackoffParams::default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_sum_is_that_of_the_waits_without_jitter() {
        let params = BackoffParams::RETRY.capped(Duration::from_secs(5));
        let sums = [0, 1, 2, 3, 4, 5].map(|waits| params.sum(waits).as_secs());
        assert_eq!(sums, [0, 1, 3, 7, 12, 17]);
        assert_eq!(params.sum(1_000_000_000).as_secs(), 4_999_999_992);
        assert_eq!(params.capped(Duration::ZERO).sum(u32::MAX), Duration::ZERO);
    }

    #[test]
    fn f27_waits_grow_from_one_second_to_sixty() {
        let params =
            BackoffParams::new(Duration::from_secs(1), 2.0, Duration::from_secs(60), 0.0).unwrap();
        let (mut backoff, mut rng) = (Backoff::new(params), fastrand::Rng::with_seed(1));
        let waits: Vec<u64> = (0..8).map(|_| backoff.next(&mut rng).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.reset();
        assert_eq!(backoff.next(&mut rng), Duration::from_secs(1));
    }

    #[test]
    fn f27_however_chance_falls_a_child_is_started_12_times_in_5_minutes_at_most() {
        for seed in 0..2_000 {
            let (mut backoff, mut rng) = (Backoff::default(), fastrand::Rng::with_seed(seed));
            let (mut spawns, mut at) = (1, Duration::ZERO);
            loop {
                at += backoff.next(&mut rng);
                if at > Duration::from_secs(300) {
                    break;
                }
                spawns += 1;
            }
            assert!(spawns <= 12, "seed {seed}: {spawns}");
        }
        // And were chance always at its worst.
        let worst: f64 = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0].iter().sum::<f64>() * 0.75;
        assert!(worst + 6.0 * 60.0 * 0.75 > 300.0);
    }

    #[test]
    fn waits_for_retries_keep_half_of_their_nominal_and_grow_as_told() {
        let params = BackoffParams::RETRY.growing(3.0).unwrap();
        let params = params.capped(Duration::from_secs(7));
        let (mut least, mut most) = ([f64::MAX; 3], [0.0_f64; 3]);
        for seed in 0..500 {
            let (mut backoff, mut rng) = (Backoff::new(params), fastrand::Rng::with_seed(seed));
            for at in 0..3 {
                let wait = backoff.next(&mut rng).as_secs_f64();
                (least[at], most[at]) = (least[at].min(wait), most[at].max(wait));
            }
        }
        for (at, nominal) in [1.0, 3.0, 7.0].into_iter().enumerate() {
            assert!((0.5..0.55).contains(&(least[at] / nominal)), "{least:?}");
            assert!((0.95..=1.0).contains(&(most[at] / nominal)), "{most:?}");
        }
        assert!(BackoffParams::RETRY.growing(0.5).is_err());
    }

    #[test]
    fn a_cap_of_zero_repeats_at_once() {
        let params = BackoffParams::new(Duration::from_secs(1), 2.0, Duration::ZERO, 0.5).unwrap();
        let mut backoff = Backoff::new(params);
        assert_eq!(
            backoff.next(&mut fastrand::Rng::with_seed(1)),
            Duration::ZERO
        );
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        let s = Duration::from_secs(1);
        for (multiplier, jitter) in [(0.5, 0.5), (f64::NAN, 0.5), (2.0, 1.5), (2.0, -0.1)] {
            assert!(BackoffParams::new(s, multiplier, s, jitter).is_err());
        }
    }

    proptest! {
        #[test]
        fn each_wait_lies_between_half_and_all_of_its_nominal(seed: u64, n in 1usize..200) {
            let (first, cap) = (Duration::from_secs(1), Duration::from_secs(60));
            let half = BackoffParams::new(first, 2.0, cap, 0.5).unwrap();
            let (mut backoff, mut rng) = (Backoff::new(half), fastrand::Rng::with_seed(seed));
            let mut nominal = 1.0_f64;
            for _ in 0..n {
                let wait = backoff.next(&mut rng).as_secs_f64();
                prop_assert!(wait >= nominal * 0.5 - 1e-6 && wait <= nominal + 1e-6);
                nominal = (nominal * 2.0).min(60.0);
            }
        }
    }
}
