//! Not every backend at once.
//!
//! A router that starts with a thousand backends would open a thousand connections in the same
//! moment: whoever answers last, for want of processor time on either side, is taken for dead and
//! tried again. So few attempts are fresh at a time. One that hangs gives its place to the next
//! soon and goes on without: dead backends must not hold up the others.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Attempts that are fresh at a time.
const PLACES: usize = 64;
/// How long an attempt is fresh.
const FRESH: Duration = Duration::from_millis(250);

/// The places of all backends of this process.
pub(super) static STARTS: Turns = Turns::new(PLACES);

/// So many places for fresh attempts.
#[derive(Debug)]
pub(super) struct Turns(Semaphore);

impl Turns {
    pub(super) const fn new(places: usize) -> Self {
        Self(Semaphore::const_new(places))
    }

    /// Does `attempt` once it has a place, which it gives back after a while or at its end.
    pub(super) async fn take<T>(&self, attempt: impl Future<Output = T>) -> T {
        let mut attempt = pin!(attempt);
        {
            // It is never closed.
            let _place = self.0.acquire().await;
            if let Ok(done) = timeout(FRESH, &mut attempt).await {
                return done;
            }
        }
        attempt.await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn attempts_that_hang_hold_up_the_others_for_a_moment_only() {
        let (turns, begun) = (Turns::new(2), Arc::new(AtomicUsize::new(0)));
        let start = Instant::now();
        let hanging = (0..4).map(|_| {
            turns.take(async {
                begun.fetch_add(1, Ordering::Relaxed);
                pending::<()>().await;
            })
        });
        let last = async {
            turns.take(ready(())).await;
            start.elapsed()
        };
        let waited = tokio::select! {
            biased;
            _ = join_all(hanging) => unreachable!("they hang"),
            waited = last => waited,
        };
        assert_eq!(begun.load(Ordering::Relaxed), 4);
        assert_eq!(waited, 2 * FRESH);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_are_fresh_at_a_time_than_there_are_places() {
        let (turns, now, most) = (Turns::new(3), AtomicUsize::new(0), AtomicUsize::new(0));
        let quick = (0..20).map(|_| {
            turns.take(async {
                most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::time::sleep(FRESH / 5).await;
                now.fetch_sub(1, Ordering::Relaxed);
            })
        });
        join_all(quick).await;
        assert_eq!(most.into_inner(), 3);
    }
}
