//! What becomes of a router that is asked for more than it, or a backend, can do.
//!
//! A router that takes everything in serves nobody: queues grow until every answer comes too late
//! and memory is gone. So the excess must be refused at once, what is served must not suffer from
//! what is refused, and when the rush is over all must be as before. The other way round, a limit
//! that is half used must refuse nobody.

mod backend_bound;
mod cpu_bound;
mod half;
mod retries;

use std::process::ExitCode;

use super::Options;
use super::load::{Figures, Load};
use super::process::{Sample, sample};
use super::table::Verdicts;
use super::table::{head, mib, micros, print, row};
use crate::harness::Router;

/// What a connection may cost, beside what it has buffered.
const PER_CONNECTION: u64 = 40 << 10;

/// What all connections together may have buffered, on a machine of any size.
const BUFFERED: u64 = 64 << 20;

/// Measures every scenario, with tables and a verdict for each promise.
pub(super) async fn run(options: &Options) -> ExitCode {
    let mut verdicts = Verdicts::default();
    if options.wants("backend-bound") {
        backend_bound::run(options, &mut verdicts).await;
    }
    if options.wants("cpu-bound") {
        cpu_bound::run(options, &mut verdicts).await;
    }
    if options.wants("half") {
        half::run(options, &mut verdicts).await;
    }
    if options.wants("retries") {
        retries::run(options, &mut verdicts).await;
    }
    verdicts.print()
}

/// The head of the tables here.
fn columns() -> String {
    head(&[
        "load",
        "connections",
        "offered/s",
        "served/s",
        "p50",
        "p99",
        "refused/s",
        "refusals p99",
        "other errors",
        "router CPU/request",
        "peak memory",
    ])
}

/// Puts the load on the router and prints its row.
async fn measure(name: &str, load: &Load, router: &Router) -> Sample {
    let sample = sample(load, Some(router.pid())).await;
    let figures = &sample.load;
    // Where nothing is served, nothing was to be.
    if figures.broken > 0 && figures.requests > 0 {
        let first = figures.first_error.as_deref().unwrap_or_default();
        print(&format!("error: {first}"));
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
    let (refused, cpu) = (
        figures.refused as f64 / figures.seconds,
        sample.cpu_us * figures.requests.max(1) as f64 / figures.offered.max(1) as f64,
    );
    print(&row(&[
        name.to_owned(),
        load.connections.to_string(),
        format!("{:.0}", figures.offered_rate()),
        format!("{:.0}", figures.goodput()),
        micros(figures.p50_us),
        micros(figures.p99_us),
        format!("{refused:.0}"),
        micros(figures.refused_p99_us),
        lost(figures).to_string(),
        format!("{cpu:.1} µs"),
        format!("{:.1} MiB", mib(sample.peak)),
    ]));
    sample
}

/// Requests that were neither served nor refused.
fn lost(figures: &Figures) -> u64 {
    figures.broken + figures.unanswered
}

/// Judges the memory of a router that had `rest` bytes before and `peak` with so many connections
/// of clients, each with a call in flight.
fn judge_memory(verdicts: &mut Verdicts, name: &str, rest: u64, peak: u64, connections: usize) {
    let clients = connections as u64;
    let allowed = rest + PER_CONNECTION * clients + BUFFERED;
    verdicts.judge(
        peak <= allowed,
        format!(
            "{name}: {:.1} MiB at most with {connections} connections, {} KiB for each beyond the \
             {:.1} at rest (allowed: 40 KiB for each, and 64 MiB of buffers: {:.1})",
            mib(peak),
            peak.saturating_sub(rest) / clients.max(1) / 1024,
            mib(rest),
            mib(allowed)
        ),
    );
}
