//! A router whose limits are half used refuses nobody.

use super::{columns, judge_memory, lost, measure};
use crate::bench::Options;
use crate::bench::load::Load;
use crate::bench::process::{Backends, QUIET, start_router};
use crate::bench::table::Verdicts;
use crate::bench::table::print;
use crate::harness::config;

/// Half of the 4096 calls that the router has in flight, as half of the 256 of each backend.
const BACKENDS: usize = 16;
const CALLS: usize = 2048;

/// What each of them takes, milliseconds.
const SERVICE_MS: u64 = 1000;

/// A backend with so little room that the rest of its callers fills half of its queue of 64.
const ROOM: usize = 16;
const QUEUED: usize = 32;

/// Measures and judges.
pub(super) async fn run(options: &Options, verdicts: &mut Verdicts) {
    let count = BACKENDS.to_string();
    let backends = Backends::start(&["--count", &count]).await;
    print(&format!(
        "\nhalf of every limit: {CALLS} calls in flight at {BACKENDS} backends, {QUEUED} in a queue\n"
    ));
    print(&columns());
    let names: Vec<_> = (0..BACKENDS).map(|i| format!("b{i}")).collect();
    let text = config(names.iter().zip(&backends.urls));
    let (in_flight, rest, peak) = sleepers(&names, &text, CALLS, SERVICE_MS, options).await;
    let text = format!(
        "backends:\n  - {{ name: b0, namespace: b0, url: \"{}\", max_concurrency: {ROOM} }}\n",
        backends.urls[0]
    );
    let (queued, _, _) = sleepers(&names[..1], &text, ROOM + QUEUED, 20, options).await;
    verdicts.judge(
        in_flight == 0,
        format!("{CALLS} callers at once: {in_flight} calls refused or lost (allowed: 0)"),
    );
    verdicts.judge(
        queued == 0,
        format!("a queue half full: {queued} calls refused or lost (allowed: 0)"),
    );
    // Each call has a connection to its backend beside its client's.
    judge_memory(verdicts, "half of every limit", rest, peak, 2 * CALLS);
}

/// Keeps so many calls running or waiting: how many were not served, and the router's memory
/// before and at most.
async fn sleepers(
    names: &[String],
    config: &str,
    connections: usize,
    ms: u64,
    options: &Options,
) -> (u64, u64, u64) {
    let router = start_router(config, QUIET).await;
    router.until_ready().await;
    let rest = router.usage().rss;
    let tools = names.iter().map(|name| format!("{name}.sleep")).collect();
    let load = Load {
        connections,
        arguments: Some(format!(r#"{{"ms":{ms}}}"#)),
        // Connecting so many is part of the warm-up.
        warm_ms: 1500,
        run_ms: options.millis() + 2 * ms,
        ..Load::new(router.addr(), tools)
    };
    let sample = measure(&format!("calls of {ms} ms"), &load, &router).await;
    let refused = sample.load.errors - sample.load.broken;
    (refused + lost(&sample.load), rest, sample.peak)
}
