//! Log levels: which messages a client wants to see.

use mcp_router_observe::dropped::Reason as Dropped;
use mcp_router_protocol::{LogLevel, RawParams};

/// What a legacy client gets that named no level, which leaves it to the server: others may have
/// made a backend chatty that many share.
const UNSAID: LogLevel = LogLevel::Info;

/// The lowest level a call's client wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Floor {
    /// No log messages: a modern request that named no level (R28).
    Silent,
    /// This level and above.
    From(LogLevel),
    /// Whatever the session's level is at the time.
    Session,
}

impl Floor {
    pub(crate) fn modern(level: Option<LogLevel>) -> Self {
        level.map_or(Self::Silent, Self::From)
    }

    /// Why a message that [does not pass](Self::lets) is dropped.
    pub(crate) const fn reason(self) -> Dropped {
        match self {
            Self::Silent => Dropped::LogNotAsked,
            Self::From(_) | Self::Session => Dropped::LogBelowLevel,
        }
    }

    /// Whether a `notifications/message` with these parameters passes. `session` is the level
    /// that the session set.
    pub(crate) fn lets(self, params: &RawParams, session: Option<LogLevel>) -> bool {
        let floor = match self {
            Self::Silent => return false,
            Self::From(floor) => floor,
            Self::Session => session.unwrap_or(UNSAID),
        };
        // A level we do not know is the sender's invention: shown rather than lost.
        read(params).is_none_or(|level| level >= floor)
    }
}

/// The `level` in parameters.
pub(crate) fn read(params: &RawParams) -> Option<LogLevel> {
    let level: String = params.get("level")?.read_owned().ok()?;
    level.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r28_messages_below_the_floor_and_without_a_floor_stay_behind() {
        let says = |level: &str| RawParams::of(&serde_json::json!({ "level": level, "data": 1 }));
        for (floor, session, level, passes) in [
            (Floor::modern(None), None, "warning", false),
            (Floor::modern(Some(LogLevel::Debug)), None, "warning", true),
            (Floor::modern(Some(LogLevel::Error)), None, "warning", false),
            (Floor::Session, None, "warning", true),
            (Floor::Session, None, "debug", false),
            (Floor::Session, Some(LogLevel::Debug), "debug", true),
            (Floor::Session, Some(LogLevel::Error), "warning", false),
            (Floor::Session, Some(LogLevel::Error), "dire", true),
        ] {
            assert_eq!(floor.lets(&says(level), session), passes, "{floor:?}");
        }
    }
}
