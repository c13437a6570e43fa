//! Log levels of conversations with legacy backends.
//!
//! There a level belongs to the conversation, and several clients may share one. Such a
//! conversation runs at the most verbose level that any of them asked for since the start; each
//! client's edge leaves out what it did not want. What a client session has for itself runs at its
//! own level. A level is told before the first call that needs it, so that it also reaches
//! conversations that were opened later, or opened again.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use mcp_router_protocol::{LogLevel, Method, RawParams};
use mcp_router_service::{CallError, McpRequest, McpResponse, RequestContext};
use tokio::time::timeout;

/// How long a call waits for a backend to take a level.
const TELLING: Duration = Duration::from_secs(2);

/// A level or none, as a number that grows with what is to be heard.
#[derive(Debug, Default)]
pub(crate) struct Level(AtomicU8);

const fn number(level: LogLevel) -> u8 {
    LogLevel::ALL.len() as u8 - level as u8
}

fn level(number: u8) -> Option<LogLevel> {
    let number = number.checked_sub(1)?;
    LogLevel::at(LogLevel::ALL.len() as u8 - 1 - number)
}

impl Level {
    /// Lets more be heard, if `level` is more verbose than what is there.
    pub(crate) fn raise(&self, level: LogLevel) {
        self.0.fetch_max(number(level), Ordering::AcqRel);
    }

    /// The backend knows nothing of it any more.
    pub(crate) fn reset(&self) {
        self.0.store(0, Ordering::Release);
    }
}

/// Sees to it that a conversation runs at the level that a call in it needs. `shared` is what all
/// want of the backend, `told` what this conversation was told; `own`, whether one session has it
/// for itself. `tell` asks the backend.
pub(crate) async fn keep<F>(
    shared: &Level,
    told: &Level,
    own: bool,
    context: &RequestContext,
    tell: impl FnOnce(McpRequest) -> F,
) where
    F: Future<Output = Result<McpResponse, CallError>>,
{
    let session = context.session.as_ref().and_then(|s| s.log_level());
    let wanted = if own {
        session.map_or(0, number)
    } else {
        for level in [session, context.log_level].into_iter().flatten() {
            shared.raise(level);
        }
        shared.0.load(Ordering::Acquire)
    };
    let before = told.0.load(Ordering::Acquire);
    let Some(level) = level(wanted).filter(|_| wanted != before) else {
        return;
    };
    // Whoever comes first tells; calls at the same time need not all wait for it.
    let exchanged = told
        .0
        .compare_exchange(before, wanted, Ordering::AcqRel, Ordering::Acquire);
    if exchanged.is_err() {
        return;
    }
    let params = RawParams::of(&serde_json::json!({ "level": level.as_str() }));
    let asked = async {
        tell(McpRequest::new(Method::SetLevel, params))
            .await?
            .outcome()
            .await
    };
    if !matches!(timeout(TELLING, asked).await, Ok(Ok(_))) {
        tracing::debug!(%level, "backend was not told a log level");
        // Another one may have told it something else meanwhile.
        let _ = told
            .0
            .compare_exchange(wanted, before, Ordering::AcqRel, Ordering::Acquire);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use mcp_router_protocol::RawJson;
    use mcp_router_service::{Reason, Sent, Session, SessionId};

    use super::*;

    fn context(session: Option<LogLevel>, call: Option<LogLevel>) -> RequestContext {
        let (handle, _outbox) = Session::open(SessionId::new("s"), std::sync::Arc::default());
        if let Some(level) = session {
            handle.set_log_level(level);
        }
        RequestContext {
            session: call.is_none().then_some(handle),
            log_level: call,
            ..RequestContext::default()
        }
    }

    #[tokio::test]
    async fn shared_conversations_run_at_the_most_verbose_level_and_own_ones_at_their_own() {
        use LogLevel::{Debug, Error, Info, Warning};
        let (shared, told, own) = (Level::default(), Level::default(), Level::default());
        let log = Mutex::new(Vec::new());
        let tell = |request: McpRequest| {
            let level = request.params.get("level").unwrap();
            log.lock().unwrap().push(level.as_str().to_owned());
            std::future::ready(Ok(McpResponse::complete(RawJson::from_static("{}"))))
        };
        for (session, call, expected) in [
            (None, None, None),
            (Some(Warning), None, Some("\"warning\"")),
            (Some(Error), None, None),
            (None, Some(Debug), Some("\"debug\"")),
            (Some(Info), None, None),
        ] {
            keep(&shared, &told, false, &context(session, call), tell).await;
            assert_eq!(
                log.lock().unwrap().pop().as_deref(),
                expected,
                "{session:?} {call:?}"
            );
        }
        told.reset();
        keep(&shared, &told, false, &context(None, None), tell).await;
        assert_eq!(log.lock().unwrap().pop().as_deref(), Some("\"debug\""));
        for level in [Info, Error] {
            keep(&shared, &own, true, &context(Some(level), None), tell).await;
            let expected = format!("\"{level}\"");
            assert_eq!(log.lock().unwrap().pop(), Some(expected));
        }
    }

    #[tokio::test]
    async fn a_level_that_was_not_taken_is_told_again() {
        let (shared, told) = (Level::default(), Level::default());
        let context = context(Some(LogLevel::Info), None);
        let asked = Mutex::new(0);
        for _ in 0..2 {
            let fail = |_| {
                *asked.lock().unwrap() += 1;
                std::future::ready(Err(CallError::new(Reason::ConnectFailed, Sent::No)))
            };
            keep(&shared, &told, false, &context, fail).await;
        }
        assert_eq!(*asked.lock().unwrap(), 2);
    }
}
