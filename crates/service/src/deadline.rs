//! The deadline of a call, as a handle that moves.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    began: Instant,
    /// The moment as it was set, which is as it stands until the clock is touched.
    set: Instant,
    touched: AtomicBool,
    /// One call's own lock, held for a few instructions.
    clock: Mutex<Clock>,
    moved: Notify,
}

/// Moments as they are if nobody waits for the client any more.
#[derive(Clone, Copy, Debug)]
struct Clock {
    at: Instant,
    /// Waits for the client move it too.
    cap: Instant,
    stopped: Option<Stopped>,
}

/// The clock stands still.
#[derive(Clone, Copy, Debug)]
struct Stopped {
    since: Instant,
    /// When it goes on, whether or not somebody still waits.
    until: Instant,
    /// How many wait.
    waits: usize,
}

impl Clock {
    /// By how much the moments have moved since the clock was stopped.
    fn stood(&self, now: Instant) -> Duration {
        let stood = |s: Stopped| now.min(s.until).saturating_duration_since(s.since);
        self.stopped.map_or(Duration::ZERO, stood)
    }

    fn instant(&self, now: Instant) -> Instant {
        self.at + self.stood(now)
    }

    /// The earliest moment at which a look at the clock makes sense.
    fn worth_a_look(&self, now: Instant) -> Instant {
        match self.stopped {
            Some(stopped) if self.at > stopped.since && now < stopped.until => {
                self.at + (stopped.until - stopped.since)
            }
            _ => self.instant(now),
        }
    }

    fn start_again(&mut self, now: Instant) {
        let stood = self.stood(now);
        self.at += stood;
        self.cap += stood;
        self.stopped = None;
    }
}

impl Deadline {
    /// Ends `after` from now, and can move up to [`HARD_CAP`] from now.
    pub fn after(after: Duration) -> Self {
        Self::with_cap(after, HARD_CAP.max(after))
    }

    /// Ends `after` from now, and can move up to `cap` from now.
    pub fn with_cap(after: Duration, cap: Duration) -> Self {
        let now = Instant::now();
        let set = later(now, after.min(cap));
        let clock = Clock {
            at: set,
            cap: later(now, cap),
            stopped: None,
        };
        Self(Arc::new(Inner {
            began: now,
            set,
            touched: AtomicBool::new(false),
            clock: Mutex::new(clock),
            moved: Notify::new(),
        }))
    }

    /// When it was set: when the call came.
    pub fn began(&self) -> Instant {
        self.0.began
    }

    /// What remains, zero once it has passed. Does not shrink while the clock stands still.
    pub fn remaining(&self) -> Duration {
        let now = Instant::now();
        self.instant_at(now).saturating_duration_since(now)
    }

    /// The moment as it stands now.
    pub fn instant(&self) -> Instant {
        self.instant_at(Instant::now())
    }

    /// The moment as it stands at `now`, for who has asked the clock just before.
    pub fn instant_at(&self, now: Instant) -> Instant {
        match self.0.touched.load(Ordering::Acquire) {
            true => self.clock().instant(now),
            false => self.0.set,
        }
    }

    /// Moves the deadline to `from_now` from now, if that is later and within the cap.
    pub fn extend(&self, from_now: Duration) {
        let now = Instant::now();
        let moved = {
            let mut clock = self.touch();
            let stood = clock.stood(now);
            let target = later(now, from_now).min(clock.cap + stood) - stood;
            let moved = clock.at < target;
            clock.at = clock.at.max(target);
            moved
        };
        if moved {
            self.0.moved.notify_waiters();
        }
    }

    /// Stops the clock until the guard is dropped, at most for `limit`. For waits for the client.
    /// Of several at once, the last to end lets it go on; the time is counted once.
    pub fn pause(&self, limit: Duration) -> Pause {
        let now = Instant::now();
        {
            let mut clock = self.touch();
            let mut stopped = clock.stopped.unwrap_or(Stopped {
                since: now,
                until: now,
                waits: 0,
            });
            if stopped.until < now {
                // An earlier wait took too long, and the clock has gone on since.
                let waits = stopped.waits;
                clock.start_again(now);
                stopped = Stopped {
                    since: now,
                    until: now,
                    waits,
                };
            }
            stopped.until = stopped.until.max(later(now, limit));
            stopped.waits += 1;
            clock.stopped = Some(stopped);
        }
        self.0.moved.notify_waiters();
        Pause {
            deadline: self.clone(),
        }
    }

    /// Resolves once the deadline has passed, wherever it was moved to meanwhile.
    pub async fn expired(&self) {
        loop {
            let moved = self.0.moved.notified();
            let now = Instant::now();
            let look = self.clock().worth_a_look(now);
            if look <= now {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep_until(look) => {}
                () = moved => {}
            }
        }
    }

    /// The numbers are whole even where a panic poisoned the lock: nothing panics under it.
    /// The clock, to set it anew. One that goes on after a pause was touched then.
    fn touch(&self) -> MutexGuard<'_, Clock> {
        let clock = self.clock();
        self.0.touched.store(true, Ordering::Release);
        clock
    }

    fn clock(&self) -> MutexGuard<'_, Clock> {
        self.0.clock.lock().unwrap_or_else(PoisonError::into_inner)
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
}

impl Drop for Pause {
    fn drop(&mut self) {
        let now = Instant::now();
        {
            let mut clock = self.deadline.clock();
            match &mut clock.stopped {
                Some(stopped) if stopped.waits > 1 => stopped.waits -= 1,
                _ => clock.start_again(now),
            }
        }
        self.deadline.0.moved.notify_waiters();
    }
}

/// Half a century at most, so that no sum is beyond what a clock can show.
fn later(now: Instant, by: Duration) -> Instant {
    now + by.min(Duration::from_secs(50 * 365 * 86_400))
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

    #[tokio::test(start_paused = true)]
    async fn a_wait_for_the_client_ends_by_itself_at_its_limit() {
        let deadline = Deadline::after(2 * S);
        let start = Instant::now();
        let pause = deadline.pause(10 * S);
        tokio::time::sleep(5 * S).await;
        assert_eq!(deadline.remaining(), 2 * S);
        deadline.expired().await;
        assert_eq!(start.elapsed(), 12 * S);
        drop(pause);
        assert_eq!(deadline.instant(), start + 12 * S);
    }

    #[tokio::test(start_paused = true)]
    async fn two_waits_at_once_are_counted_once() {
        let deadline = Deadline::after(2 * S);
        let start = Instant::now();
        let first = deadline.pause(60 * S);
        tokio::time::sleep(S).await;
        let second = deadline.pause(60 * S);
        tokio::time::sleep(S).await;
        drop(first);
        tokio::time::sleep(S).await;
        drop(second);
        assert_eq!(deadline.instant(), start + 5 * S);
        // One more after one that went over its limit, which still stands.
        let _over = deadline.pause(S);
        tokio::time::sleep(2 * S).await;
        let third = deadline.pause(10 * S);
        tokio::time::sleep(S).await;
        drop(third);
        assert_eq!(deadline.instant(), start + 7 * S);
    }

    #[tokio::test(start_paused = true)]
    async fn progress_during_a_wait_is_bounded_by_the_cap_that_the_wait_moves() {
        let deadline = Deadline::with_cap(2 * S, 5 * S);
        let start = Instant::now();
        let pause = deadline.pause(10 * S);
        tokio::time::sleep(4 * S).await;
        deadline.extend(60 * S);
        drop(pause);
        assert_eq!(deadline.instant(), start + 9 * S);
    }
}
