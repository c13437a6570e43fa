//! Log levels of conversations with legacy backends.
//!
//! There a level belongs to the conversation, and several clients may share one. Such a
//! conversation runs at the most verbose level that any of them [wants](Wants) now; each client's
//! edge leaves out what it did not want. What a client session has for itself runs at its own
//! level. A level is told before the first call that needs it, so that it also reaches
//! conversations that were opened later, or opened again; a lower one as soon as nobody needs the
//! other any more.

mod wants;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use mcp_router_protocol::{LogLevel, Method, RawParams};
use mcp_router_service::{CallError, McpRequest, McpResponse, RequestContext};
use tokio::sync::Mutex;
use tokio::time::timeout;

pub(crate) use wants::Wants;

/// How long a call waits for a backend to take a level.
const TELLING: Duration = Duration::from_secs(2);
/// What a conversation goes back to whose clients want no level any more: what clients get that
/// name none.
const UNSAID: LogLevel = LogLevel::Info;

/// What one conversation was told: a level or nothing, as a number that grows with what is to be
/// heard.
#[derive(Debug, Default)]
pub(crate) struct Level {
    told: AtomicU8,
    /// Held while it is told another one: two at once might arrive in any order.
    turn: Mutex<()>,
}

/// While a backend is told a level. Given up half-way, it may not have heard of it.
struct Telling<'a> {
    level: &'a Level,
    before: u8,
    heard: bool,
}

const fn number(level: LogLevel) -> u8 {
    LogLevel::ALL.len() as u8 - level as u8
}

fn level(number: u8) -> Option<LogLevel> {
    let number = number.checked_sub(1)?;
    LogLevel::at(LogLevel::ALL.len() as u8 - 1 - number)
}

impl Level {
    /// The backend knows nothing of it any more.
    pub(crate) fn reset(&self) {
        self.told.store(0, Ordering::Release);
    }

    /// What is to be told where `wanted` is wanted, after what; `None`: nothing new.
    fn news(&self, wanted: u8) -> Option<(u8, LogLevel)> {
        let before = self.told.load(Ordering::Acquire);
        let wanted = match wanted {
            0 if before > 0 => number(UNSAID),
            wanted => wanted,
        };
        let level = level(wanted).filter(|_| wanted != before)?;
        Some((before, level))
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        if !self.heard {
            self.level.told.store(self.before, Ordering::Release);
        }
    }
}

/// Sees to it that a conversation runs at the level that a call in it needs. `wants` is what all
/// want of the backend, `told` what this conversation was told; `own`, whether one session has it
/// for itself. `tell` asks the backend.
pub(crate) async fn keep<F>(
    wants: &Arc<Wants>,
    told: &Level,
    own: bool,
    context: &RequestContext,
    tell: impl FnOnce(McpRequest) -> F,
) where
    F: Future<Output = Result<McpResponse, CallError>>,
{
    if !own {
        wants.note(context, told.told.load(Ordering::Relaxed) > 0);
    }
    let session = || context.session.as_ref().and_then(|s| s.log_level());
    let wanted = || match own {
        true => session().map_or(0, number),
        false => wants.most(),
    };
    if told.news(wanted()).is_none() {
        return;
    }
    let telling = async {
        let _turn = told.turn.lock().await;
        let Some((before, level)) = told.news(wanted()) else {
            return true;
        };
        // Calls at the same time need not all wait for it.
        told.told.store(number(level), Ordering::Release);
        let mut telling = Telling {
            level: told,
            before,
            heard: false,
        };
        let params = RawParams::of(&serde_json::json!({ "level": level.as_str() }));
        let answer = tell(McpRequest::new(Method::SetLevel, params)).await;
        telling.heard = match answer {
            Ok(answer) => answer.outcome().await.is_ok(),
            Err(_) => false,
        };
        telling.heard
    };
    if !matches!(timeout(TELLING, telling).await, Ok(true)) {
        tracing::debug!("backend was not told a log level");
    }
}

