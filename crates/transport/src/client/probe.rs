//! What a failed question proves, in the words of a probe.

use mcp_router_service::{CallError, ProbeFailure, Pulse, Reason};

/// What a probe found that got no answer because of `error`. A status is somebody who answered;
/// a limit of ours says nothing about anybody.
pub(crate) fn found(error: &CallError) -> Result<Pulse, ProbeFailure> {
    let text = match &error.detail {
        Some(detail) => format!("{} ({detail})", error.reason),
        None => error.reason.as_str().to_owned(),
    };
    match error.reason {
        Reason::Overloaded | Reason::Draining | Reason::Internal => Ok(Pulse::Unknown),
        Reason::BackendStatus => Err(ProbeFailure::unwell(text)),
        _ => Err(ProbeFailure::counting(text)),
    }
}
