//! Failures of calls: what went wrong, and whether the call may have run.

use std::fmt;
use std::time::Duration;

use mcp_router_protocol::params::meta;
use mcp_router_protocol::{BackendName, ErrorObject, Method, RawJson, code};
use serde::Serialize;

use crate::Outcome;

/// What is known about the fate of a request that failed. Decides whether it may be repeated;
/// error texts never do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sent {
    /// Provably not sent: it did not run.
    No,
    /// Sent, and refused without being run.
    RejectedUnexecuted,
    /// A byte left the router: it may have run.
    Unknown,
}

/// Why the router could not get an answer. `as_str` is what clients and metrics see.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// No backend is there for the request.
    NoBackend,
    /// The circuit breaker refuses.
    CircuitOpen,
    /// No connection, or no process.
    ConnectFailed,
    /// A limit is reached.
    Overloaded,
    /// The router is stopping.
    Draining,
    /// No answer in time.
    Timeout,
    /// The connection or process went away before the answer.
    BackendLost,
    /// An answer that is not MCP.
    ProtocolError,
    /// An answer over the size limit.
    TooLarge,
    /// An HTTP status that is no answer.
    BackendStatus,
    /// The router's own fault.
    Internal,
}

impl Reason {
    /// Every reason there is.
    pub const ALL: [Self; 11] = [
        Self::NoBackend,
        Self::CircuitOpen,
        Self::ConnectFailed,
        Self::Overloaded,
        Self::Draining,
        Self::Timeout,
        Self::BackendLost,
        Self::ProtocolError,
        Self::TooLarge,
        Self::BackendStatus,
        Self::Internal,
    ];

    /// The reason as clients and metrics see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoBackend => "no_backend",
            Self::CircuitOpen => "circuit_open",
            Self::ConnectFailed => "connect_failed",
            Self::Overloaded => "overloaded",
            Self::Draining => "draining",
            Self::Timeout => "timeout",
            Self::BackendLost => "backend_lost",
            Self::ProtocolError => "protocol_error",
            Self::TooLarge => "too_large",
            Self::BackendStatus => "backend_status",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A call that got no answer.
///
/// `detail` ends the sentence that clients and logs see: it must hold no secret, no argument and
/// no text that a backend chose, beyond a status or an error kind.
#[derive(Debug, thiserror::Error)]
pub struct CallError {
    /// What went wrong.
    pub reason: Reason,
    /// Whether the call may have run.
    pub sent: Sent,
    /// Whose fault, once known.
    pub backend: Option<BackendName>,
    /// When to try again, if the backend or breaker said so.
    pub retry_after: Option<Duration>,
    /// The HTTP status, if one stood in the answer's place.
    pub status: Option<u16>,
    /// More about it: `after 30 s`, `HTTP 502`.
    pub detail: Option<String>,
    /// The cause, for logs.
    #[source]
    pub source: Option<tower::BoxError>,
}

impl CallError {
    /// A failure without further knowledge.
    pub const fn new(reason: Reason, sent: Sent) -> Self {
        Self {
            reason,
            sent,
            backend: None,
            retry_after: None,
            status: None,
            detail: None,
            source: None,
        }
    }

    /// Adds what is known beyond the reason; see the type for what must not be in it.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Names the backend, unless one is named already.
    #[must_use]
    pub fn on(mut self, backend: &BackendName) -> Self {
        self.backend.get_or_insert_with(|| backend.clone());
        self
    }

    /// Keeps the cause for logs.
    #[must_use]
    pub fn because(mut self, source: impl Into<tower::BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says when a repetition makes sense.
    #[must_use]
    pub const fn retry_after(mut self, after: Option<Duration>) -> Self {
        self.retry_after = after;
        self
    }

    /// Keeps the HTTP status that stood in the answer's place, and names it in the text.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self.detail(format!("HTTP {status}"))
    }

    /// Marks it as no fault of the backend: the client did not answer in time, or there was no
    /// time left before anything was sent.
    #[must_use]
    pub fn blameless(self) -> Self {
        self.because(Blameless)
    }

    pub(crate) fn is_blameless(&self) -> bool {
        self.source.as_ref().is_some_and(|s| s.is::<Blameless>())
    }

    /// The failure of a later attempt at the same call, after an earlier one that ended in
    /// `earlier`: what may have run then may have run, whatever became of the last attempt (I4).
    #[must_use]
    pub fn after(mut self, earlier: Sent) -> Self {
        if earlier == Sent::Unknown {
            self.sent = Sent::Unknown;
        }
        self
    }

