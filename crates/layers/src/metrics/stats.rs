//! Numbers of calls that anybody with the handle can read.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use mcp_router_service::{CallError, Class};
use tokio::time::Instant;

use super::{CallRecord, Recorder};

/// A number that grows. Clones are the same number.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

/// Upper bounds of the classes of duration, in milliseconds; one more class holds what is longer.
pub const BOUNDS: [u64; 14] = [
    1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000,
];

/// Counts calls. Clones count together. One call costs a few atomic additions and two looks at
/// the clock.
#[derive(Clone, Debug, Default)]
pub struct CallStats(Arc<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    in_flight: AtomicI64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    throttled: AtomicU64,
    neutral: AtomicU64,
    given_up: AtomicU64,
    micros: AtomicU64,
    durations: [AtomicU64; BOUNDS.len() + 1],
}

/// A call that [`CallStats`] counts as running.
#[derive(Debug)]
pub struct Running {
    stats: CallStats,
    since: Instant,
    class: Option<Class>,
}

impl Counter {
    /// Grows by `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// How far it has grown.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl CallStats {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls that are running now.
    pub fn in_flight(&self) -> u64 {
        u64::try_from(self.0.in_flight.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Calls that ended so.
    pub fn ended(&self, class: Class) -> u64 {
        self.0.of(class).load(Ordering::Relaxed)
    }

    /// Calls whose caller went away before they ended.
    pub fn given_up(&self) -> u64 {
        self.0.given_up.load(Ordering::Relaxed)
    }

    /// How many calls that ended took up to each of [`BOUNDS`] but longer than the one before;
    /// last, longer than all.
    pub fn durations(&self) -> [u64; BOUNDS.len() + 1] {
        std::array::from_fn(|i| self.0.durations[i].load(Ordering::Relaxed))
    }

    /// The time of all calls that ended, together.
    pub fn time(&self) -> Duration {
        Duration::from_micros(self.0.micros.load(Ordering::Relaxed))
    }
}

impl Numbers {
    fn of(&self, class: Class) -> &AtomicU64 {
        match class {
            Class::Success => &self.succeeded,
            Class::Failure => &self.failed,
            Class::Throttled => &self.throttled,
            Class::Neutral => &self.neutral,
        }
    }
}

impl<R> Recorder<R> for CallStats {
    type Call = Running;

    fn start(&self, _request: &R) -> Running {
        self.0.in_flight.fetch_add(1, Ordering::Relaxed);
        Running {
            stats: self.clone(),
            since: Instant::now(),
            class: None,
        }
    }
}

impl CallRecord for Running {
    fn end(mut self, class: Class, _error: Option<&CallError>) {
        self.class = Some(class);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let numbers = &self.stats.0;
        numbers.in_flight.fetch_sub(1, Ordering::Relaxed);
        let Some(class) = self.class else {
            numbers.given_up.fetch_add(1, Ordering::Relaxed);
            return;
        };
        numbers.of(class).fetch_add(1, Ordering::Relaxed);
        let took = self.since.elapsed();
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        numbers.micros.fetch_add(micros, Ordering::Relaxed);
        let at = BOUNDS.partition_point(|bound| bound * 1000 < micros);
        numbers.durations[at].fetch_add(1, Ordering::Relaxed);
    }
}
