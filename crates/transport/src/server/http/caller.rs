//! What a connection keeps from one request to the next.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use mcp_router_service::Alarm;
use tokio::time::Instant;

use crate::server::serve::LocalAddr;

/// A connection, or whoever else brings one request after the other. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    /// The address that it came in on, where that is known.
    pub(super) local: Option<LocalAddr>,
    /// Locked for one poll at a time. Requests side by side would be woken for each other: whoever
    /// has such needs one for each.
    alarm: Arc<Mutex<Alarm>>,
}

impl Caller {
    pub(crate) fn on(local: Option<LocalAddr>) -> Self {
        Self {
            local,
            alarm: Arc::default(),
        }
    }

    /// What comes of `future` within `time` from its first poll; `None` when that is over.
    pub(super) async fn within<F>(&self, time: Duration, future: &mut F) -> Option<F::Output>
    where
        F: Future + Unpin,
    {
        let mut until = None;
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.poll_unpin(cx) {
                return Poll::Ready(Some(output));
            }
            let until = *until.get_or_insert_with(|| Instant::now() + time);
            // The timer behind a poisoned lock is whole: nothing panics while it is held.
            let mut alarm = self.alarm.lock().unwrap_or_else(PoisonError::into_inner);
            alarm.poll(until, cx).map(|()| None)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use futures::future::pending;
    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn each_request_has_its_own_time_whatever_became_of_those_before() {
        let caller = Caller::default();
        for taken in [0, 3, 1, 9] {
            let start = Instant::now();
            let mut work = Box::pin(sleep(taken * SECOND));
            let done = caller.within(5 * SECOND, &mut work).await;
            assert_eq!(done.is_some(), taken < 5);
            assert_eq!(start.elapsed().as_secs(), u64::from(taken.min(5)));
        }
        let never = caller.within(SECOND, &mut pending::<()>()).await;
        assert!(never.is_none());
    }
}
