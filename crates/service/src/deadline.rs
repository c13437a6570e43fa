//! The deadline of a call, as a handle that moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Longest life of any call, progress or not.
pub const HARD_CAP: Duration = Duration::from_secs(600);

/// When a call must have ended. Clones are the same deadline: progress moves it for every timer on
/// the way, never past the hard cap; it stands still while someone waits for the client.
#[derive(Clone, Debug)]
pub struct Deadline(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    start: Instant,
    /// Milliseconds after `start`.
    at: AtomicU64,
    /// Milliseconds after `start`; waits for the client move it too.
    cap: AtomicU64,
    pauses: AtomicUsize,
    moved: Notify,
}

impl Deadline {
    /// Ends `after` from now, and can move up to [`HARD_CAP`] from now.
    pub fn after(after: Duration) -> Self {
        Self::with_cap(after, HARD_CAP.max(after))
    }

    /// Ends `after` from now, and can move up to `cap` from now.
    pub fn with_cap(after: Duration, cap: Duration) -> Self {
        Self(Arc::new(Inner {
            start: Instant::now(),
            at: AtomicU64::new(millis(after.min(cap))),
            cap: AtomicU64::new(millis(cap)),
            pauses: AtomicUsize::new(0),
            moved: Notify::new(),
        }))
    }

    /// What remains, zero once it has passed.
    pub fn remaining(&self) -> Duration {
        self.instant().saturating_duration_since(Instant::now())
    }

    /// The moment as it stands now.
    pub fn instant(&self) -> Instant {
        self.0.start + Duration::from_millis(self.0.at.load(Ordering::Acquire))
    }

    /// Moves the deadline to `from_now` from now, if that is later and within the cap.
    pub fn extend(&self, from_now: Duration) {
        let target = millis(self.0.start.elapsed() + from_now);
        let target = target.min(self.0.cap.load(Ordering::Acquire));
        if self.0.at.fetch_max(target, Ordering::AcqRel) < target {
            self.0.moved.notify_waiters();
        }
    }

    /// Stops the clock until the guard is dropped, at most for `limit`. For waits for the client.
    pub fn pause(&self, limit: Duration) -> Pause {
        self.0.pauses.fetch_add(1, Ordering::AcqRel);
        self.0.moved.notify_waiters();
        Pause {
            deadline: self.clone(),
            since: Instant::now(),
            limit,
        }
    }

    /// Resolves once the deadline has passed, wherever it was moved to meanwhile.
    pub async fn expired(&self) {
        loop {
            let moved = self.0.moved.notified();
            if self.0.pauses.load(Ordering::Acquire) > 0 {
                moved.await;
                continue;
            }
            let at = self.instant();
            if Instant::now() >= at {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep_until(at) => {}
                () = moved => {}
            }
        }
    }
}

impl Default for Deadline {
    fn default() -> Self {
        Self::after(HARD_CAP)
    }
}

/// Holds a deadline's clock; see [`Deadline::pause`].
#[derive(Debug)]
pub struct Pause {
    deadline: Deadline,
    since: Instant,
    limit: Duration,
}

impl Drop for Pause {
    fn drop(&mut self) {
        let waited = millis(self.since.elapsed().min(self.limit));
        let inner = &self.deadline.0;
        inner.at.fetch_add(waited, Ordering::AcqRel);
        inner.cap.fetch_add(waited, Ordering::AcqRel);
        inner.pauses.fetch_sub(1, Ordering::AcqRel);
        inner.moved.notify_waiters();
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn progress_moves_it_up_to_the_cap() {
        let deadline = Deadline::with_cap(2 * S, 5 * S);
        let start = Instant::now();
        let clone = deadline.clone();
        let extender = tokio::spawn(async move {
            for _ in 0..10 {
                tokio::time::sleep(S).await;
                clone.extend(2 * S);
            }
        });
        deadline.expired().await;
        assert_eq!(start.elapsed(), 5 * S);
        extender.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn it_stands_still_while_someone_waits_for_the_client() {
        let deadline = Deadline::after(2 * S);
        let start = Instant::now();
        let pause = deadline.pause(10 * S);
        let (_, ()) = tokio::join!(deadline.expired(), async {
            tokio::time::sleep(3 * S).await;
            drop(pause);
        });
        assert_eq!(start.elapsed(), 5 * S);
    }
}
