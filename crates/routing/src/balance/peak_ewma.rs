//! The cheaper of two drawn at random.
//!
//! Always taking the cheapest of all would send every call to the same endpoint until the next
//! answer is measured, from all routers at once. Of two drawn at random the worse one is never
//! taken, and the herd spreads.

use super::load::{Load, Tier};

/// What an endpoint costs that is at work and has never answered: more than any that has.
const UNPROVEN_SECONDS: f64 = 1e6;

pub(super) fn pick(tier: Tier<'_>, random: u64) -> Option<usize> {
    let count = tier.len();
    let first = (random >> 32) % count;
    let second = match count {
        1 => first,
        _ => (first + 1 + (random & 0xffff_ffff) % (count - 1)) % count,
    };
    let a = tier.members().nth(first as usize)?;
    let b = tier.members().nth(second as usize)?;
    Some(if cost(b.1) < cost(a.1) { b.0 } else { a.0 })
}

/// Expected wait: what an answer takes, once for every call that runs and this one. Who was never
/// asked costs nothing, so that it is asked, once.
fn cost(load: &Load) -> f64 {
    let seconds = match load.latency {
        Some(latency) => latency.as_secs_f64(),
        None if load.in_flight == 0 => 0.0,
        None => UNPROVEN_SECONDS,
    };
    seconds * load.pressure()
}
