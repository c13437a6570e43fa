//! The five revisions of the protocol and the two eras they fall into.

use std::fmt;
use std::str::FromStr;

/// A published revision of MCP, oldest first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Revision {
    /// 2024-11-05: HTTP+SSE, `initialize`.
    V2024_11_05,
    /// 2025-03-26: streamable HTTP, batches.
    V2025_03_26,
    /// 2025-06-18: structured output, elicitation, version header.
    V2025_06_18,
    /// 2025-11-25: URL elicitation, icons, resumable polling.
    V2025_11_25,
    /// 2026-07-28: stateless, `server/discover`, multi round-trip requests.
    V2026_07_28,
}

/// How a revision frames a conversation.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Era {
    /// A handshake (`initialize`) opens a session.
    Legacy,
    /// Every request carries what is needed to serve it.
    Modern,
}

impl Revision {
    /// Every revision, newest first, as `supported` and `supportedVersions` list them.
    pub const ALL: [Self; 5] = [
        Self::V2026_07_28,
        Self::V2025_11_25,
        Self::V2025_06_18,
        Self::V2025_03_26,
        Self::V2024_11_05,
    ];
    /// What `initialize` answers to a version it does not know (R2).
    pub const NEWEST_LEGACY: Self = Self::V2025_11_25;
    /// The one modern revision.
    pub const NEWEST_MODERN: Self = Self::V2026_07_28;

    /// The date that names the revision on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// The era the revision belongs to.
    pub const fn era(self) -> Era {
        match self {
            Self::V2026_07_28 => Era::Modern,
            _ => Era::Legacy,
        }
    }

    /// Whether the revision lets a client send an array of messages.
    pub const fn allows_batches(self) -> bool {
        matches!(self, Self::V2025_03_26)
    }

    /// Answers the version asked for in `initialize` (R2): echoed if it is a legacy one, else the
    /// newest legacy revision.
    pub fn negotiate_legacy(requested: &str) -> Self {
        requested
            .parse()
            .ok()
            .filter(|r: &Self| r.era() == Era::Legacy)
            .unwrap_or(Self::NEWEST_LEGACY)
    }
}

/// Whether `text` names a version on the modern side of the era boundary, known or not: versions
/// are ISO dates, so they order as text.
pub fn is_modern_version(text: &str) -> bool {
    text >= Revision::V2026_07_28.as_str()
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no revision this crate knows.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("unsupported protocol version `{0}`")]
pub struct UnknownRevision(pub String);

impl FromStr for Revision {
    type Err = UnknownRevision;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|r| r.as_str() == s)
            .ok_or_else(|| UnknownRevision(s.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r2_initialize_echoes_legacy_versions_and_answers_the_newest_legacy_otherwise() {
        assert_eq!(
            Revision::negotiate_legacy("2024-11-05"),
            Revision::V2024_11_05
        );
        assert_eq!(
            Revision::negotiate_legacy("2026-07-28"),
            Revision::V2025_11_25
        );
        assert_eq!(Revision::negotiate_legacy("1.0"), Revision::V2025_11_25);
    }

    #[test]
    fn all_is_newest_first() {
        assert!(Revision::ALL.windows(2).all(|w| w[0] > w[1]));
        assert!(
            Revision::ALL
                .into_iter()
                .all(|r| r.as_str().parse() == Ok(r))
        );
    }
}
