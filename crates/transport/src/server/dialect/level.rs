//! Log levels: which messages a client wants to see.

use mcp_router_observe::dropped::Reason as Dropped;
use mcp_router_protocol::{RawJson, RawParams};

/// From chatty to dire, as MCP orders them (RFC 5424).
const LEVELS: [&str; 8] = [
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
];

/// Whether `text` is a level of MCP's.
pub(crate) fn is_level(text: &str) -> bool {
    rank(text).is_some()
}

fn rank(text: &str) -> Option<usize> {
    LEVELS.iter().position(|l| *l == text)
}

/// The lowest level a call's client wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Floor {
    /// No log messages: a modern request that named no level (R28).
    Silent,
    /// This level and above.
    From(usize),
    /// Whatever the session's level is at the time; everything until the client sets one.
    Session,
}

impl Floor {
    pub(crate) fn modern(level: Option<&str>) -> Self {
        level.and_then(rank).map_or(Self::Silent, Self::From)
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
    pub(crate) fn lets(self, params: &RawParams, session: Option<&RawJson>) -> bool {
        let floor = match self {
            Self::Silent => return false,
            Self::From(floor) => floor,
            Self::Session => {
                let level: Option<String> = session.and_then(|l| l.read_owned().ok());
                level.as_deref().and_then(rank).unwrap_or(0)
            }
        };
        let level: Option<String> = params.get("level").and_then(|l| l.read_owned().ok());
        // A level we do not know is the sender's invention: shown rather than lost.
        level.as_deref().and_then(rank).is_none_or(|l| l >= floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r28_messages_below_the_floor_and_without_a_floor_stay_behind() {
        let warning = RawParams::of(&serde_json::json!({ "level": "warning", "data": 1 }));
        let error = RawJson::from_static("\"error\"");
        for (floor, session, passes) in [
            (Floor::modern(None), None, false),
            (Floor::modern(Some("debug")), None, true),
            (Floor::modern(Some("error")), None, false),
            (Floor::Session, None, true),
            (Floor::Session, Some(&error), false),
        ] {
            assert_eq!(floor.lets(&warning, session), passes, "{floor:?}");
        }
    }
}