    /// What the client gets: for `tools/call` a tool result with `isError`, so that the model
    /// sees it; for every other method -32603 with the same facts as `data`.
    pub fn into_outcome(self, method: &Method) -> Outcome {
        let text = self.to_string();
        let failure = RawJson::of(&Failure {
            backend: self.backend.as_ref().map(BackendName::as_str),
            reason: self.reason.as_str(),
            sent: if self.sent == Sent::Unknown {
                "unknown"
            } else {
                "no"
            },
            retryable: self.sent != Sent::Unknown,
            retry_after_ms: self.retry_after.map(|d| d.as_millis() as u64),
        });
        if *method != Method::ToolsCall {
            let error = ErrorObject::with_data(code::INTERNAL_ERROR, text, Some(&failure));
            return Outcome::Error(error);
        }
        let text = RawJson::of(&text);
        Outcome::Complete(RawJson::from_checked(
            format!(
                r#"{{"content":[{{"type":"text","text":{}}}],"isError":true,"_meta":{{"{}":{}}}}}"#,
                text.as_str(),
                meta::FAILURE,
                failure.as_str()
            )
            .into(),
        ))
    }
}

/// The cause of a failure that says nothing about a backend.
#[derive(Debug, thiserror::Error)]
#[error("not the backend's doing")]
struct Blameless;

/// `_meta["mcp-router/failure"]`, and the `data` of errors.
#[derive(Serialize)]
struct Failure<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<&'a str>,
    reason: &'a str,
    sent: &'a str,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl fmt::Display for CallError {
    /// One sentence that a model can act on, naming the backend. (It ends in a full stop, unlike
    /// other errors here: it is shown as it is.)
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.backend {
            Some(name) => write!(f, "Backend '{name}' ")?,
            None => f.write_str("The router ")?,
        }
        f.write_str(match self.reason {
            Reason::NoBackend => "has nothing to serve this request",
            Reason::CircuitOpen => "is unavailable: circuit open",
            Reason::ConnectFailed => "is unavailable: no connection",
            Reason::Overloaded => "is overloaded",
            Reason::Draining => "is stopping",
            Reason::Timeout => "timed out",
            Reason::BackendLost => "went away before it answered",
            Reason::ProtocolError => "gave an invalid answer",
            Reason::TooLarge => "gave too large an answer",
            Reason::BackendStatus => "refused",
            Reason::Internal => "failed",
        })?;
        match (&self.detail, self.reason) {
            (Some(detail), Reason::Timeout) => write!(f, " {detail}")?,
            (Some(detail), _) => write!(f, " ({detail})")?,
            (None, _) => {}
        }
        let next = match self.reason {
            Reason::CircuitOpen => "trial",
            _ => "try",
        };
        if let Some(after) = self.retry_after {
            // Rounded up: who comes back after so many seconds does not come too early.
            let seconds = after.as_millis().div_ceil(1000).max(1);
            write!(f, ", next {next} in {seconds} s")?;
        }
        f.write_str(match self.sent {
            // An open circuit says by itself that nothing was sent.
            Sent::No if self.reason == Reason::CircuitOpen => ".",
            Sent::Unknown => "; the call may have run.",
            Sent::No | Sent::RejectedUnexecuted => "; the call did not run.",
        })
    }
}

impl From<tower::BoxError> for CallError {
    /// An error of somebody else's layer: nothing is known about what was sent.
    fn from(error: tower::BoxError) -> Self {
        match error.downcast::<Self>() {
            Ok(own) => *own,
            Err(foreign) => Self::new(Reason::Internal, Sent::Unknown).because(foreign),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r44_a_failed_tool_call_is_a_result_that_says_what_was_sent() {
        let error = CallError::new(Reason::Timeout, Sent::Unknown)
            .on(&"search".parse().unwrap())
            .detail("after 30 s");
        assert_eq!(
            error.to_string(),
            "Backend 'search' timed out after 30 s; the call may have run."
        );
        let Outcome::Complete(result) = error.into_outcome(&Method::ToolsCall) else {
            panic!()
        };
        assert_eq!(
            result.as_str(),
            r#"{"content":[{"type":"text","text":"Backend 'search' timed out after 30 s; the call may have run."}],"isError":true,"_meta":{"mcp-router/failure":{"backend":"search","reason":"timeout","sent":"unknown","retryable":false}}}"#
        );
    }

    #[test]
    fn an_open_circuit_says_when_the_next_trial_is() {
        let error = CallError::new(Reason::CircuitOpen, Sent::No)
            .on(&"search".parse().unwrap())
            .retry_after(Some(Duration::from_millis(41_200)));
        assert_eq!(
            error.to_string(),
            "Backend 'search' is unavailable: circuit open, next trial in 42 s."
        );
    }

    #[test]
    fn other_methods_get_an_error_with_data() {
        let error = CallError::new(Reason::ConnectFailed, Sent::No)
            .retry_after(Some(Duration::from_secs(2)));
        let Outcome::Error(error) = error.into_outcome(&Method::PromptsGet) else {
            panic!()
        };
        assert_eq!(error.code(), code::INTERNAL_ERROR);
        assert_eq!(
            error.data().unwrap().as_str(),
            r#"{"reason":"connect_failed","sent":"no","retryable":true,"retry_after_ms":2000}"#
        );
    }
}
