//! Waits between attempts to reach a backend: the machine of `health`, with chance of its own.

use std::time::Duration;

pub use mcp_router_health::BackoffParams;

/// The next wait, growing until [`reset`](Self::reset).
#[derive(Debug)]
pub(crate) struct Backoff {
    machine: mcp_router_health::Backoff,
    rng: fastrand::Rng,
}

impl Backoff {
    pub(crate) fn new(params: BackoffParams) -> Self {
        Self {
            machine: mcp_router_health::Backoff::new(params),
            rng: fastrand::Rng::new(),
        }
    }

    /// The wait before the next attempt; the one after it will be longer.
    pub(crate) fn next(&mut self) -> Duration {
        self.machine.next(&mut self.rng)
    }

    pub(crate) fn reset(&mut self) {
        self.machine.reset();
    }
}
