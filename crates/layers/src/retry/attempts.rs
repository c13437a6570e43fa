//! The attempts at one call, and whether there is another.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mcp_router_health::Backoff;
use tokio::time::Instant;

use super::{Again, MAX_WAIT, Policy, Shared};

/// What is needed to make a call again.
pub(super) struct Attempts<R, P, E> {
    /// For the next attempt. `None` once the last one has begun.
    request: Option<R>,
    policy: P,
    shared: Arc<Shared>,
    made: u32,
    began: Instant,
    backoff: Option<Backoff>,
    /// What the failed ones add up to.
    earlier: Option<E>,
}

impl<R, P, E> Attempts<R, P, E> {
    /// The first one begins at `now`; `request` is for the second.
    pub(super) fn new(request: R, policy: P, shared: Arc<Shared>, now: Instant) -> Self {
        Self {
            request: Some(request),
            policy,
            shared,
            made: 1,
            began: now,
            backoff: None,
            earlier: None,
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
            self.earlier = Some(self.merge::<T>(error));
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
        if self.made < self.shared.params.max_attempts {
            self.request = self.policy.copy(&request);
        }
        self.policy.repeating(&request);
        self.shared.retries.add(1);
        Some(request)
    }

    /// A failure, with what earlier attempts add to it.
    pub(super) fn merge<T>(&mut self, error: E) -> E
    where
        P: Policy<R, T, E>,
    {
        match self.earlier.take() {
            Some(earlier) => self.policy.merge(earlier, error),
            None => error,
        }
    }

    /// What is left of the time that all attempts and the waits between them may take.
    fn room(&self, attempt: Option<Duration>) -> Duration {
        let params = self.shared.params;
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
        let params = self.shared.params;
        let backoff = self
            .backoff
            .get_or_insert_with(|| Backoff::new(params.backoff));
        let wait = backoff.next(&mut fastrand::Rng::new()).max(told);
        if wait >= room {
            return None;
        }
        if !self.shared.budget.withdraw() {
            self.shared.budget.withheld().add(1);
            tracing::debug!(attempts = self.made, "not tried again: no budget left");
            return None;
        }
        let wait_ms = wait.as_millis() as u64;
        tracing::debug!(attempts = self.made, wait_ms, "will try again");
        Some(wait)
    }
}

impl<R, P, E> fmt::Debug for Attempts<R, P, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempts")
            .field("made", &self.made)
            .finish_non_exhaustive()
    }
}
