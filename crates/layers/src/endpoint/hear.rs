//! What an edge tells of its connection, told to the endpoint.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use mcp_router_health::Verdict;
use mcp_router_service::{BackendEvent, CallError};

use super::{Endpoint, Stage};

impl Endpoint {
    /// Takes what its edge tells. The circuit does not count what is told here: edges connect when a
    /// call or a probe asks them to, and those count by themselves. A connection that is made
    /// speaks for the endpoint like a probe.
    pub fn hear(&self, event: &BackendEvent) {
        match event {
            BackendEvent::Connected(_) => {
                self.set_linked(true);
                self.admit_probe().report(Verdict::Success);
            }
            BackendEvent::Lost { error, retry_in } => {
                self.set_linked(false);
                self.note_failure(Stage::Connect, text(error), Some(*retry_in));
            }
            // As good as connected: a call finds it.
            BackendEvent::Asleep => {
                self.shared.linked.store(0, Ordering::Release);
                self.mended(Stage::Connect);
            }
            BackendEvent::Changed(_) | BackendEvent::Notification { .. } => {}
        }
    }
}

/// The failure in words, without the one on what was sent: nobody called.
fn text(error: &CallError) -> Arc<str> {
    match &error.detail {
        Some(detail) => format!("{} ({detail})", error.reason).into(),
        None => error.reason.as_str().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mcp_router_health::BreakerParams;
    use mcp_router_service::{BackendInfo, Reason, Sent};

    use super::*;
    use crate::Standing;

    fn lost() -> BackendEvent {
        BackendEvent::Lost {
            error: CallError::new(Reason::ConnectFailed, Sent::No).detail("connection refused"),
            retry_in: Duration::from_secs(2),
        }
    }

    fn connected() -> BackendEvent {
        BackendEvent::Connected(BackendInfo::default())
    }

    #[tokio::test(start_paused = true)]
    async fn a_loss_is_noted_and_does_not_open_the_circuit() {
        let endpoint = Endpoint::new("e", BreakerParams::default());
        for _ in 0..20 {
            endpoint.hear(&lost());
        }
        assert_eq!(endpoint.failures(), 0);
        assert_eq!(endpoint.standing(), Standing::Doubtful);
        let failure = endpoint.last_failure().unwrap();
        assert_eq!(failure.stage, Stage::Connect);
        assert_eq!(&*failure.text, "connect_failed (connection refused)");
        assert!(failure.next_retry.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_ends_the_run_of_probes_that_found_nobody_and_sleep_is_no_loss() {
        let endpoint = Endpoint::new("e", BreakerParams::default());
        endpoint.admit_probe().report(Verdict::Failure);
        endpoint.hear(&lost());
        endpoint.hear(&BackendEvent::Asleep);
        assert_eq!(endpoint.standing(), Standing::Usable);
        assert_eq!(endpoint.last_failure(), None);
        endpoint.hear(&connected());
        assert_eq!((endpoint.failures(), endpoint.linked()), (0, Some(true)));
    }
}
