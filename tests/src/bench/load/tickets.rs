//! When the next request is due, for all connections together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Hands out requests. They are due one after another, or at once where there is no rate.
#[derive(Debug)]
pub(super) struct Tickets {
    start: Instant,
    every: Option<Duration>,
    end: u64,
    next: AtomicU64,
}

impl Tickets {
    /// `rate` per second, `calls` of them; 0 means no bound for either.
    pub(super) fn new(start: Instant, rate: f64, calls: u64) -> Self {
        Self {
            start,
            every: (rate > 0.0).then(|| Duration::from_secs_f64(1.0 / rate)),
            end: if calls == 0 { u64::MAX } else { calls },
            next: AtomicU64::new(0),
        }
    }

    /// When the caller's next request is due; `None` when there are no more.
    pub(super) fn take(&self) -> Option<Instant> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number >= self.end {
            return None;
        }
        Some(match self.every {
            // In nanoseconds: the number alone may be more than a `u32`.
            Some(every) => {
                let nanos = u128::from(number) * every.as_nanos();
                self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
            None => Instant::now(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_follow_the_clock_and_come_to_an_end() {
        let start = Instant::now();
        let tickets = Tickets::new(start, 100.0, 2);

        assert_eq!(tickets.take(), Some(start));
        assert_eq!(tickets.take(), Some(start + Duration::from_millis(10)));
        assert_eq!(tickets.take(), None);
    }

    #[test]
    fn without_a_rate_a_request_is_due_when_it_is_asked_for() {
        let tickets = Tickets::new(Instant::now(), 0.0, 0);
        let before = Instant::now();

        let due = tickets.take().expect("there is no end");

        assert!(due >= before && due <= Instant::now());
    }
}
