//! Who has the fewest calls running.

use super::load::Tier;

/// The least pressed; equals take turns, or an idle backend's first endpoint would get every call.
pub(super) fn pick(tier: Tier<'_>, turn: u64) -> Option<usize> {
    let pressures = tier.members().map(|(_, load)| load.pressure());
    let least = pressures.fold(f64::INFINITY, f64::min);
    let equals = tier.members().filter(|(_, load)| load.pressure() <= least);
    let due = turn % equals.clone().count().max(1) as u64;
    equals.map(|(at, _)| at).nth(due as usize)
}