/// Has a conversation that many share go down to what is still wanted.
pub(crate) async fn lower<F>(wants: &Arc<Wants>, told: &Level, tell: impl FnOnce(McpRequest) -> F)
where
    F: Future<Output = Result<McpResponse, CallError>>,
{
    let news = told.news(wants.most());
    if news.is_some_and(|(before, level)| number(level) < before) {
        keep(wants, told, false, &RequestContext::default(), tell).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use mcp_router_protocol::RawJson;
    use mcp_router_service::{Reason, Sent, Session, SessionId};

    use super::*;

    /// Of a call in a session with that level, or with one of its own; `None`: neither.
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
        let (wants, told, own) = (Wants::new(), Level::default(), Level::default());
        let log = Mutex::new(Vec::new());
        let tell = |request: McpRequest| {
            let level = request.params.get("level").unwrap();
            log.lock().unwrap().push(level.as_str().to_owned());
            std::future::ready(Ok(McpResponse::complete(RawJson::from_static("{}"))))
        };
        let mut sessions = Vec::new();
        for (session, call, expected) in [
            (None, None, None),
            (Some(Warning), None, Some("\"warning\"")),
            (Some(Error), None, None),
            (None, Some(Debug), Some("\"debug\"")),
            (Some(Info), None, None),
        ] {
            let context = context(session, call);
            keep(&wants, &told, false, &context, tell).await;
            assert_eq!(
                log.lock().unwrap().pop().as_deref(),
                expected,
                "{session:?} {call:?}"
            );
            sessions.extend(context.session);
        }
        told.reset();
        keep(&wants, &told, false, &context(None, None), tell).await;
        assert_eq!(log.lock().unwrap().pop().as_deref(), Some("\"debug\""));
        for level in [Info, Error] {
            keep(&wants, &own, true, &context(Some(level), None), tell).await;
            let expected = format!("\"{level}\"");
            assert_eq!(log.lock().unwrap().pop(), Some(expected));
        }
    }

    #[tokio::test]
    async fn a_shared_conversation_goes_down_with_what_is_wanted_and_is_told_once() {
        use LogLevel::{Debug, Error};
        let (wants, told) = (Wants::new(), Level::default());
        let log = Mutex::new(Vec::new());
        let tell = |request: McpRequest| {
            let level = request.params.get("level").unwrap();
            log.lock().unwrap().push(level.as_str().to_owned());
            std::future::ready(Ok(McpResponse::complete(RawJson::from_static("{}"))))
        };
        let (verbose, quiet) = (context(Some(Debug), None), context(Some(Error), None));
        let nobody = RequestContext::default();
        for context in [&verbose, &quiet, &nobody, &verbose, &quiet, &nobody] {
            keep(&wants, &told, false, context, tell).await;
        }
        verbose.session.unwrap().close().await;
        for _ in 0..2 {
            keep(&wants, &told, false, &nobody, tell).await;
        }
        quiet.session.unwrap().close().await;
        for _ in 0..2 {
            keep(&wants, &told, false, &nobody, tell).await;
        }
        let expected = ["\"debug\"", "\"error\"", "\"info\""];
        assert_eq!(*log.lock().unwrap(), expected);
        // Who never named one gets what it would get from a backend of its own.
        let (quiet, silent) = (context(Some(Error), None), context(None, None));
        log.lock().unwrap().clear();
        told.reset();
        for context in [&silent, &quiet, &silent, &quiet, &silent] {
            keep(&wants, &told, false, context, tell).await;
        }
        silent.session.unwrap().close().await;
        keep(&wants, &told, false, &quiet, tell).await;
        let expected = ["\"error\"", "\"info\"", "\"error\""];
        assert_eq!(*log.lock().unwrap(), expected);
    }

    #[tokio::test]
    async fn a_level_that_was_not_taken_is_told_again() {
        let (wants, told) = (Wants::new(), Level::default());
        let context = context(Some(LogLevel::Info), None);
        let asked = Mutex::new(0);
        for _ in 0..2 {
            let fail = |_| {
                *asked.lock().unwrap() += 1;
                std::future::ready(Err(CallError::new(Reason::ConnectFailed, Sent::No)))
            };
            keep(&wants, &told, false, &context, fail).await;
        }
        assert_eq!(*asked.lock().unwrap(), 2);
    }
}
