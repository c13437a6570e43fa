//! What a failed question proves, in the words of a probe.

use mcp_router_service::{CallError, ProbeFailure, Reason};

/// A probe that got no answer because of `error`. A status is somebody who answered.
pub(crate) fn failure(error: &CallError) -> ProbeFailure {
    let text = match &error.detail {
        Some(detail) => format!("{} ({detail})", error.reason),
        None => error.reason.as_str().to_owned(),
    };
    match error.reason {
        // Full, or stopping: that is our doing.
        Reason::BackendStatus | Reason::Overloaded | Reason::Draining => ProbeFailure::unwell(text),
        _ => ProbeFailure::counting(text),
    }
}
