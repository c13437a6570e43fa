//! Where calls wait for the word that ends them.
//!
//! Every call waits here, and hardly any hears the word. So each leaves whom to wake in a place of
//! its own, which the next call takes over.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// How many tables of places there are: requests on different threads must not meet at one lock.
const SHARDS: usize = 16;

/// The word.
#[derive(Debug, Default)]
pub(super) struct Cut {
    done: AtomicBool,
    shards: [Mutex<Places>; SHARDS],
}

/// A call that waits for it. Dropped, it gives its place back.
#[derive(Debug)]
pub(super) struct Waiting {
    cut: Arc<Cut>,
    /// Shard and place, once there was something to wait for.
    place: Option<(usize, usize)>,
}

/// As many as there were calls at once.
#[derive(Debug, Default)]
struct Places {
    woken: Vec<Option<Waker>>,
    free: Vec<usize>,
}

// === impl Cut ===

impl Cut {
    pub(super) fn is_done(&self) -> bool {
        self.done.load(Ordering::SeqCst)
    }

    /// Says it, once and for all.
    pub(super) fn cut(&self) {
        // Said before anybody is woken.
        self.done.store(true, Ordering::SeqCst);
        for shard in &self.shards {
            let waiting: Vec<_> = lock(shard).woken.iter_mut().map(Option::take).collect();
            waiting.into_iter().flatten().for_each(Waker::wake);
        }
    }
}

#[cfg(test)]
impl Cut {
    /// How many places there are, and how many are taken.
    pub(super) fn places(&self) -> (usize, usize) {
        let all = self.shards.iter().map(lock);
        all.fold((0, 0), |(all, taken), places| {
            let of = places.woken.len();
            (all + of, taken + of - places.free.len())
        })
    }
}

// === impl Waiting ===

impl Waiting {
    pub(super) fn new(cut: &Arc<Cut>) -> Self {
        Self {
            cut: cut.clone(),
            place: None,
        }
    }

    /// Another one for the same word.
    pub(super) fn another(&self) -> Self {
        Self::new(&self.cut)
    }

    /// Ready once it was said.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        let shard = match self.place {
            Some((shard, _)) => shard,
            None => own_shard(),
        };
        let mut places = lock(&self.cut.shards[shard]);
        let place = match self.place {
            Some((_, place)) => place,
            None => places.take(),
        };
        self.place = Some((shard, place));
        let before = places.wake(place, cx.waker());
        drop(places);
        // Dropping it may end a task.
        drop(before);
        // Asked last: who says it now finds this one in its place.
        match self.cut.is_done() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some((shard, place)) = self.place {
            let woken = lock(&self.cut.shards[shard]).give_back(place);
            drop(woken);
        }
    }
}

/// The shard of this thread.
fn own_shard() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS;
    }
    OWN.with(|own| *own)
}

/// What is behind a poisoned lock is whole: nothing panics while it is held.
fn lock(places: &Mutex<Places>) -> MutexGuard<'_, Places> {
    places.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Places ===

impl Places {
    fn take(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.woken.push(None);
            self.woken.len() - 1
        })
    }

    /// Notes whom to wake; and gives who was to be woken before.
    fn wake(&mut self, place: usize, waker: &Waker) -> Option<Waker> {
        match &mut self.woken[place] {
            Some(known) if known.will_wake(waker) => None,
            woken => woken.replace(waker.clone()),
        }
    }

    fn give_back(&mut self, place: usize) -> Option<Waker> {
        self.free.push(place);
        self.woken[place].take()
    }
}
