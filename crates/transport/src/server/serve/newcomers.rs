//! Who goes when there is no room for another connection.
//!
//! There are only so many connections, and thousands that never finish their first request would
//! hold all of them for as long as a head may take; whoever comes after them, an orchestrator's
//! probe for one, would wait that long to be accepted. So the oldest of those that have not
//! brought a request yet makes room.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::pace::Pace;

/// How long a connection has at least for its first request: it may be on its way.
const GRACE: Duration = Duration::from_millis(500);

/// When to look again whether the one that had to go has gone.
const AGAIN: Duration = Duration::from_millis(100);

/// How long the log is silent about more of the same.
const QUIET: Duration = Duration::from_secs(10);

/// Connections by age, those that have brought a request among them until they are come across.
/// Owned by the accept loop: nobody else waits for it.
#[derive(Debug, Default)]
pub(super) struct Newcomers {
    queue: VecDeque<(Instant, Weak<Pace>)>,
    /// Entries when the queue was last cleared of those that are none any more.
    cleared: usize,
    told: Option<Instant>,
}

impl Newcomers {
    /// A connection was accepted.
    pub(super) fn add(&mut self, pace: &Arc<Pace>) {
        // Each entry is looked at once for every time that the queue has doubled.
        if self.queue.len() >= 2 * self.cleared.max(64) {
            self.queue.retain(|(_, pace)| newcomer(pace).is_some());
            self.cleared = self.queue.len();
        }
        self.queue.push_back((Instant::now(), Arc::downgrade(pace)));
    }

    /// Ends the oldest connection that has not brought a request in time. Says when it may help to
    /// ask again; `None`: not before another has come.
    pub(super) fn make_room(&mut self) -> Option<Instant> {
        let now = Instant::now();
        while let Some((since, pace)) = self.queue.front() {
            let (since, pace) = (*since, newcomer(pace));
            if pace.is_some() && now < since + GRACE {
                return Some(since + GRACE);
            }
            self.queue.pop_front();
            if let Some(pace) = pace {
                self.tell();
                pace.evict();
                return Some(now + AGAIN);
            }
        }
        None
    }

    fn tell(&mut self) {
        let now = Instant::now();
        if self.told.is_none_or(|told| now - told >= QUIET) {
            self.told = Some(now);
            tracing::warn!(
                "no room for more connections: the oldest of those that have not brought a \
                 request yet are closed (more room: a higher limit of open files)"
            );
        }
    }
}

/// The connection, if it is there and has brought no request yet.
fn newcomer(pace: &Weak<Pace>) -> Option<Arc<Pace>> {
    pace.upgrade().filter(|pace| !pace.has_served())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn f36_the_oldest_without_a_request_goes_first_but_not_at_once() {
        let mut newcomers = Newcomers::default();
        let paces: Vec<_> = (0..4).map(|_| Arc::new(Pace::default())).collect();
        for pace in &paces {
            newcomers.add(pace);
        }
        drop(paces[0].begin());
        let evicted = |paces: &[Arc<Pace>]| -> Vec<bool> {
            paces.iter().map(|pace| pace.is_evicted()).collect()
        };
        assert_eq!(newcomers.make_room(), Some(Instant::now() + GRACE));
        assert_eq!(evicted(&paces), [false; 4]);
        tokio::time::advance(GRACE).await;
        assert_eq!(newcomers.make_room(), Some(Instant::now() + AGAIN));
        assert_eq!(evicted(&paces), [false, true, false, false]);
        assert!(newcomers.make_room().is_some() && newcomers.make_room().is_some());
        assert_eq!(evicted(&paces), [false, true, true, true]);
        assert_eq!(newcomers.make_room(), None);
    }

    #[test]
    fn what_is_gone_or_served_is_not_kept() {
        let mut newcomers = Newcomers::default();
        let served = Arc::new(Pace::default());
        drop(served.begin());
        for _ in 0..100_000 {
            newcomers.add(&served);
            newcomers.add(&Arc::new(Pace::default()));
        }
        assert!(newcomers.queue.len() <= 128, "{}", newcomers.queue.len());
    }
}
