//! A timer that is kept between calls.
//!
//! To set a timer of the runtime costs a lock and a place in its wheel, and one that is earlier than
//! all others wakes the runtime's driver by a system call. Most calls end long before their time, so
//! an [`Alarm`] stays set when its call has ended: the next call's time is later, and a timer that
//! rings too early is set again then. One that outlived its last call wakes its last task once, for
//! nothing.
//!
//! Who has no place to keep one lets the task keep it: [`Alarm::kept`], where the task is one that
//! [keeps](keeping_alarm) its alarm.

use std::cell::Cell;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::time::{Instant, Sleep, sleep_until};

tokio::task_local! {
    /// The alarm that no call of this task uses at the moment.
    static KEPT: Cell<Alarm>;
}

/// A timer for one call after the other, which stays set when its call has ended.
///
/// Must be polled within one tokio runtime.
#[derive(Debug, Default)]
pub struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whom it wakes.
    woken: Option<Waker>,
}

/// Lets the calls that are made one after the other in `calls` share an alarm.
pub fn keeping_alarm<F: Future>(calls: F) -> impl Future<Output = F::Output> {
    KEPT.scope(Cell::default(), calls)
}

impl Alarm {
    /// The alarm that this task keeps, unless another call has it; otherwise a new one.
    pub fn kept() -> Self {
        KEPT.try_with(Cell::take).unwrap_or_default()
    }

    /// Lets this task keep it, if it is one that does.
    pub fn keep(&mut self) {
        if self.sleep.is_some() {
            let alarm = mem::take(self);
            // Not dropped while the place is in use.
            let _before = KEPT.try_with(|kept| kept.replace(alarm));
        }
    }

    /// Ready once `at` has come; until then the task is woken at that time at the latest. `at` may be
    /// another one in each poll.
    pub fn poll(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() > at {
            sleep.as_mut().reset(at);
            self.woken = None;
        }
        let woken = |waker: &Waker| waker.will_wake(cx.waker());
        if self.woken.as_ref().is_some_and(woken) && !sleep.is_elapsed() {
            return Poll::Pending;
        }
        self.woken = Some(cx.waker().clone());
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
    use std::future::{pending, poll_fn};
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

    #[tokio::test(start_paused = true)]
    async fn it_wakes_whoever_polled_it_last() {
        let (mut alarm, at) = (Alarm::default(), Instant::now() + SECOND);
        let mut first = tokio_test::task::spawn(());
        let mut second = tokio_test::task::spawn(());
        for _ in 0..2 {
            for task in [&mut first, &mut second] {
                assert!(task.enter(|cx, _| alarm.poll(at, cx)).is_pending());
            }
        }
        advance(SECOND).await;
        assert_eq!((first.is_woken(), second.is_woken()), (false, true));
        assert!(second.enter(|cx, _| alarm.poll(at, cx)).is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_keeps_its_alarm_has_it_set_for_the_next_call() {
        let is_set = |alarm: &Alarm| alarm.sleep.is_some();
        let calls = async {
            let mut one = Alarm::kept();
            let mut other = Alarm::kept();
            assert!(!is_set(&one) && !is_set(&other));
            let at = Instant::now() + SECOND;
            let ended = timeout_at(Instant::now(), rings(&mut one, at)).await;
            assert!(ended.is_err());
            one.keep();
            other.keep();
            let next = Alarm::kept();
            assert!(is_set(&next) && !is_set(&Alarm::kept()));
            let mut next = next;
            assert_eq!(rings(&mut next, at).await, at);
        };
        keeping_alarm(calls).await;
    }

    #[tokio::test(start_paused = true)]
    async fn elsewhere_nothing_is_kept() {
        let mut alarm = Alarm::kept();
        let at = Instant::now() + SECOND;
        assert_eq!(rings(&mut alarm, at).await, at);
        alarm.keep();
        assert!(Alarm::kept().sleep.is_none());
        let left = timeout_at(at + SECOND, keeping_alarm(pending::<()>()));
        assert!(left.await.is_err());
    }
}
