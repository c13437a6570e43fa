//! The next in turn.
//!
//! The turn goes round the fit endpoints, not round all of them: otherwise the one behind a dead
//! endpoint would get the dead one's calls on top of its own.

use super::load::Tier;

/// Whose turn it is. A newcomer lets part of its turns go by, to anyone of the tier by share.
pub(super) fn pick(tier: Tier<'_>, turn: u64, random: u64) -> Option<usize> {
    let due = (turn % tier.len()) as usize;
    let (at, load) = tier.members().nth(due)?;
    let full = tier.members().map(|(_, l)| l.weight()).fold(0.0, f32::max);
    if load.weight() >= full || fraction(random) * full < load.weight() {
        return Some(at);
    }
    let total: f32 = tier.members().map(|(_, l)| l.weight()).sum();
    let mut rest = fraction(random.rotate_left(32)) * total;
    let drawn = tier.members().find(|(_, l)| {
        rest -= l.weight();
        rest < 0.0
    });
    Some(drawn.map_or(at, |(at, _)| at))
}

/// The upper bits as a number from 0 to 1, without 1.
fn fraction(random: u64) -> f32 {
    (random >> 40) as f32 / (1_u64 << 24) as f32
}
