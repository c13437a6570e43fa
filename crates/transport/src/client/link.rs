//! Whether there is a connection, for those who call and those who make it.
//!
//! One driver a backend connects; calls only look. Did every call connect by itself, a backend
//! that comes back would be greeted by as many handshakes as there are callers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures::FutureExt;
use mcp_router_service::{CallError, Reason, Sent};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

/// For so long after a failed attempt its failure is the answer; no caller starts another.
const FRESH: Duration = Duration::from_millis(250);
/// How long a call waits for a connection that is being made all the time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// The state of one backend's connection.
#[derive(Debug)]
pub(crate) struct Link<P> {
    up: ArcSwapOption<P>,
    phase: watch::Sender<Phase>,
    attempts: AtomicU64,
    wake: Notify,
    /// How long a call waits for a connection that is being made.
    patience: Duration,
}

/// How the connection stands.
#[derive(Debug)]
pub(crate) enum Standing<P> {
    /// Nobody has needed it.
    Asleep,
    /// It is being made.
    Connecting,
    /// It is there.
    Up(Arc<P>),
    /// It could not be made, or is lost.
    Down(CallError),
}

#[derive(Clone, Debug)]
enum Phase {
    /// Nobody has asked for it, or nobody for long.
    Asleep,
    /// Nobody has tried, or somebody is trying.
    Connecting,
    Up,
    Down {
        reason: Reason,
        detail: Option<String>,
        /// Which attempt failed.
        attempt: u64,
        since: Instant,
        /// Whether a call may have it tried again at once.
        retry: bool,
    },
}

impl<P> Link<P> {
    /// A connection that nobody has tried to make. With `lazy` nobody will until the first call,
    /// and calls wait for as long as it takes to make one.
    pub(crate) fn new(lazy: bool, handshake: Duration) -> Self {
        Self {
            up: ArcSwapOption::empty(),
            phase: watch::Sender::new(if lazy {
                Phase::Asleep
            } else {
                Phase::Connecting
            }),
            attempts: AtomicU64::new(0),
            wake: Notify::new(),
            patience: if lazy { handshake } else { PATIENCE },
        }
    }

    /// How the connection stands now.
    pub(crate) fn standing(&self) -> Standing<P> {
        if let Some(peer) = self.get() {
            return Standing::Up(peer);
        }
        // Not held: the writer would wait for us, and we for it.
        let phase = self.phase.borrow().clone();
        match phase {
            Phase::Asleep => Standing::Asleep,
            Phase::Connecting | Phase::Up => Standing::Connecting,
            Phase::Down { .. } => Standing::Down(self.failure()),
        }
    }

    /// The connection was given up; the next call has it made again.
    pub(crate) fn set_asleep(&self) {
        self.up.store(None);
        self.phase.send_replace(Phase::Asleep);
    }

    /// The connection, if there is one.
    pub(crate) fn get(&self) -> Option<Arc<P>> {
        self.up.load_full()
    }

    pub(crate) fn set_up(&self, peer: Arc<P>) {
        // Calls that waited for this asked for a connection, and here it is.
        let _ = self.wake.notified().now_or_never();
        self.up.store(Some(peer));
        self.phase.send_replace(Phase::Up);
    }

    /// Another attempt begins.
    pub(crate) fn set_connecting(&self) {
        self.phase.send_replace(Phase::Connecting);
    }

    /// There is no connection, for this reason. With `retry`, a call has it tried again at once;
    /// without, calls fail until the driver's own next attempt.
    pub(crate) fn set_down(&self, error: &CallError, retry: bool) {
        // Whoever asked during the attempt has its answer. The attempt itself may have asked, when
        // it found nobody there: heard, that would be the next one, and never a longer wait.
        let _ = self.wake.notified().now_or_never();
        self.up.store(None);
        self.phase.send_replace(Phase::Down {
            reason: error.reason,
            detail: error.detail.clone(),
            attempt: self.attempts.fetch_add(1, Ordering::Relaxed) + 1,
            since: Instant::now(),
            retry,
        });
    }

