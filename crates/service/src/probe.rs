//! How a backend that nobody calls is asked whether it is well.
//!
//! Only an edge knows how its backend can be asked: a page over HTTP, a ping through a pipe. Only
//! the supervisor knows when. So the edge hands it this, and neither has to know the other.

use std::sync::Arc;

use futures::future::BoxFuture;

/// Asks one endpoint once. Whoever calls it bounds the time; dropping the future ends the asking.
pub type Prober = Arc<dyn Fn() -> BoxFuture<'static, Result<Pulse, ProbeFailure>> + Send + Sync>;

/// What a probe found that did not fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pulse {
    /// It answered.
    Well,
    /// Nothing can be said, for good reason: it is still being started. Neither for nor against it.
    Unknown,
    /// It sleeps until the next call, and was not asked.
    Asleep,
}

/// An endpoint that is not well.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text}")]
pub struct ProbeFailure {
    /// Whether this speaks against calling it: nobody answered, or not what the operator said must
    /// answer. Otherwise somebody is there who says of himself that he is not well.
    pub counts: bool,
    /// What happened, for people: no secret, no text that a backend chose.
    pub text: String,
}

impl ProbeFailure {
    /// Nobody answered, or not what must.
    pub fn counting(text: impl Into<String>) -> Self {
        Self {
            counts: true,
            text: text.into(),
        }
    }

    /// Somebody answered that he is not well.
    pub fn unwell(text: impl Into<String>) -> Self {
        Self {
            counts: false,
            text: text.into(),
        }
    }
}
