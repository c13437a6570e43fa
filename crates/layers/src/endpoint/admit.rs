//! Leave to call an endpoint, which comes back whatever becomes of the call.

use std::sync::atomic::Ordering;

use mcp_router_health::{Admission, CircuitState, Refused, Verdict};
use mcp_router_service::{CallError, Class};
use tokio::time::Instant;

use super::{Endpoint, Stage};

/// Leave to call, or to probe. Dropped without a report it says nothing about the endpoint and
/// gives its slot back: a caller that gives up must not leave the circuit half-open for ever.
#[derive(Debug)]
#[must_use]
pub struct Admitted {
    endpoint: Endpoint,
    /// Taken when it is reported.
    admission: Option<Admission>,
    /// Whether it counts as a call in flight; a probe does not.
    in_flight: bool,
}

/// Counts as a call in flight until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct InFlight(Endpoint);

impl Endpoint {
    /// Asks its circuit for leave to call, and counts the call as in flight.
    ///
    /// # Errors
    /// While the circuit is open, or half-open with all trials out.
    pub fn admit(&self) -> Result<Admitted, Refused> {
        let hot = self.hot();
        let admission = if hot.is_closed() {
            Admission::closed(hot.generation())
        } else {
            self.change(|breaker, now| breaker.admit(now))?
        };
        self.shared.in_flight.fetch_add(1, Ordering::Relaxed);
        Ok(Admitted {
            endpoint: self.clone(),
            admission: Some(admission),
            in_flight: true,
        })
    }

    /// Leave for a probe, which is always given. Its failure counts like a call's, its success
    /// only where it could be a trial of a circuit that is not closed.
    pub fn admit_probe(&self) -> Admitted {
        let admission = self.change(|breaker, now| breaker.admit_probe(now));
        Admitted {
            endpoint: self.clone(),
            admission: Some(admission),
            in_flight: false,
        }
    }

    /// Counts a call in flight without asking the circuit.
    pub fn track(&self) -> InFlight {
        self.shared.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }

    fn leave(&self) {
        self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut mcp_router_health::Breaker, std::time::Instant) -> T,
    ) -> T {
        let mut slow = self.slow();
        // Under the lock, so that the machine never sees time go back.
        let result = change(&mut slow.breaker, Instant::now().into_std());
        self.publish(&slow);
        result
    }

    fn report(&self, admission: Admission, verdict: Verdict) {
        let hot = self.hot();
        let idle = match verdict {
            Verdict::Neutral => !admission.is_trial(),
            Verdict::Success => hot.is_clean() && admission.is_closed(hot.generation()),
            Verdict::Failure | Verdict::Throttled => false,
        };
        if idle {
            return;
        }
        let call = admission.is_trial() || admission.is_closed(hot.generation());
        let mut slow = self.slow();
        let now = Instant::now().into_std();
        let changed = slow.breaker.report(admission, verdict, now);
        let failures = slow.breaker.failures();
        if call && verdict == Verdict::Success && failures == 0 {
            slow.failure.take_if(|f| f.stage == Stage::Call);
        }
        self.publish(&slow);
        drop(slow);
        if let Some(state) = changed {
            self.tell(state, failures);
        }
    }

    fn tell(&self, state: CircuitState, failures: u32) {
        let endpoint = &**self.key();
        match state {
            CircuitState::Open => tracing::warn!(endpoint, failures, "circuit opened"),
            CircuitState::Closed => tracing::info!(endpoint, "circuit closed"),
            CircuitState::HalfOpen => {}
        }
    }
}

impl Admitted {
    /// Whether it is one of the trials of a half-open circuit.
    pub fn is_trial(&self) -> bool {
        self.admission.as_ref().is_some_and(Admission::is_trial)
    }

    /// Says how a call ended. What went wrong is kept for people, and an endpoint that asked to
    /// be left in peace (429 or 503 with `Retry-After`) rests.
    pub fn ended(self, class: Class, error: Option<&CallError>) {
        let verdict = match class {
            Class::Success => Verdict::Success,
            Class::Failure => Verdict::Failure,
            Class::Throttled => Verdict::Throttled,
            Class::Neutral => Verdict::Neutral,
        };
        if let Some(error) = error {
            if let (Some(429 | 503), Some(time)) = (error.status, error.retry_after) {
                self.endpoint.rest_for(time);
            }
            if class == Class::Failure {
                self.endpoint.note_failure(Stage::Call, words(error), None);
            }
        } else if class == Class::Failure {
            let text = "the answer broke off";
            self.endpoint.note_failure(Stage::Call, text, None);
        }
        self.report(verdict);
    }

    /// Says how it ended.
    pub fn report(mut self, verdict: Verdict) {
        if let Some(admission) = self.admission.take() {
            self.endpoint.report(admission, verdict);
        }
    }
}

/// Why a call failed, without the backend's name: whoever shows it knows that.
fn words(error: &CallError) -> String {
    match &error.detail {
        Some(detail) => format!("{}: {detail}", error.reason),
        None => error.reason.to_string(),
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some(admission) = self.admission.take() {
            self.endpoint.report(admission, Verdict::Neutral);
        }
        if self.in_flight {
            self.endpoint.leave();
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.leave();
    }
}
