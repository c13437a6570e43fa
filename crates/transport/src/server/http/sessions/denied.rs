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
        while let Some((until, _)) = inner.order.front()
            && (*until <= now || inner.order.len() >= MAX)
        {
            if *until > now {
                tracing::warn!("too many sessions were ended: the end of the oldest is forgotten");
            }
            if let Some((_, key)) = inner.order.pop_front() {
                inner.keys.remove(&key);
            }
        }
        let key: Arc<str> = key.into();
        if inner.keys.insert(key.clone()) {
            inner.order.push_back((until, key));
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.lock().keys.contains(key)
    }

    /// The data behind a poisoned lock is whole: nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        for n in 0..MAX {
            denied.add(&n.to_string(), 100, 10);
        }
        assert!(!denied.has("b") && !denied.has("c"));
        assert!(denied.has("0") && denied.lock().order.len() == MAX);
    }
}
