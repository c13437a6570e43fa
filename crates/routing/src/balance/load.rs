//! What a policy knows of an endpoint.

use std::time::Duration;

/// Whether an endpoint may get the call, best first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Fitness {
    /// Nothing speaks against it.
    Usable,
    /// It looks down; tried when nothing better is left.
    Doubtful,
    /// It asked to be left alone for a while; tried last.
    Resting,
    /// It must not be called: its circuit is open, or this call has been there already.
    Out,
}

/// One endpoint, as it stands when the call begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Whether it may get the call.
    pub fitness: Fitness,
    /// Calls running there; a streamed answer counts until its end.
    pub in_flight: u32,
    /// How long it takes to answer; `None` before its first answer.
    pub latency: Option<Duration>,
    /// Lower is tried first, with [`Policy::Priority`](super::Policy) alone.
    pub priority: u32,
    /// Which share of a full load it should get, up to 1: see [`SlowStart`](super::SlowStart).
    pub share: f32,
}

impl Load {
    /// The share as something to divide by.
    pub(super) fn weight(&self) -> f32 {
        const LEAST: f32 = 0.001;
        // What is no number is not `>=` anything.
        if self.share >= LEAST {
            self.share.min(1.0)
        } else {
            LEAST
        }
    }

    /// Calls running if it got this one too, as if it were fully grown.
    pub(super) fn pressure(&self) -> f64 {
        (f64::from(self.in_flight) + 1.0) / f64::from(self.weight())
    }
}

/// The endpoints among which a policy decides: the fittest, and where priorities count, the
/// first of those.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tier<'a> {
    loads: &'a [Load],
    fitness: Fitness,
    priority: Option<u32>,
}

impl<'a> Tier<'a> {
    /// The best tier, unless nobody may be called.
    pub(super) fn best(loads: &'a [Load], by_priority: bool) -> Option<Self> {
        let key = |load: &Load| (load.fitness, if by_priority { load.priority } else { 0 });
        let (fitness, priority) = loads.iter().map(key).min()?;
        (fitness != Fitness::Out).then_some(Self {
            loads,
            fitness,
            priority: by_priority.then_some(priority),
        })
    }

    /// Its members with their places in the snapshot. Never empty.
    pub(super) fn members(self) -> impl Iterator<Item = (usize, &'a Load)> + Clone {
        self.loads.iter().enumerate().filter(move |(_, load)| {
            load.fitness == self.fitness && self.priority.is_none_or(|p| p == load.priority)
        })
    }

    /// How many there are, at least one.
    pub(super) fn len(self) -> u64 {
        self.members().count().max(1) as u64
    }
}
