//! When an endpoint is left alone, and when it is tried again: the parameters and the states.
//!
//! Numbers that make no sense (a threshold of 0 is open for ever) are refused where they are
//! written, not found out by the first call.

use std::fmt;
use std::time::Duration;

use crate::InvalidParams;

/// When a circuit opens and how it closes again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BreakerParams {
    failure_threshold: u32,
    open_for: Duration,
    half_open_attempts: u32,
    failure_rate: Option<FailureRate>,
}

/// A share of failures that opens a circuit, beside the run of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FailureRate {
    pub(crate) percent: u32,
    pub(crate) min_calls: u32,
    pub(crate) window: Duration,
}

/// What a circuit lets through. `Display` gives the words that operators and clients see.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum CircuitState {
    /// Every call.
    #[default]
    Closed,
    /// No call.
    Open,
    /// A few trial calls at once.
    HalfOpen,
}

// === impl BreakerParams ===

impl BreakerParams {
    /// Opens after `failure_threshold` failures in a row, for `open_for`; then lets
    /// `half_open_attempts` calls through at once, and closes after as many successes in a row.
    ///
    /// # Errors
    /// When one of the three is zero.
    pub fn new(
        failure_threshold: u32,
        open_for: Duration,
        half_open_attempts: u32,
    ) -> Result<Self, InvalidParams> {
        if failure_threshold == 0 {
            return Err(InvalidParams::Zero("failure_threshold"));
        }
        if open_for.is_zero() {
            return Err(InvalidParams::Zero("open_for"));
        }
        if half_open_attempts == 0 {
            return Err(InvalidParams::Zero("half_open_attempts"));
        }
        Ok(Self {
            failure_threshold,
            open_for,
            half_open_attempts,
            failure_rate: None,
        })
    }

    /// Opens on a share of failures, too.
    #[must_use]
    pub fn with_failure_rate(mut self, rate: Option<FailureRate>) -> Self {
        self.failure_rate = rate;
        self
    }

    /// The share of failures that opens the circuit, if one does.
    pub fn failure_rate(&self) -> Option<FailureRate> {
        self.failure_rate
    }

    /// Failures in a row that open the circuit.
    pub fn failure_threshold(&self) -> u32 {
        self.failure_threshold
    }

    /// How long an open circuit refuses every call.
    pub fn open_for(&self) -> Duration {
        self.open_for
    }

    /// Trial calls at once in a half-open circuit, and successes in a row that close it.
    pub fn half_open_attempts(&self) -> u32 {
        self.half_open_attempts
    }
}

impl Default for BreakerParams {
    /// 5 failures, 60 s, 3 attempts, whatever the share of failures.
    fn default() -> Self {
        Self {
            failure_threshold: 5,
            open_for: Duration::from_secs(60),
            half_open_attempts: 3,
            failure_rate: None,
        }
    }
}

// === impl CircuitState ===

impl CircuitState {
    /// `CLOSED`, `OPEN` or `HALF_OPEN`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::Open => "OPEN",
            Self::HalfOpen => "HALF_OPEN",
        }
    }
}

impl fmt::Display for CircuitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_spelled_as_the_python_router_spelled_them() {
        let all = [
            CircuitState::Closed,
            CircuitState::Open,
            CircuitState::HalfOpen,
        ];
        assert_eq!(all.map(|s| s.to_string()), ["CLOSED", "OPEN", "HALF_OPEN"]);
    }

    #[test]
    fn zero_is_refused_by_name() {
        let s = Duration::from_secs(1);
        let name = |r: Result<BreakerParams, InvalidParams>| r.unwrap_err().to_string();
        assert!(name(BreakerParams::new(0, s, 1)).contains("failure_threshold"));
        assert!(name(BreakerParams::new(1, Duration::ZERO, 1)).contains("open_for"));
        assert!(name(BreakerParams::new(1, s, 0)).contains("half_open_attempts"));
    }

    #[test]
    fn defaults_are_valid() {
        let d = BreakerParams::default();
        let built = BreakerParams::new(d.failure_threshold(), d.open_for(), d.half_open_attempts());
        assert_eq!(built, Ok(d));
    }
}
