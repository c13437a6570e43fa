//! What all clients together want to hear of one backend.
//!
//! A level that somebody wanted once must not hold for ever: one developer's `debug` would have a
//! backend write, and everybody read and drop, its every step until the next restart. So a session
//! counts for as long as it lives and wants a level, and a call that named one for a while, so that
//! a client whose every other call does has no request made for each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use mcp_router_protocol::LogLevel;
use mcp_router_service::{RequestContext, Session};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::{UNSAID, number};

/// How long a level counts that a call named.
const LINGER: Duration = Duration::from_secs(60);
const LEVELS: usize = LogLevel::ALL.len();

/// The levels that are wanted of one backend, where many share its conversations.
#[derive(Debug)]
pub(crate) struct Wants {
    /// How many living sessions want each level, by its [`number`] less one.
    sessions: [AtomicU32; LEVELS],
    /// Until when each level counts that a call named, in milliseconds after `origin`.
    calls: [AtomicU64; LEVELS],
    origin: Instant,
    /// Under what a session keeps what it wants.
    key: Arc<str>,
    /// Less may be wanted than before, or something for a while.
    changed: Notify,
}

/// What one session wants. Dropped with its session.
#[derive(Debug)]
struct Claim {
    wants: Arc<Wants>,
    number: AtomicU8,
}

impl Wants {
    pub(crate) fn new() -> Arc<Self> {
        // Two backends never share a slot of a session.
        static BACKENDS: AtomicU64 = AtomicU64::new(0);
        let key = format!("level{}", BACKENDS.fetch_add(1, Ordering::Relaxed));
        Arc::new(Self {
            sessions: Default::default(),
            calls: Default::default(),
            origin: Instant::now(),
            key: key.into(),
            changed: Notify::new(),
        })
    }

    /// Notes what a call and its session want. `told`: whether the backend was told a level, so
    /// that a session that named none does not get what the backend sends by itself.
    pub(super) fn note(self: &Arc<Self>, context: &RequestContext, told: bool) {
        let Some(session) = &context.session else {
            if let Some(level) = context.log_level {
                self.call(number(level));
            }
            return;
        };
        let level = session.log_level().or(told.then_some(UNSAID));
        if let Some(level) = level {
            self.claim(session, number(level));
        }
    }

    fn claim(self: &Arc<Self>, session: &Session, number: u8) {
        let claim = session.slot(&self.key, || Claim {
            wants: self.clone(),
            number: AtomicU8::new(0),
        });
        let before = claim.number.swap(number, Ordering::AcqRel);
        if before != number {
            self.add(number);
            self.remove(before);
        }
    }

    fn add(&self, number: u8) {
        if let Some(count) = self.sessions.get(usize::from(number).wrapping_sub(1)) {
            count.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn remove(&self, number: u8) {
        if let Some(count) = self.sessions.get(usize::from(number).wrapping_sub(1)) {
            count.fetch_sub(1, Ordering::AcqRel);
            self.changed.notify_one();
        }
    }

    fn call(&self, number: u8) {
        let Some(until) = self.calls.get(usize::from(number).wrapping_sub(1)) else {
            return;
        };
        let now = self.now();
        let before = until.fetch_max(now + LINGER.as_millis() as u64, Ordering::AcqRel);
        if before <= now {
            // Somebody has to look when it is over.
            self.changed.notify_one();
        }
    }

    /// The [`number`] of the most verbose level that is wanted; zero: nobody wants any.
    pub(super) fn most(&self) -> u8 {
        let called = self.called();
        let wanted = (0..LEVELS).rev().find(|&at| {
            let by_session = self.sessions[at].load(Ordering::Acquire) > 0;
            by_session || called.is_some_and(|now| self.calls[at].load(Ordering::Acquire) > now)
        });
        // There are eight of them.
        wanted.map_or(0, |at| at as u8 + 1)
    }

    /// The time, if any call has ever named a level.
    fn called(&self) -> Option<u64> {
        let any = self.calls.iter().any(|c| c.load(Ordering::Relaxed) > 0);
        any.then(|| self.now())
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX / 2)
    }

    /// When the next level ceases to count that a call named.
    fn next_end(&self) -> Option<Instant> {
        let now = self.called()?;
        let ends = self.calls.iter().map(|c| c.load(Ordering::Acquire));
        let next = ends.filter(|end| *end > now).min()?;
        Some(self.origin + Duration::from_millis(next))
    }

    /// Resolves whenever less may be wanted than before. Safe to drop.
    pub(crate) async fn lowered(&self) {
        match self.next_end() {
            Some(end) => tokio::select! {
                () = self.changed.notified() => {}
                () = sleep_until(end) => {}
            },
            None => self.changed.notified().await,
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.wants.remove(*self.number.get_mut());
    }
}

#[cfg(test)]
mod tests {
    use mcp_router_service::SessionId;

    use super::*;

    fn session(level: LogLevel) -> (Session, RequestContext) {
        let (session, _outbox) = Session::open(SessionId::new("s"), Arc::default());
        session.set_log_level(level);
        let context = RequestContext {
            session: Some(session.clone()),
            ..RequestContext::default()
        };
        (session, context)
    }

    async fn is_lowered(wants: &Wants) -> bool {
        let soon = Duration::from_millis(1);
        tokio::time::timeout(soon, wants.lowered()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_counts_as_long_as_it_lives_and_with_its_last_level() {
        let wants = Wants::new();
        assert_eq!(wants.most(), 0);
        let (verbose, debug) = session(LogLevel::Debug);
        let (_other, error) = session(LogLevel::Error);
        for _ in 0..3 {
            wants.note(&debug, true);
            wants.note(&error, true);
        }
        assert_eq!(wants.most(), number(LogLevel::Debug));
        assert!(!is_lowered(&wants).await);
        verbose.set_log_level(LogLevel::Info);
        wants.note(&debug, true);
        assert_eq!(wants.most(), number(LogLevel::Info));
        assert!(is_lowered(&wants).await);
        verbose.close().await;
        assert_eq!(wants.most(), number(LogLevel::Error));
        assert!(is_lowered(&wants).await && !is_lowered(&wants).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_counts_for_a_while() {
        let wants = Wants::new();
        let context = RequestContext {
            log_level: Some(LogLevel::Debug),
            ..RequestContext::default()
        };
        wants.note(&context, false);
        assert_eq!(wants.most(), number(LogLevel::Debug));
        // It is to be looked at again, when that is over.
        wants.lowered().await;
        tokio::time::advance(LINGER / 2).await;
        wants.note(&context, false);
        tokio::time::advance(LINGER / 2).await;
        assert_eq!(wants.most(), number(LogLevel::Debug));
        wants.lowered().await;
        assert_eq!(wants.most(), 0);
        assert!(!is_lowered(&wants).await);
    }
}
