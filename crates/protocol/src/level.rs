//! Log levels, as MCP orders them (RFC 5424).

use std::fmt;
use std::str::FromStr;

/// How grave a log message is, from chatty to dire.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum LogLevel {
    /// For those who look for faults.
    Debug,
    /// What happens.
    Info,
    /// What happens seldom.
    Notice,
    /// What may go wrong.
    Warning,
    /// What went wrong.
    Error,
    /// What must be looked at.
    Critical,
    /// What must be looked at now.
    Alert,
    /// Nothing works.
    Emergency,
}

/// Text that is no level.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no log level")]
pub struct InvalidLevel;

impl LogLevel {
    /// Every level, the chattiest first.
    pub const ALL: [Self; 8] = [
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
    ];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Alert => "alert",
            Self::Emergency => "emergency",
        }
    }

    /// The same as JSON text.
    pub const fn json(self) -> &'static str {
        match self {
            Self::Debug => "\"debug\"",
            Self::Info => "\"info\"",
            Self::Notice => "\"notice\"",
            Self::Warning => "\"warning\"",
            Self::Error => "\"error\"",
            Self::Critical => "\"critical\"",
            Self::Alert => "\"alert\"",
            Self::Emergency => "\"emergency\"",
        }
    }

    /// The level at this place in [`ALL`](Self::ALL).
    pub fn at(place: u8) -> Option<Self> {
        Self::ALL.get(usize::from(place)).copied()
    }
}

impl FromStr for LogLevel {
    type Err = InvalidLevel;

    fn from_str(text: &str) -> Result<Self, InvalidLevel> {
        let mut all = Self::ALL.into_iter();
        all.find(|level| level.as_str() == text).ok_or(InvalidLevel)
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_ordered_and_keep_their_names() {
        for (place, level) in LogLevel::ALL.into_iter().enumerate() {
            assert_eq!(level.as_str().parse(), Ok(level));
            assert_eq!(level.json(), format!("\"{level}\""));
            assert_eq!(LogLevel::at(u8::try_from(place).unwrap()), Some(level));
        }
        assert!(LogLevel::Debug < LogLevel::Emergency);
        assert_eq!("loud".parse::<LogLevel>(), Err(InvalidLevel));
        assert_eq!(LogLevel::at(8), None);
    }
}
