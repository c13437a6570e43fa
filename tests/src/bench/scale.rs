//! Whether a router that has much to keep, or much time, stays as good as a new one.
//!
//! What leaks a descriptor a session, a task a call or a page of memory a minute passes every
//! other measurement here, and is found by whoever runs it for a month. The same with what is
//! quick among four backends and slow among a thousand.

mod backends;
mod crowd;
mod list;
pub(super) mod soak;
mod streams;
mod threads;
mod watch;

use std::process::ExitCode;

use super::Options;
use super::table::Verdicts;

/// Measures every scenario, with a verdict for each promise.
pub(super) async fn run(options: &Options) -> ExitCode {
    let mut verdicts = Verdicts::default();
    if options.wants("threads") {
        threads::run(options, &mut verdicts).await;
    }
    if options.wants("streams") {
        streams::run(options, &mut verdicts).await;
    }
    if options.wants("backends") {
        backends::run(options, &mut verdicts).await;
    }
    verdicts.print()
}
