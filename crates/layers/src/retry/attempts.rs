//! The attempts at one call, and whether there is another.

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use mcp_router_health::Backoff;
use tokio::time::Instant;

use super::{Again, Base, MAX_WAIT, Policy};

/// What is needed to make a call again.
pub(super) struct Attempts<S, R, P, E> {
    /// For the next attempt. `None` once the last one has begun.
    request: Option<R>,
    policy: P,
    base: Arc<Base<S>>,
    made: u32,
    began: Instant,
    /// Apart, because hardly any call fails and every one is moved.
    failed: Option<Box<Failed<E>>>,
}

/// What is known once an attempt has failed.
struct Failed<E> {
    backoff: Backoff,
    /// What the failed ones add up to.
    earlier: Option<E>,
}

impl<S: Clone, R, P, E> Attempts<S, R, P, E> {
    /// The first one begins at `now`; `request` is for the second.
    pub(super) fn new(request: R, policy: P, base: Arc<Base<S>>, now: Instant) -> Self {
        Self {
            request: Some(request),
            policy,
            base,
            made: 1,
            began: now,
            failed: None,
        }
    }

    /// An attempt has ended: how long to wait for the next one, or the result if there is none.
    pub(super) fn ended<T>(&mut self, result: Result<T, E>) -> Result<Duration, Result<T, E>>
    where
        P: Policy<R, T, E>,
    {
        let Some(request) = &self.request else {
            return Err(result.map_err(|error| self.merge::<T>(error)));
        };
        let again = self.policy.again(request, result.as_ref());
        let Again::After { told } = again else {
            return Err(result.map_err(|error| self.merge::<T>(error)));
        };
        let attempt = self.policy.attempt(request);
        let room = self.room(attempt).min(self.policy.room(request));
        let Some(wait) = self.wait(told, room) else {
            return Err(result.map_err(|error| self.merge::<T>(error)));
        };
        if let Err(error) = result {
            let error = self.merge::<T>(error);
            self.failed().earlier = Some(error);
        }
        Ok(wait)
    }

    /// The next attempt begins: its request.
    pub(super) fn begin<T>(&mut self) -> Option<R>
    where
        P: Policy<R, T, E>,
    {
        let request = self.request.take()?;
        self.made += 1;
        if self.made < self.base.shared.params.max_attempts {
            self.request = self.policy.copy(&request);
        }
        self.policy.repeating(&request);
        self.base.shared.retries.add(1);
        Some(request)
    }

    /// A service of its own for the next attempt.
    pub(super) fn service(&self) -> S {
        let spare = self.base.spare.lock();
        spare.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A failure, with what earlier attempts add to it.
    pub(super) fn merge<T>(&mut self, error: E) -> E
    where
        P: Policy<R, T, E>,
    {
        match self.failed.as_mut().and_then(|f| f.earlier.take()) {
            Some(earlier) => self.policy.merge(earlier, error),
            None => error,
        }
    }

    fn failed(&mut self) -> &mut Failed<E> {
        let backoff = self.base.shared.params.backoff;
        self.failed.get_or_insert_with(|| {
            Box::new(Failed {
                backoff: Backoff::new(backoff),
                earlier: None,
            })
        })
    }

    /// What is left of the time that all attempts and the waits between them may take.
    fn room(&self, attempt: Option<Duration>) -> Duration {
        let params = self.base.shared.params;
        let attempt = attempt.unwrap_or(params.attempt);
        let waits = params.backoff.sum(params.max_attempts.saturating_sub(1));
        let whole = attempt.saturating_mul(params.max_attempts);
        let whole = whole.saturating_add(waits);
        whole.saturating_sub(self.began.elapsed())
    }

    /// How long to wait, if there is time and budget for another attempt.
    fn wait(&mut self, told: Option<Duration>, room: Duration) -> Option<Duration> {
        let told = told.unwrap_or_default();
        if told > MAX_WAIT {
            return None;
        }
        let backoff = &mut self.failed().backoff;
        let wait = backoff.next(&mut fastrand::Rng::new()).max(told);
        if wait >= room {
            return None;
        }
        let budget = &self.base.shared.budget;
        if !budget.withdraw() {
            budget.withheld().add(1);
            tracing::debug!(attempts = self.made, "not tried again: no budget left");
            return None;
        }
        let wait_ms = wait.as_millis() as u64;
        tracing::debug!(attempts = self.made, wait_ms, "will try again");
        Some(wait)
    }
}

impl<S, R, P, E> fmt::Debug for Attempts<S, R, P, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempts")
            .field("made", &self.made)
            .finish_non_exhaustive()
    }
}
