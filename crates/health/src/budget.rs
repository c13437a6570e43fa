//! How many retries there may be.
//!
//! When a backend fails for everybody, everybody retries, and a backend that was merely slow now
//! has three times the work. So retries are paid for: each request brings a fraction of one,
//! which is worth something for a while, and a small reserve is there for backends that are
//! hardly ever called. However long all retries fail, there are never more of them than that
//! fraction of the requests, plus what flows into the reserve, plus its size.

use std::time::{Duration, Instant};

use crate::InvalidParams;
use crate::sliding::Sliding;

/// What pays for retries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BudgetParams {
    percent: u32,
    window: Duration,
    floor: u32,
    burst: u32,
}

/// What is left for retries. Every time is an argument.
#[derive(Debug)]
pub struct RetryBudget {
    params: BudgetParams,
    /// Hundredths of a retry that requests brought, by their age.
    brought: Sliding<u64>,
    /// Billionths of a retry.
    reserve: u64,
    /// When the reserve was filled up last.
    filled: Option<Instant>,
}

/// A whole retry, in each of the two units.
const HUNDREDTHS: u64 = 100;
const BILLIONTHS: u64 = 1_000_000_000;

// === impl BudgetParams ===

impl BudgetParams {
    /// A retry for each 100/`percent` requests of the last `window`, and beside those `floor` a
    /// second, of which up to `burst` are saved.
    ///
    /// # Errors
    /// When `percent` is above 100 or the window is zero.
    pub fn new(
        percent: u32,
        window: Duration,
        floor: u32,
        burst: u32,
    ) -> Result<Self, InvalidParams> {
        if percent > 100 {
            return Err(InvalidParams::Range("percent", 0, 100));
        }
        if window.is_zero() {
            return Err(InvalidParams::Zero("window"));
        }
        Ok(Self {
            percent,
            window,
            floor,
            burst,
        })
    }
}

impl Default for BudgetParams {
    /// 20 % of the requests of 10 s, 1 a second, 10 saved.
    fn default() -> Self {
        Self {
            percent: 20,
            window: Duration::from_secs(10),
            floor: 1,
            burst: 10,
        }
    }
}

// === impl RetryBudget ===

impl RetryBudget {
    /// No requests yet, the reserve full.
    pub fn new(params: BudgetParams) -> Self {
        Self {
            params,
            brought: Sliding::new(params.window),
            reserve: u64::from(params.burst) * BILLIONTHS,
            filled: None,
        }
    }

    /// Counts `requests` that came at `now`, first attempts only.
    pub fn deposit(&mut self, requests: u32, now: Instant) {
        let brings = u64::from(requests) * u64::from(self.params.percent);
        let part = self.brought.at(now);
        *part = part.saturating_add(brings);
    }

    /// Takes one retry out at `now`, if there is one.
    pub fn withdraw(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.brought.at(now);
        let brought: u64 = self.brought.oldest_first().map(|part| *part).sum();
        if brought >= HUNDREDTHS {
            self.spend(HUNDREDTHS);
            return true;
        }
        match self.reserve.checked_sub(BILLIONTHS) {
            Some(left) => {
                self.reserve = left;
                true
            }
            None => false,
        }
    }

    /// Takes what leaves soonest first.
    fn spend(&mut self, mut hundredths: u64) {
        for part in self.brought.oldest_first() {
            let taken = hundredths.min(*part);
            *part -= taken;
            hundredths -= taken;
        }
    }

    fn fill(&mut self, now: Instant) {
        let since = now.saturating_duration_since(*self.filled.get_or_insert(now));
        let nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        let flowed = nanos.saturating_mul(self.params.floor.into());
        let full = u64::from(self.params.burst) * BILLIONTHS;
        self.reserve = self.reserve.saturating_add(flowed).min(full);
        self.filled = self.filled.max(Some(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn drain(budget: &mut RetryBudget, now: Instant) -> u32 {
        (0..).take_while(|_| budget.withdraw(now)).count() as u32
    }

    #[test]
    fn ten_are_there_at_once_and_one_more_each_second() {
        let (mut budget, start) = (RetryBudget::new(BudgetParams::default()), Instant::now());
        assert_eq!(drain(&mut budget, start), 10);
        assert_eq!(drain(&mut budget, start + S / 2), 0);
        assert_eq!(drain(&mut budget, start + S), 1);
        assert_eq!(drain(&mut budget, start + 4 * S), 3);
        assert_eq!(drain(&mut budget, start + 1000 * S), 10);
    }

    #[test]
    fn a_fifth_of_the_requests_of_ten_seconds_may_be_made_again() {
        let (mut budget, start) = (RetryBudget::new(BudgetParams::default()), Instant::now());
        drain(&mut budget, start);
        budget.deposit(1000, start);
        assert_eq!(drain(&mut budget, start), 200);
        budget.deposit(1000, start);
        assert_eq!(drain(&mut budget, start + 9 * S), 200 + 9);
        budget.deposit(1000, start + 9 * S);
        assert_eq!(drain(&mut budget, start + 19 * S), 10, "too old");
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        assert!(BudgetParams::new(101, S, 1, 1).is_err());
        assert!(BudgetParams::new(20, Duration::ZERO, 1, 1).is_err());
        assert_eq!(
            BudgetParams::new(20, 10 * S, 1, 10),
            Ok(BudgetParams::default())
        );
    }
}
