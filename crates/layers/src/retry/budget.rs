//! A budget that many calls pay into at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_router_health::{BudgetParams, RetryBudget};
use tokio::time::Instant;

use crate::metrics::Counter;

/// What pays for attempts beyond the first at one backend: those of a
/// [`RetryLayer`](crate::RetryLayer), and those that a [`Balance`](crate::Balance) makes elsewhere.
/// Clones are the same budget.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: SharedBudget,
    withheld: Counter,
}

impl Budget {
    /// A budget that is full, and grows with what is [deposited](Self::deposit).
    pub fn new(params: BudgetParams) -> Self {
        Self(Arc::new(Inner {
            shared: SharedBudget::new(params),
            withheld: Counter::default(),
        }))
    }

    /// Counts one call, however often it will be made.
    pub fn deposit(&self) {
        self.deposit_at(Instant::now());
    }

    /// The same, for who has asked the clock just before.
    pub(super) fn deposit_at(&self, now: Instant) {
        self.0.shared.deposit(now);
    }

    /// Takes out what one more attempt costs; `false` if there is not enough.
    pub fn withdraw(&self) -> bool {
        self.0.shared.withdraw(Instant::now())
    }

    /// Counts attempts that were not made for want of budget.
    pub fn withheld(&self) -> &Counter {
        &self.0.withheld
    }
}

/// The machine, with a word before it in which the requests of the current second are counted:
/// each request is one atomic addition, and the lock is taken once a second and for retries.
#[derive(Debug)]
struct SharedBudget {
    origin: Instant,
    /// The second after `origin` above, requests in it below.
    current: AtomicU64,
    machine: Mutex<RetryBudget>,
}

const COUNT: u64 = u32::MAX as u64;

impl SharedBudget {
    fn new(params: BudgetParams) -> Self {
        Self {
            origin: Instant::now(),
            current: AtomicU64::new(0),
            machine: Mutex::new(RetryBudget::new(params)),
        }
    }

    /// Counts one request.
    fn deposit(&self, now: Instant) {
        let second = now.saturating_duration_since(self.origin).as_secs() & COUNT;
        let add = |word: u64| (word >> 32 == second && word & COUNT < COUNT).then(|| word + 1);
        let added = self
            .current
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        if added.is_err() {
            self.flush(&mut self.machine(), second, 1);
        }
    }

    /// Takes a retry out, if there is one.
    fn withdraw(&self, now: Instant) -> bool {
        let mut machine = self.machine();
        let second = now.saturating_duration_since(self.origin).as_secs() & COUNT;
        self.flush(&mut machine, second, 0);
        machine.withdraw(now.into_std())
    }

    /// Gives the machine what was counted, and counts on from `count` in `second`.
    fn flush(&self, machine: &mut RetryBudget, second: u64, count: u64) {
        let word = self.current.swap(second << 32 | count, Ordering::Relaxed);
        let at = self.origin + Duration::from_secs(word >> 32);
        let requests = u32::try_from(word & COUNT).unwrap_or(u32::MAX);
        machine.deposit(requests, at.into_std());
    }

    fn machine(&self) -> MutexGuard<'_, RetryBudget> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
