//! How many steps the state machines take.

use proptest::prelude::ProptestConfig;

/// Steps of one case.
pub(crate) const RANGE: std::ops::Range<usize> = 1..200;

/// As many cases as make the steps wanted, 100 each on average.
pub(crate) fn config() -> ProptestConfig {
    let steps = std::env::var("STATE_MACHINE_STEPS");
    let steps = steps.map_or(10_000, |s| s.parse().expect("a number of steps"));
    ProptestConfig {
        cases: steps / (RANGE.end as u32 / 2),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
