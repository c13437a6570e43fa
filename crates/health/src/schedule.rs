//! When an endpoint is probed next, and what a row of probes says of it.
//!
//! One lost probe is no outage, and at one every half minute three lost in a row would take a
//! minute and a half to see. So a failure is confirmed by quick ones, and an outage that makes no
//! sound at all is known within a minute.

use std::time::Duration;

use crate::ProbeParams;

/// So many failures in a row, and an endpoint is down.
const FALL: u32 = 3;
/// The longest from the start of a failed probe to the start of the next.
const QUICK: Duration = Duration::from_secs(5);

/// The row of probes of one endpoint.
#[derive(Clone, Debug)]
pub struct ProbeSchedule {
    interval: Duration,
    /// Failures in a row.
    failures: u32,
    /// Whether it is up, once that is known.
    up: Option<bool>,
}

// === impl ProbeSchedule ===

impl ProbeSchedule {
    /// Nothing is known yet; the first probe is due at once.
    pub fn new(params: &ProbeParams) -> Self {
        Self {
            interval: params.interval(),
            failures: 0,
            up: None,
        }
    }

    /// A probe succeeded, and one is enough. True if the endpoint was not known to be up.
    pub fn succeeded(&mut self) -> bool {
        self.failures = 0;
        self.up.replace(true) != Some(true)
    }

    /// A probe failed. True if that makes the endpoint down that was not.
    pub fn failed(&mut self) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.failures >= FALL && self.up.replace(false) != Some(false)
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// From the start of the last probe to the start of the next: the interval, a tenth more or
    /// less; or quickly, after a failure or for a reason of the caller's. A probe that took longer
    /// is followed at once.
    pub fn gap(&self, quick: bool, rng: &mut fastrand::Rng) -> Duration {
        if quick || self.failures > 0 {
            return self.interval.min(QUICK);
        }
        self.interval.mul_f64(0.9 + 0.2 * rng.f64())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn defaults() -> ProbeSchedule {
        ProbeSchedule::new(&ProbeParams::default())
    }

    #[test]
    fn three_failures_in_a_row_are_down_and_one_success_is_up() {
        let mut schedule = defaults();
        assert!(schedule.succeeded() && !schedule.succeeded());
        for _ in 0..5 {
            assert!(!schedule.failed() && !schedule.failed());
            assert!(!schedule.succeeded(), "two failures are no outage");
        }
        assert!(!schedule.failed() && !schedule.failed() && schedule.failed());
        assert!(!schedule.failed(), "told once");
        assert!(schedule.succeeded() && !schedule.succeeded());
    }

    proptest! {
        /// The worst case: the backend falls silent right after a probe, and each further one
        /// waits out its whole timeout.
        #[test]
        fn a_silent_outage_is_known_within_60_seconds_at_the_defaults(seed: u64) {
            let params = ProbeParams::default();
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut schedule = ProbeSchedule::new(&params);
            schedule.succeeded();
            let mut start = Duration::ZERO;
            let known = loop {
                let gap = schedule.gap(false, &mut rng);
                let took = if start.is_zero() { Duration::ZERO } else { params.timeout() };
                start = (start + gap).max(start + took);
                if schedule.failed() {
                    break start + params.timeout();
                }
            };
            prop_assert!(known <= Duration::from_secs(60), "{known:?}");
        }

        #[test]
        fn probes_spread_over_a_tenth_of_their_interval(seed: u64) {
            let mut schedule = defaults();
            let mut rng = fastrand::Rng::with_seed(seed);
            let gap = schedule.gap(false, &mut rng).as_secs_f64();
            prop_assert!((27.0..=33.0).contains(&gap));
            prop_assert_eq!(schedule.gap(true, &mut rng), QUICK);
            schedule.failed();
            prop_assert_eq!(schedule.gap(false, &mut rng), QUICK);
        }
    }
}
