//! The endpoints of one backend, and the choice among them.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use mcp_router_protocol::BackendName;
use mcp_router_routing::balance::{Fitness, Load};
use mcp_router_service::{CallError, Reason, Sent};
use tokio::time::Instant;

use super::BalanceParams;
use super::member::{Member, Now};
use crate::{Budget, Standing};

/// Up to so many endpoints are compared without an allocation.
const INLINE: usize = 16;

#[derive(Debug)]
pub(super) struct Group {
    pub(super) backend: BackendName,
    /// Under which sessions remember their endpoint.
    pub(super) slot: Arc<str>,
    pub(super) members: Vec<Member>,
    pub(super) params: BalanceParams,
    pub(super) turn: AtomicU64,
    /// Turns of calls that were somewhere already. Counted apart: a dead endpoint would shift the
    /// others' turns, and all calls that it drops at once must not go to the same one.
    pub(super) detour: AtomicU64,
    /// What pays for detours.
    pub(super) budget: OnceLock<Budget>,
    pub(super) seed: u64,
    pub(super) origin: Instant,
}

/// Where a call has been.
#[derive(Debug, Default)]
pub(super) struct Tried {
    few: u64,
    /// Beyond the first 64 endpoints.
    many: Vec<usize>,
}

impl Group {
    /// Whose turn it is.
    pub(super) fn first(&self) -> Option<usize> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.pick(turn, mixed(self.seed ^ turn), |_, fitness| fitness)
    }

    /// Whose turn it is to take a call that failed where it was `tried`. It does not disturb those
    /// that asked for peace: with every endpoint throttling, each call would reach all of them.
    pub(super) fn next(&self, tried: &Tried) -> Option<usize> {
        let turn = self.detour.fetch_add(1, Ordering::Relaxed);
        self.pick(turn, mixed(self.seed ^ !turn), |at, fitness| {
            if tried.contains(at) || fitness == Fitness::Resting {
                Fitness::Out
            } else {
                fitness
            }
        })
    }

    /// Whether a call that failed may be given to `at`. An endpoint that has failed meanwhile is
    /// probably ill for the same reason, and asking it costs budget.
    pub(super) fn pays_for(&self, at: usize) -> bool {
        let Some(budget) = self.budget.get() else {
            return true;
        };
        if budget.withdraw() || self.members[at].endpoint.failures() == 0 {
            return true;
        }
        budget.withheld().add(1);
        tracing::debug!(backend = %self.backend, "no other endpoint is tried: no budget left");
        false
    }

    fn pick(
        &self,
        turn: u64,
        random: u64,
        fitness: impl Fn(usize, Fitness) -> Fitness,
    ) -> Option<usize> {
        let mut now = Now::after(self.origin);
        let look = |(at, member): (usize, &Member)| {
            let mut load = member.load(&self.params, &mut now);
            load.fitness = fitness(at, load.fitness);
            load
        };
        let looks = self.members.iter().enumerate().map(look);
        let pick = |loads: &[Load]| self.params.policy.pick(loads, turn, random);
        if self.members.len() > INLINE {
            return pick(&looks.collect::<Vec<_>>());
        }
        let mut loads = [NOBODY; INLINE];
        for (slot, load) in loads.iter_mut().zip(looks) {
            *slot = load;
        }
        pick(&loads[..self.members.len()])
    }

    /// The place of an endpoint by its name.
    pub(super) fn position(&self, key: &str) -> Option<usize> {
        let mut members = self.members.iter();
        members.position(|m| &**m.endpoint.key() == key)
    }

    /// Why nobody could be picked for a call that was nowhere yet.
    pub(super) fn refusal(&self) -> CallError {
        if self.members.is_empty() {
            return CallError::new(Reason::NoBackend, Sent::No);
        }
        let waits = self.members.iter().map(|m| match m.endpoint.standing() {
            Standing::Refused { retry_in } => Some(retry_in),
            _ => None, // it has just become fit
        });
        CallError::new(Reason::CircuitOpen, Sent::No).retry_after(waits.min().flatten())
    }
}

impl Tried {
    pub(super) fn insert(&mut self, at: usize) {
        match at {
            0..64 => self.few |= 1 << at,
            _ => self.many.push(at),
        }
    }

    pub(super) fn contains(&self, at: usize) -> bool {
        match at {
            0..64 => self.few & (1 << at) != 0,
            _ => self.many.contains(&at),
        }
    }
}

const NOBODY: Load = Load {
    fitness: Fitness::Out,
    in_flight: 0,
    latency: None,
    priority: 0,
    share: 1.0,
};

/// A number that no other process has: routers side by side must not draw the same endpoints.
pub(super) fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Every bit of the result depends on every bit of `x` (splitmix64).
fn mixed(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_endpoints_is_remembered() {
        let mut tried = Tried::default();
        for at in [0, 63, 64, 200] {
            assert!(!tried.contains(at));
            tried.insert(at);
            assert!(tried.contains(at));
        }
        assert!(!tried.contains(1) && !tried.contains(65));
    }
}
