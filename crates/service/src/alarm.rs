//! A timer that is kept between calls.
//!
//! To set a timer of the runtime costs a lock and a place in its wheel, and one that is earlier than
//! all others wakes the runtime's driver by a system call. Most calls end long before their time, so
//! an [`Alarm`] stays set when its call has ended: the next call's time is later, and a timer that
//! rings too early is set again then. One that outlived its last call wakes its last task once, for
//! nothing.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer for one call after the other; see the [module](self).
///
/// Must be polled within one tokio runtime.
#[derive(Debug, Default)]
pub struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Ready once `at` has come; until then the task is woken at that time at the latest. `at` may be
    /// another one in each poll.
    pub fn poll(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() > at {
            sleep.as_mut().reset(at);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= at {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::time::{advance, timeout_at};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn rings(alarm: &mut Alarm, at: Instant) -> Instant {
        poll_fn(|cx| alarm.poll(at, cx)).await;
        Instant::now()
    }

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_its_time_whatever_it_was_set_to_before() {
        let (mut alarm, start) = (Alarm::default(), Instant::now());
        // The first call ends early; the timer stays set for it.
        let ended = timeout_at(start + SECOND, rings(&mut alarm, start + 10 * SECOND)).await;
        assert!(ended.is_err());

        // An earlier time, a later one, one in the past, and again a later one.
        for (at, rang) in [(5, 5), (30, 30), (7, 30), (31, 31)] {
            assert_eq!(
                rings(&mut alarm, start + at * SECOND).await,
                start + rang * SECOND
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_time_leaves_the_timer_as_it_is() {
        let (mut alarm, start) = (Alarm::default(), Instant::now());
        let set = |alarm: &Alarm| alarm.sleep.as_ref().unwrap().deadline();
        let mut poll = tokio_test::task::spawn(());
        let mut at = |alarm: &mut Alarm, seconds| {
            poll.enter(|cx, _| alarm.poll(start + seconds * SECOND, cx))
        };

        assert!(at(&mut alarm, 10).is_pending());
        assert!(at(&mut alarm, 11).is_pending());
        assert_eq!(set(&alarm), start + 10 * SECOND);
        advance(10 * SECOND).await;
        assert!(at(&mut alarm, 11).is_pending());
        assert_eq!(set(&alarm), start + 11 * SECOND);
    }
}