    /// Asks the driver to look after the connection now.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Resolves when a call asked for it.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// The connection; made now if there is none.
    ///
    /// # Errors
    /// If the attempt fails, failed a moment ago, or takes too long. Nothing was sent then.
    pub(crate) async fn peer(&self) -> Result<Arc<P>, CallError> {
        match self.get() {
            Some(peer) => Ok(peer),
            None => self.connected().await,
        }
    }

    async fn connected(&self) -> Result<Arc<P>, CallError> {
        let mut phase = self.phase.subscribe();
        let attempt = self.attempts.load(Ordering::Relaxed);
        if let Phase::Down { since, retry, .. } = &*phase.borrow_and_update()
            && (!retry || since.elapsed() < FRESH)
        {
            return Err(self.failure());
        }
        self.wake();
        let ended = phase.wait_for(|phase| match phase {
            Phase::Connecting | Phase::Asleep => false,
            Phase::Up => true,
            Phase::Down {
                attempt: failed, ..
            } => *failed > attempt,
        });
        let ended = timeout(self.patience, ended).await.is_ok();
        self.get().ok_or_else(|| {
            if ended {
                self.failure()
            } else {
                CallError::new(Reason::ConnectFailed, Sent::No).detail("still connecting")
            }
        })
    }

    fn failure(&self) -> CallError {
        match &*self.phase.borrow() {
            Phase::Down { reason, detail, .. } => CallError {
                detail: detail.clone(),
                ..CallError::new(not_sent(*reason), Sent::No)
            },
            _ => CallError::new(Reason::ConnectFailed, Sent::No),
        }
    }
}

/// The reason a call gets that found no connection: the backend was not lost by this call.
fn not_sent(reason: Reason) -> Reason {
    match reason {
        Reason::BackendLost | Reason::Timeout => Reason::ConnectFailed,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> CallError {
        CallError::new(Reason::ConnectFailed, Sent::No).detail("connection refused")
    }

    #[tokio::test(start_paused = true)]
    async fn many_callers_cost_one_attempt_and_share_its_failure() {
        let link: Arc<Link<()>> = Arc::new(Link::new(false, PATIENCE));
        link.set_down(&refused(), true);
        tokio::time::advance(2 * FRESH).await;
        let callers: Vec<_> = (0..10)
            .map(|_| {
                let link = link.clone();
                tokio::spawn(async move { link.peer().await.map(drop) })
            })
            .collect();
        link.woken().await;
        link.set_connecting();
        tokio::task::yield_now().await;
        link.set_down(&refused(), true);
        for caller in callers {
            let error = caller.await.unwrap().unwrap_err();
            assert_eq!(
                (error.reason, error.sent),
                (Reason::ConnectFailed, Sent::No)
            );
            assert_eq!(error.detail.as_deref(), Some("connection refused"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fresh_failure_is_the_answer_and_so_is_one_that_is_not_to_be_retried() {
        let link: Link<()> = Link::new(false, PATIENCE);
        for retry in [true, false] {
            link.set_down(&refused(), retry);
            let start = Instant::now();
            assert!(link.peer().await.is_err());
            assert_eq!(start.elapsed(), Duration::ZERO);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_waits_for_a_connection_but_not_for_ever() {
        let link: Arc<Link<u8>> = Arc::new(Link::new(false, PATIENCE));
        let error = link.peer().await.unwrap_err();
        assert_eq!(
            (error.reason, error.sent),
            (Reason::ConnectFailed, Sent::No)
        );
        let waiting = tokio::spawn({
            let link = link.clone();
            async move { link.peer().await.map(|p| *p) }
        });
        tokio::task::yield_now().await;
        link.set_up(Arc::new(7));
        assert_eq!(waiting.await.unwrap().unwrap(), 7);
    }
}
