//! Who has the fewest calls running.

use super::load::Tier;

/// The least pressed; among equals the turn decides, or an idle backend's first endpoint would
/// get every call.
pub(super) fn pick(tier: Tier<'_>, turn: u64) -> Option<usize> {
    let due = (turn % tier.len()) as usize;
    let in_turn = tier.members().skip(due).chain(tier.members().take(due));
    // The first of several that are equal stays.
    let least = in_turn.min_by(|(_, a), (_, b)| a.pressure().total_cmp(&b.pressure()))?;
    Some(least.0)
}
