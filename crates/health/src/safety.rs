//! How far a failed call is trusted not to have run.

use std::fmt;
use std::str::FromStr;

/// Which failed calls may be made again: the operator's choice between a lost answer and a call
/// that runs twice.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Safety {
    /// Only what was provably not sent.
    Strict,
    /// That, what was refused without being run, and calls that do no harm when they run twice.
    #[default]
    Standard,
    /// Any failed attempt of any tool, as the Python router did.
    Trusting,
}

impl Safety {
    /// Every level, from the most careful on.
    pub const ALL: [Self; 3] = [Self::Strict, Self::Standard, Self::Trusting];

    /// The word for it in a file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Standard => "standard",
            Self::Trusting => "trusting",
        }
    }
}

impl fmt::Display for Safety {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no level of safety.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a level of safety is one of strict, standard, trusting")]
pub struct UnknownSafety;

impl FromStr for Safety {
    type Err = UnknownSafety;

    fn from_str(text: &str) -> Result<Self, UnknownSafety> {
        let found = Self::ALL.into_iter().find(|safety| safety.as_str() == text);
        found.ok_or(UnknownSafety)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_back_as_they_are_written() {
        for safety in Safety::ALL {
            assert_eq!(safety.to_string().parse(), Ok(safety));
        }
        assert_eq!("Strict".parse::<Safety>(), Err(UnknownSafety));
    }
}
