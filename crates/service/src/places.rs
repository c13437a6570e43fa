//! A number of places, of which each call takes one.
//!
//! A semaphore takes a lock whenever a place is given back, and every call gives some back. While
//! nobody waits, a place here is one atomic operation each way.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// So many places. Clones are the same ones.
#[derive(Clone, Debug)]
pub struct Places(Arc<Shared>);

/// A place that is taken. Dropped, it goes to whoever has waited longest, or is free.
#[derive(Debug)]
#[must_use]
pub struct Place(Option<Places>);

#[derive(Debug)]
struct Shared {
    /// How many are free, in units of [`ONE`], or [`WAITED_FOR`] where there is none and somebody
    /// may wait. To and from there it goes under the queue's lock alone.
    state: AtomicUsize,
    /// Who waits, in the order of arrival; some have given up.
    queue: Mutex<VecDeque<oneshot::Sender<Place>>>,
}

const WAITED_FOR: usize = 1;
const ONE: usize = 2;

// === impl Places ===

impl Places {
    /// The most there can be.
    pub const MAX: usize = usize::MAX / ONE;

    /// `free` places, at most [`MAX`](Self::MAX).
    pub fn new(free: usize) -> Self {
        Self(Arc::new(Shared {
            state: AtomicUsize::new(free.min(Self::MAX) * ONE),
            queue: Mutex::default(),
        }))
    }

    /// How many are free.
    pub fn free(&self) -> usize {
        self.0.state.load(Ordering::Relaxed) / ONE
    }

    /// A place, if there is one: then nobody waits.
    pub fn try_take(&self) -> Option<Place> {
        let less = |state: usize| state.checked_sub(ONE);
        self.change(less).is_ok().then(|| self.place())
    }

    /// A place, in the order of arrival. Who drops the future has given up its turn.
    pub async fn take(&self) -> Place {
        let turn = {
            let mut queue = self.queue();
            let less = |state: usize| Some(state.checked_sub(ONE).unwrap_or(WAITED_FOR));
            if self.change(less).is_ok_and(|before| before >= ONE) {
                return self.place();
            }
            if queue.len() == queue.capacity() {
                queue.retain(|hand| !hand.is_closed());
            }
            let (hand, turn) = oneshot::channel();
            queue.push_back(hand);
            turn
        };
        match turn.await {
            Ok(place) => place,
            // The queue is there as long as somebody waits in it.
            Err(_) => pending().await,
        }
    }

    /// Gives a place back.
    fn give_back(self) {
        if !self.add() {
            self.hand_on();
        }
    }

    /// One more is free, unless somebody may wait for it.
    fn add(&self) -> bool {
        let more = |state: usize| (state != WAITED_FOR).then_some(state + ONE);
        self.change(more).is_ok()
    }

    fn hand_on(self) {
        let places = self.clone();
        let mut queue = places.queue();
        // Another place that was given back may have found the queue empty meanwhile.
        if self.add() {
            return;
        }
        let mut place = Place(Some(self));
        while let Some(hand) = queue.pop_front() {
            match hand.send(place) {
                Ok(()) => return,
                Err(back) => place = back,
            }
        }
        // Nobody waits any more. It is not given back once more.
        place.0 = None;
        places.0.state.store(ONE, Ordering::Release);
    }

    fn place(&self) -> Place {
        Place(Some(self.clone()))
    }

    fn change(&self, new: impl FnMut(usize) -> Option<usize>) -> Result<usize, usize> {
        let state = &self.0.state;
        state.fetch_update(Ordering::AcqRel, Ordering::Relaxed, new)
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<oneshot::Sender<Place>>> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Place ===

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(places) = self.0.take() {
            places.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio_test::{assert_pending, assert_ready, task};

    use super::*;

    #[test]
    fn there_are_as_many_as_there_are() {
        let places = Places::new(2);
        let (one, two) = (places.try_take(), places.try_take());
        assert!(one.is_some() && two.is_some() && places.try_take().is_none());
        drop(one);
        assert_eq!(places.free(), 1);
        assert!(places.try_take().is_some());
        assert!(Places::new(0).try_take().is_none());
        assert_eq!(Places::new(usize::MAX).free(), Places::MAX);
    }

    #[test]
    fn two_that_find_nobody_waiting_any_more_are_both_free() {
        let places = Places::new(0);
        let mut gave_up = task::spawn(places.take());
        assert_pending!(gave_up.poll());
        drop(gave_up);
        // Each saw that somebody may wait before either had the queue.
        assert!(!places.add() && !places.add());
        places.clone().hand_on();
        places.clone().hand_on();
        assert_eq!(places.free(), 2);
    }

    #[tokio::test]
    async fn whoever_waits_longest_is_next_and_nobody_overtakes() {
        let places = Places::new(1);
        let held = places.try_take().unwrap();
        let mut first = task::spawn(places.take());
        let mut second = task::spawn(places.take());
        assert_pending!(first.poll());
        assert_pending!(second.poll());
        drop(held);
        assert!(places.try_take().is_none(), "it was handed on");
        assert!(first.is_woken() && !second.is_woken());
        let held = assert_ready!(first.poll());
        assert_pending!(second.poll());
        drop(held);
        drop(assert_ready!(second.poll()));
        assert_eq!(places.free(), 1);
        assert!(places.try_take().is_some());
    }

    #[tokio::test]
    async fn who_gives_up_leaves_its_turn_to_the_next() {
        let places = Places::new(1);
        let held = places.try_take().unwrap();
        let mut waiting: Vec<_> = (0..3).map(|_| task::spawn(places.take())).collect();
        waiting.iter_mut().for_each(|w| assert_pending!(w.poll()));
        drop(waiting.remove(0));
        drop(held);
        // Handed to the second, who gives up without a look at it.
        drop(waiting.remove(0));
        let held = assert_ready!(waiting[0].poll());
        drop(waiting);
        drop(held);
        assert_eq!(places.free(), 1);
        assert!(places.try_take().is_some());
    }

    #[tokio::test]
    async fn those_who_gave_up_are_not_kept() {
        let places = Places::new(0);
        for _ in 0..1_000 {
            assert_pending!(task::spawn(places.take()).poll());
        }
        assert!(places.queue().len() < 10);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn none_is_lost_and_none_is_added_whatever_happens_at_once() {
        const PLACES: usize = 3;
        let places = Places::new(PLACES);
        let busy = Arc::new(AtomicUsize::new(0));
        let one = |seed: u64| {
            let (places, busy) = (places.clone(), busy.clone());
            async move {
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..2_000 {
                    let patience = Duration::from_micros(random.u64(0..50));
                    let place = match random.bool() {
                        true => places.try_take(),
                        false => tokio::time::timeout(patience, places.take()).await.ok(),
                    };
                    if place.is_some() {
                        assert!(busy.fetch_add(1, Ordering::SeqCst) < PLACES);
                        tokio::task::yield_now().await;
                        busy.fetch_sub(1, Ordering::SeqCst);
                    }
                }
            }
        };
        let tasks: Vec<_> = (0..8).map(|seed| tokio::spawn(one(seed))).collect();
        for task in tasks {
            task.await.unwrap();
        }
        // The last to leave may have found the queue full of those who had given up.
        let all: Vec<_> = std::iter::from_fn(|| places.try_take()).collect();
        assert_eq!(all.len(), PLACES);
    }
}
