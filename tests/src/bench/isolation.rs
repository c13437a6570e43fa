//! What bad backends cost the good ones.

mod bad;
mod hanging;

use std::process::ExitCode;

use super::Options;
use super::machine;
use super::table::Verdicts;

/// With the bad ones, p99 of the good ones may be so many times what it is without.
const RATIO: f64 = 1.25;

/// Measures every scenario, with tables and a verdict for each promise.
pub(super) async fn run(options: &Options) -> ExitCode {
    let mut verdicts = Verdicts::default();
    machine::go_first();
    if options.wants("bad") {
        bad::run(options, &mut verdicts).await;
    }
    if options.wants("hanging") {
        hanging::run(options, &mut verdicts).await;
    }
    verdicts.print()
}
