//! How a call ended, told once to whoever wants to know.
//!
//! The log line, the metrics, the page of recent calls and a trace all tell of the same call. Each
//! asking for itself would disagree with the others, and every call would pay for each. So a call
//! is known to have ended in one place, which tells every [`CallSink`] the same [`CallEnd`].

use std::any::Any;
use std::fmt::{self, Debug, Display};
use std::time::{Duration, Instant};

mod log;

macro_rules! endings {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// How a call ended. The set is closed: it labels metrics.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum Ending { $($(#[$doc])* $variant,)* }

        impl Ending {
            /// Every ending there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word in logs and metrics.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

endings! {
    /// With a result.
    Ok = "ok",
    /// With the result of a tool that says `isError`: the backend works, its tool did not.
    ToolError = "tool_error",
    /// With a JSON-RPC error: the request was wrong, or nobody knows what it names.
    Error = "error",
    /// With a question to the client, whose answer is a call of its own.
    InputRequired = "input_required",
    /// The client went away, or took it back.
    Cancelled = "cancelled",
    /// No backend was there for it.
    NoBackend = "no_backend",
    /// The circuit breaker refused.
    CircuitOpen = "circuit_open",
    /// No connection, or no process.
    ConnectFailed = "connect_failed",
    /// A limit was reached.
    Overloaded = "overloaded",
    /// The router was stopping.
    Draining = "draining",
    /// No answer in time.
    Timeout = "timeout",
    /// The connection or process went away before the answer.
    BackendLost = "backend_lost",
    /// The answer was not MCP.
    ProtocolError = "protocol_error",
    /// The answer was over the size limit.
    TooLarge = "too_large",
    /// An HTTP status that is no answer.
    BackendStatus = "backend_status",
    /// The router's own fault.
    Internal = "internal",
}

impl Ending {
    /// The ending of this name, for reasons that other crates name; [`Internal`](Self::Internal)
    /// for a name that is none.
    pub fn of(name: &str) -> Self {
        let known = Self::ALL.iter().find(|ending| ending.as_str() == name);
        known.copied().unwrap_or(Self::Internal)
    }

    /// Whether the backend did its part: it answered, whatever the answer says.
    pub const fn is_answer(self) -> bool {
        matches!(
            self,
            Self::Ok | Self::ToolError | Self::Error | Self::InputRequired
        )
    }
}

impl Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A call that has ended. Names are safe to show; arguments and results are not among them.
#[derive(Clone, Copy)]
pub struct CallEnd<'a> {
    /// The method: `tools/call`, `prompts/get`, `resources/read` or `completion/complete`.
    pub method: &'a str,
    /// The client's own name.
    pub client: Option<&'a str>,
    /// The tool or prompt, as operators know it.
    pub tool: Option<&'a str>,
    /// The backend that gave the answer, or is to blame for its absence.
    pub backend: Option<&'a str>,
    /// How it ended.
    pub outcome: Ending,
    /// The code of a JSON-RPC error.
    pub code: Option<i64>,
    /// A failure in words, with its causes left out.
    pub error: Option<&'a dyn Display>,
    /// Of a failure: `no` if the call has certainly not run, else `unknown`.
    pub sent: Option<&'static str>,
    /// How many times it was given to a backend.
    pub attempts: u32,
    /// When it ended: a moment ago.
    pub ended: Instant,
    /// From its arrival to its end.
    pub duration: Duration,
    /// The backend it was given to last.
    pub last: Option<Visit<'a>>,
    /// The backends before that one, in order.
    pub earlier: &'a [Visit<'a>],
}

/// A backend that a call was given to.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// Its name.
    pub backend: &'a str,
    /// How often, in a row.
    pub attempts: u32,
    /// What whoever gave it there wants a sink to find.
    pub mark: Option<&'a (dyn Any + Send + Sync)>,
}

/// Somebody who wants to know of every call that has ended.
///
/// It is asked in the middle of the call's last step: it must be quick, and must not wait.
pub trait CallSink: Debug + Send + Sync {
    /// A call has ended.
    fn ended(&self, end: &CallEnd<'_>);
}

impl Debug for CallEnd<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallEnd")
            .field("method", &self.method)
            .field("tool", &self.tool)
            .field("backend", &self.backend)
            .field("outcome", &self.outcome)
            .field("attempts", &self.attempts)
            .field("duration", &self.duration)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ending_has_a_word_of_its_own_and_is_found_by_it() {
        for ending in Ending::ALL {
            assert_eq!(Ending::of(ending.as_str()), *ending);
        }
        assert_eq!(Ending::of("something else"), Ending::Internal);
    }
}
