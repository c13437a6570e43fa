//! Session ids that their clients gave up before they expired.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most ids remembered. Beyond that the oldest is forgotten: until it expires, its client could go
/// on with it, as it can on replicas that never heard of its end.
const MAX: usize = 65_536;

/// The list, asked only about ids of sessions that are not in memory.
#[derive(Debug, Default)]
pub(super) struct Denied(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    keys: HashSet<Arc<str>>,
    /// With the times until which they matter, in milliseconds of the table's clock, oldest first.
    order: VecDeque<(u64, Arc<str>)>,
}

impl Denied {
    pub(super) fn add(&self, key: &str, until: u64, now: u64) {
        let mut inner = self.lock();
        inner.forget(now);
        if inner.order.len() >= MAX {
            tracing::warn!("too many sessions were ended: the end of the oldest is forgotten");
            inner.pop();
        }
        let key: Arc<str> = key.into();
        if inner.keys.insert(key.clone()) {
            inner.order.push_back((until, key));
        }
    }

    /// Forgets those that have expired by `now`.
    pub(super) fn forget(&self, now: u64) {
        self.lock().forget(now);
    }

    pub(super) fn len(&self) -> usize {
        self.lock().keys.len()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.lock().keys.contains(key)
    }

    /// The data behind a poisoned lock is whole: nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn forget(&mut self, now: u64) {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some((_, key)) = self.order.pop_front() {
            self.keys.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_ids_are_remembered_until_they_expire_and_the_list_is_bounded() {
        let denied = Denied::default();
        denied.add("a", 10, 0);
        denied.add("b", 20, 5);
        assert!(denied.has("a") && denied.has("b") && !denied.has("c"));
        denied.add("c", 30, 10);
        assert!(!denied.has("a") && denied.has("b"));
        denied.forget(20);
        assert_eq!((denied.len(), denied.has("c")), (1, true));
        denied.forget(30);
        assert_eq!(denied.len(), 0);
        for n in 0..MAX {
            denied.add(&n.to_string(), 100, 10);
        }
        denied.add("last", 100, 10);
        assert!(!denied.has("0") && denied.has("1") && denied.has("last"));
        assert_eq!((denied.len(), denied.lock().order.len()), (MAX, MAX));
    }
}
