//! Waits between attempts to reach a backend.
//!
//! (The crate of health decisions has such a machine for retries; this crate does not know it.
//! Here the wait varies around its nominal value, so that its mean is the nominal one.)

use std::time::Duration;

/// The shape of a growing wait. Each is twice the one before, and varies by a quarter up and down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BackoffParams {
    /// The first wait.
    pub first: Duration,
    /// The longest nominal wait.
    pub cap: Duration,
}

impl Default for BackoffParams {
    /// 1 s to 60 s.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            cap: Duration::from_secs(60),
        }
    }
}

/// The next wait, growing until [`reset`](Self::reset).
#[derive(Debug)]
pub(crate) struct Backoff {
    params: BackoffParams,
    nominal: Duration,
}

impl Backoff {
    pub(crate) fn new(params: BackoffParams) -> Self {
        Self {
            params,
            nominal: params.first,
        }
    }

    /// The wait before the next attempt; the one after it will be longer.
    pub(crate) fn next(&mut self) -> Duration {
        let nominal = self.nominal.min(self.params.cap);
        self.nominal = (nominal * 2).min(self.params.cap);
        nominal.mul_f64(0.75 + fastrand::f64() / 2.0)
    }

    pub(crate) fn reset(&mut self) {
        self.nominal = self.params.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f27_waits_grow_to_the_cap_and_vary_around_their_nominal_value() {
        let mut backoff = Backoff::new(BackoffParams::default());
        for nominal in [1, 2, 4, 8, 16, 32, 60, 60] {
            let wait = backoff.next().as_secs_f64() / f64::from(nominal);
            assert!((0.75..=1.25).contains(&wait), "{nominal}: {wait}");
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(1250));
    }
}
