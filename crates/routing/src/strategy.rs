//! The strategies by name.

use std::fmt;
use std::str::FromStr;

/// How a candidate is judged.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Strategy {
    /// A candidate whether or not it lists the item.
    Path,
    /// A candidate only if it lists the item.
    #[default]
    Capability,
    /// A candidate, then the backend it falls back to, then the rest.
    Fallback,
}

impl Strategy {
    /// Every strategy, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Path, Self::Capability, Self::Fallback];

    /// The word for it in a file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Capability => "capability",
            Self::Fallback => "fallback",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no strategy.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a strategy is one of path, capability, fallback")]
pub struct UnknownStrategy;

impl FromStr for Strategy {
    type Err = UnknownStrategy;

    fn from_str(text: &str) -> Result<Self, UnknownStrategy> {
        let found = Self::ALL.into_iter().find(|s| s.as_str() == text);
        found.ok_or(UnknownStrategy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies_are_read_back_as_they_are_written() {
        for strategy in Strategy::ALL {
            assert_eq!(strategy.to_string().parse(), Ok(strategy));
        }
        assert_eq!("Path".parse::<Strategy>(), Err(UnknownStrategy));
    }
}
