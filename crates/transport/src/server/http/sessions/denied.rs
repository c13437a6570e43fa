//! Session ids that their clients gave up before they expired.

use std::collections::hash_map::RandomState;
use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most ids remembered. Beyond that the oldest is forgotten: until it expires, its client could go
/// on with it, as it can on replicas that never heard of its end.
const MAX: usize = 65_536;

/// So many have room in any case.
const FEW: usize = 64;

/// The list, asked only about ids of sessions that are not in memory.
///
/// Of an id its hash is kept, under a key that nobody knows. That another id has the same one is as
/// likely as guessing 48 bits, and its client would open a new session. An allocation for each id
/// would keep a whole page of memory in which there were sessions.
#[derive(Debug, Default)]
pub(super) struct Denied {
    hasher: RandomState,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    prints: HashSet<u64>,
    /// With the times until which they matter, in milliseconds of the table's clock, oldest first.
    order: VecDeque<(u64, u64)>,
}

impl Denied {
    pub(super) fn add(&self, key: &str, until: u64, now: u64) {
        let mut inner = self.lock();
        inner.forget(now);
        if inner.order.len() >= MAX {
            tracing::warn!("too many sessions were ended: the end of the oldest is forgotten");
            inner.pop();
        }
        let print = self.hasher.hash_one(key);
        if inner.prints.insert(print) {
            inner.order.push_back((until, print));
        }
    }

    /// Forgets those that have expired by `now`.
    pub(super) fn forget(&self, now: u64) {
        self.lock().forget(now);
    }

    pub(super) fn len(&self) -> usize {
        self.lock().prints.len()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.lock().prints.contains(&self.hasher.hash_one(key))
    }

    /// The data behind a poisoned lock is whole: nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn forget(&mut self, now: u64) {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.pop();
        }
        let room = FEW + 2 * self.order.len();
        if self.order.capacity() > 2 * room {
            self.order.shrink_to(room);
            self.prints.shrink_to(room);
        }
    }

    fn pop(&mut self) {
        if let Some((_, print)) = self.order.pop_front() {
            self.prints.remove(&print);
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
        denied.forget(100);
        let inner = denied.lock();
        assert!(inner.prints.is_empty() && inner.order.is_empty());
        assert!(inner.order.capacity() <= 2 * FEW && inner.prints.capacity() <= 4 * FEW);
    }
}
