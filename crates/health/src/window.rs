//! What share of the calls failed lately.

use std::time::{Duration, Instant};

use crate::circuit::Verdict;
use crate::{FailureRate, InvalidParams};

/// Parts of a window: what is older than it leaves in steps of a tenth of it.
const PARTS: u64 = 10;

/// Calls and failures of the last ten parts.
#[derive(Debug)]
pub(crate) struct RateWindow {
    params: FailureRate,
    origin: Option<Instant>,
    /// The newest part, counted from the origin.
    newest: u64,
    parts: [Part; PARTS as usize],
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
            origin: None,
            newest: 0,
            parts: Default::default(),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.parts = Default::default();
    }

    /// Counts a call's end; whether the circuit must open.
    pub(crate) fn note(&mut self, verdict: Verdict, now: Instant) -> bool {
        let failed = match verdict {
            Verdict::Success => false,
            Verdict::Failure | Verdict::Throttled => true,
            Verdict::Neutral => return false,
        };
        self.forget(now);
        let part = &mut self.parts[(self.newest % PARTS) as usize];
        part.calls = part.calls.saturating_add(1);
        part.failures = part.failures.saturating_add(u32::from(failed));
        let sum = |f: fn(&Part) -> u32| self.parts.iter().map(|p| u64::from(f(p))).sum::<u64>();
        let (calls, failures) = (sum(|p| p.calls), sum(|p| p.failures));
        failed
            && calls >= u64::from(self.params.min_calls)
            && failures * 100 >= calls * u64::from(self.params.percent)
    }

    /// Empties the parts that have become too old.
    fn forget(&mut self, now: Instant) {
        let origin = *self.origin.get_or_insert(now);
        let part = (self.params.window / PARTS as u32).max(Duration::from_nanos(1));
        let since = now.saturating_duration_since(origin).as_nanos() / part.as_nanos();
        let index = u64::try_from(since).unwrap_or(u64::MAX);
        if index <= self.newest {
            return; // another thread's clock was read a little later
        }
        let steps = (index - self.newest).min(PARTS);
        for step in 1..=steps {
            self.parts[((self.newest + step) % PARTS) as usize] = Part::default();
        }
        if steps == PARTS {
            self.parts = Default::default();
        }
        self.newest = index;
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
