//! Which of several interchangeable endpoints gets the call?
//!
//! Left to the code that waits for answers, the choice would depend on timing and could only be
//! tested with clocks and sockets. Here it is a pure function of a snapshot of loads, a turn and
//! a random number; whoever calls keeps the counters.
//!
//! Whatever the policy, **fitness goes first**: one endpoint that looks well gets the call before
//! any that is in doubt, and one that must not be called never does. Among the fittest the policy
//! decides:
//!
//! | policy | who gets the call |
//! |---|---|
//! | `round_robin` | the next in turn |
//! | `least_connections` | who has the fewest calls running; ties in turn |
//! | `peak_ewma` | of two drawn at random, the one with less latency times calls running |
//! | `priority` | the lowest priority number that is there, in turn among equals |
//!
//! Priorities count with `priority` alone. [`SlowStart`] counts with all of them.

mod ewma;
mod least_connections;
mod load;
mod peak_ewma;
mod policy;
mod round_robin;
mod slow_start;
#[cfg(test)]
mod tests;

pub use ewma::PeakEwma;
pub use load::{Fitness, Load};
pub use policy::{Policy, UnknownPolicy};
pub use slow_start::SlowStart;
