//! Messages that are dropped or refused on purpose, counted under a reason.
//!
//! A router stands between peers that may say what the other one must not hear, or cannot take:
//! progress after the answer, log messages nobody asked for, answers to nothing. Dropped without
//! a trace, each would look like a fault of whoever misses it. So whatever is dropped is counted
//! here, and shows in the log at level `debug`.
//!
//! The set of reasons is closed, so that no peer can make the table grow; `docs/dropped.md` says
//! what each means. Counters are of the whole process and never fall.

use std::fmt::{self, Display};
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Why a message was dropped or refused.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            /// Every reason there is, in the order of the counters.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in logs and metrics.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

reasons! {
    /// A client's response answers nothing that is open: late, repeated or forged.
    ClientAnswerUnknown = "client_answer_unknown",
    /// A client's answer to a request of another replica that could not be brought to the backend.
    ClientAnswerLost = "client_answer_lost",
    /// A client's cancellation names no request in flight.
    ClientCancelUnknown = "client_cancel_unknown",
    /// A client's notification that nobody may hear: from a modern client, or before `initialize`.
    ClientNotificationUnwanted = "client_notification_unwanted",
    /// A client's notification for a backend whose connection other clients share.
    ClientNotificationShared = "client_notification_shared",
    /// A client's notification that no backend took.
    ClientNotificationFailed = "client_notification_failed",
    /// A message to a client that is gone.
    ClientGone = "client_gone",
    /// A message to a client that reads too slowly: its queue is full.
    ClientQueueFull = "client_queue_full",
    /// A message of a stream that its client could resume, for want of room to keep it.
    ClientReplayFull = "client_replay_full",
    /// A request of a backend that its client did not declare it can serve.
    ClientIncapable = "client_incapable",
    /// A request of a backend beyond the number that may be open at one client.
    ClientAsksFull = "client_asks_full",
    /// A log message below the level that the client wants.
    LogBelowLevel = "log_below_level",
    /// A log message in the call of a modern client that asked for none.
    LogNotAsked = "log_not_asked",
    /// A log message on a shared connection that belongs to nobody's call.
    LogUncorrelated = "log_uncorrelated",
    /// Progress that nobody asked for, or after the answer.
    ProgressUnwanted = "progress_unwanted",
    /// A notification inside a call that belongs to none: a list change, a resource update.
    NotACallsMessage = "not_a_calls_message",
    /// A resource update that nobody subscribed to.
    UpdateUnsubscribed = "update_unsubscribed",
    /// News of tasks that their backend does not send, or could not be asked for in time.
    TaskNewsRefused = "task_news_refused",
    /// A notification of a backend that nobody asked for, outside any call.
    BackendNotificationUnwanted = "backend_notification_unwanted",
    /// A backend's response answers nothing that was asked.
    BackendAnswerUnknown = "backend_answer_unknown",
    /// A request of a backend while no call is in flight that could answer it.
    BackendRequestUnattributed = "backend_request_unattributed",
    /// A request of a modern backend: the revision has none.
    BackendRequestForbidden = "backend_request_forbidden",
    /// A request beyond the number that one backend may have open.
    BackendRequestsFull = "backend_requests_full",
    /// A notification of a call that waits until its client is back with an answer.
    CallParked = "call_parked",
    /// A message of a call whose consumer does not keep up.
    CallQueueFull = "call_queue_full",
    /// News of a backend that its supervisor does not keep up with.
    SupervisorQueueFull = "supervisor_queue_full",
    /// A cancellation or answer to a backend that has too many of them under way, or is gone.
    BackendNotTold = "backend_not_told",
    /// A cancellation or answer to a child that does not read.
    ChildNotReading = "child_not_reading",
    /// Output of a child that is no message.
    ChildNoise = "child_noise",
    /// A request from a page of a foreign site: its `Origin` is not allowed.
    OriginRefused = "origin_refused",
    /// A request under a `Host` that is not the router's.
    HostRefused = "host_refused",
    /// A request beyond a limit of the router as a whole: requests, streams, sessions or bytes.
    RouterFull = "router_full",
}

static COUNTERS: [AtomicU64; Reason::ALL.len()] = [const { AtomicU64::new(0) }; Reason::ALL.len()];

impl Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Counts one message, and says so in the log. Never blocks.
pub fn count(reason: Reason) {
    add(reason);
    tracing::debug!(dropped = reason.as_str(), "message dropped");
}

/// Counts one message of, or for, `what`: a method or a backend's name, never content.
pub fn count_of(reason: Reason, what: impl Display) {
    add(reason);
    tracing::debug!(dropped = reason.as_str(), %what, "message dropped");
}

/// How many messages were dropped for `reason` since the process started.
pub fn total(reason: Reason) -> u64 {
    COUNTERS[reason as usize].load(Ordering::Relaxed)
}

/// Every reason with its counter, in a fixed order.
pub fn snapshot() -> impl Iterator<Item = (Reason, u64)> {
    Reason::ALL.iter().map(|r| (*r, total(*r)))
}

fn add(reason: Reason) {
    COUNTERS[reason as usize].fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_counter_and_a_name_of_its_own() {
        let mut names: Vec<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Reason::ALL.len());
        let before: Vec<_> = snapshot().collect();
        for reason in Reason::ALL {
            count(*reason);
        }
        count_of(Reason::ClientGone, "somebody");
        for (reason, count) in snapshot() {
            let (_, old) = before[reason as usize];
            let expected = old + 1 + u64::from(reason == Reason::ClientGone);
            assert_eq!(count, expected, "{reason}");
        }
    }
}
