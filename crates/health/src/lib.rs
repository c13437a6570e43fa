//! Is a backend fit to be called, and when is it worth trying again?
//!
//! Mixed into the code that waits and calls, such decisions can only be tested with clocks and
//! sockets. Here they are pure: time is an argument, chance is an argument, nothing sleeps.
#![forbid(unsafe_code)]

mod backoff;
mod breaker;
mod budget;
mod circuit;
mod probe;
mod safety;
mod schedule;
mod sliding;
mod window;

pub use backoff::{Backoff, BackoffParams};
pub use breaker::{BreakerParams, CircuitState, FailureRate};
pub use budget::{BudgetParams, RetryBudget};
pub use circuit::{Admission, Breaker, Refused, Verdict};
pub use probe::{ProbeMethod, ProbeParams, UnknownProbeMethod};
pub use safety::{Safety, UnknownSafety};
pub use schedule::ProbeSchedule;

/// A parameter that no machine here can work with.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidParams {
    /// A count or a time that must be at least one.
    #[error("`{0}` must be at least 1")]
    Zero(&'static str),
    /// A factor or fraction outside its range.
    #[error("`{0}` must be between {1} and {2}")]
    Range(&'static str, u32, u32),
}
