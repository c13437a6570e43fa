//! The policies by name.

use std::fmt;
use std::str::FromStr;

use super::load::{Load, Tier};
use super::{least_connections, peak_ewma, round_robin};

/// How the calls of one backend are spread over its endpoints.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Policy {
    /// One after the other.
    #[default]
    RoundRobin,
    /// Who has the fewest calls running.
    LeastConnections,
    /// The quicker and less busy of two drawn at random.
    PeakEwma,
    /// The lowest priority number, one after the other among equals.
    Priority,
}

impl Policy {
    /// Every policy, in the order of the documentation.
    pub const ALL: [Self; 4] = [
        Self::RoundRobin,
        Self::LeastConnections,
        Self::PeakEwma,
        Self::Priority,
    ];

    /// The word for it in a file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::LeastConnections => "least_connections",
            Self::PeakEwma => "peak_ewma",
            Self::Priority => "priority",
        }
    }

    /// The place in `loads` of the endpoint that gets the call; `None` if nobody may be called.
    ///
    /// `turn` is a number that grows by one with every call, `random` one that nobody can
    /// foresee: the same four arguments give the same choice.
    pub fn pick(self, loads: &[Load], turn: u64, random: u64) -> Option<usize> {
        let tier = Tier::best(loads, self == Self::Priority)?;
        match self {
            Self::RoundRobin | Self::Priority => round_robin::pick(tier, turn, random),
            Self::LeastConnections => least_connections::pick(tier, turn),
            Self::PeakEwma => peak_ewma::pick(tier, random),
        }
    }

    /// Whether it looks at [`Load::latency`], which need not be measured otherwise.
    pub fn wants_latency(self) -> bool {
        self == Self::PeakEwma
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a load balancing policy is one of round_robin, least_connections, peak_ewma, priority")]
pub struct UnknownPolicy;

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        let found = Self::ALL.into_iter().find(|p| p.as_str() == text);
        found.ok_or(UnknownPolicy)
    }
}
