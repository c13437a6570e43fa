//! What share of the calls failed lately.

use std::time::{Duration, Instant};

use crate::circuit::Verdict;
use crate::sliding::Sliding;
use crate::{FailureRate, InvalidParams};

/// Calls and failures of the last while.
#[derive(Debug)]
pub(crate) struct RateWindow {
    params: FailureRate,
    parts: Sliding<Part>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Part {
    calls: u32,
    failures: u32,
}

impl FailureRate {
    /// Opens when at least `percent` % of at least `min_calls` calls of the last `window` failed.
    ///
    /// # Errors
    /// When one of them is zero, or `percent` above 100.
    pub fn new(percent: u32, min_calls: u32, window: Duration) -> Result<Self, InvalidParams> {
        if !(1..=100).contains(&percent) {
            return Err(InvalidParams::Range("percent", 1, 100));
        }
        if min_calls == 0 {
            return Err(InvalidParams::Zero("min_calls"));
        }
        if window.is_zero() {
            return Err(InvalidParams::Zero("window"));
        }
        Ok(Self {
            percent,
            min_calls,
            window,
        })
    }

    /// Failures of a hundred calls.
    pub fn percent(&self) -> u32 {
        self.percent
    }

    /// How many calls it takes to judge.
    pub fn min_calls(&self) -> u32 {
        self.min_calls
    }

    /// How far back calls count.
    pub fn window(&self) -> Duration {
        self.window
    }
}

impl Default for FailureRate {
    /// Half of at least 20 calls in 10 s.
    fn default() -> Self {
        Self {
            percent: 50,
            min_calls: 20,
            window: Duration::from_secs(10),
        }
    }
}

impl RateWindow {
    pub(crate) fn new(params: FailureRate) -> Self {
        Self {
            params,
            parts: Sliding::new(params.window),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.parts.clear();
    }

    /// Counts a call's end; whether the circuit must open.
    pub(crate) fn note(&mut self, verdict: Verdict, now: Instant) -> bool {
        let failed = match verdict {
            Verdict::Success => false,
            Verdict::Failure | Verdict::Throttled => true,
            Verdict::Neutral => return false,
        };
        let part = self.parts.at(now);
        part.calls = part.calls.saturating_add(1);
        part.failures = part.failures.saturating_add(u32::from(failed));
        let (mut calls, mut failures) = (0, 0);
        for part in self.parts.oldest_first() {
            calls += u64::from(part.calls);
            failures += u64::from(part.failures);
        }
        failed
            && calls >= u64::from(self.params.min_calls)
            && failures * 100 >= calls * u64::from(self.params.percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> (RateWindow, Instant) {
        (RateWindow::new(FailureRate::default()), Instant::now())
    }

    #[test]
    fn half_of_twenty_calls_in_ten_seconds_trips() {
        let (mut rate, now) = window();
        for _ in 0..10 {
            assert!(!rate.note(Verdict::Success, now));
        }
        for n in 11..20 {
            assert!(!rate.note(Verdict::Failure, now), "{n} calls are too few");
        }
        assert!(rate.note(Verdict::Throttled, now));
    }

    #[test]
    fn what_is_older_than_the_window_no_longer_counts() {
        let (mut rate, start) = window();
        for _ in 0..19 {
            rate.note(Verdict::Failure, start);
        }
        assert!(!rate.note(Verdict::Failure, start + Duration::from_secs(10)));
        let (mut rate, start) = window();
        for _ in 0..19 {
            rate.note(Verdict::Failure, start);
        }
        assert!(rate.note(Verdict::Failure, start + Duration::from_secs(9)));
    }

    #[test]
    fn less_than_half_never_trips_and_neutral_ends_do_not_count() {
        let (mut rate, now) = window();
        for _ in 0..200 {
            assert!(!rate.note(Verdict::Success, now));
            rate.note(Verdict::Neutral, now);
        }
        for _ in 0..199 {
            assert!(!rate.note(Verdict::Failure, now));
        }
        assert!(rate.note(Verdict::Failure, now));
    }
}
