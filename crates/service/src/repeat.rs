//! Whether a call that failed may be made again, and where.
//!
//! Only the router knows what a call does (its method, the tool's annotations, what the operator
//! declared), and only layers and edges know how it failed. So the router writes into the request
//! which failures allow a repetition, and whoever repeats asks the error. Texts never decide.

use crate::{CallError, Reason, Sent};

/// What the router lets layers do with a call that fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Repeat {
    /// Which failures allow it.
    pub after: RepeatAfter,
    /// Whether the same backend may be tried again. `false` while another backend is next: it is
    /// asked at once, and nobody waits.
    pub here: bool,
}

/// Which failures of a call allow that it is made again. Each level allows what the one before
/// does.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum RepeatAfter {
    /// Only those where nothing was sent.
    NotSent,
    /// Those too where it was refused without being run: 429, 503 with `Retry-After`, a lost
    /// session. What an unannotated tool gets.
    #[default]
    Refused,
    /// Any failed attempt: running the call twice does no harm, or the operator says so.
    Failed,
}

impl Default for Repeat {
    /// What is safe for any call, at the same backend.
    fn default() -> Self {
        Self {
            after: RepeatAfter::default(),
            here: true,
        }
    }
}

impl RepeatAfter {
    /// Whether a call of this kind may be made again after `error`, here or elsewhere.
    pub fn allows(self, error: &CallError) -> bool {
        match error.reason {
            // It would end the same way everywhere, or nobody may call any more.
            Reason::Draining | Reason::TooLarge | Reason::Internal => return false,
            _ => {}
        }
        if error.is_answer() {
            return false;
        }
        match error.sent {
            Sent::No => true,
            Sent::RejectedUnexecuted => self >= Self::Refused,
            Sent::Unknown => self == Self::Failed,
        }
    }
}

impl CallError {
    /// Whether an HTTP status says something about the request itself (400, 401, 403, …), so that
    /// asking again would bring the same. 429 is about the moment; 404 is no answer where it means
    /// that a session was lost.
    pub fn is_answer(&self) -> bool {
        match self.status {
            Some(429) => false,
            Some(404) => self.sent != Sent::RejectedUnexecuted,
            Some(status) => (400..500).contains(&status),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(sent: Sent, status: Option<u16>) -> CallError {
        CallError {
            status,
            ..CallError::new(Reason::BackendStatus, sent)
        }
    }

    #[test]
    fn r43_only_what_cannot_have_run_is_repeated_below_failed() {
        use RepeatAfter::{Failed, NotSent, Refused};
        for (failure, expected) in [
            (error(Sent::No, None), [true, true, true]),
            (
                error(Sent::RejectedUnexecuted, Some(429)),
                [false, true, true],
            ),
            (
                error(Sent::RejectedUnexecuted, Some(503)),
                [false, true, true],
            ),
            (
                error(Sent::RejectedUnexecuted, Some(404)),
                [false, true, true],
            ),
            (error(Sent::RejectedUnexecuted, None), [false, true, true]),
            (error(Sent::Unknown, Some(503)), [false, false, true]),
            (error(Sent::Unknown, None), [false, false, true]),
            // Answers: asked once.
            (error(Sent::RejectedUnexecuted, Some(401)), [false; 3]),
            (error(Sent::Unknown, Some(400)), [false; 3]),
            (error(Sent::Unknown, Some(404)), [false; 3]),
        ] {
            let allowed = [NotSent, Refused, Failed].map(|after| after.allows(&failure));
            assert_eq!(allowed, expected, "{failure:?}");
        }
    }
}
