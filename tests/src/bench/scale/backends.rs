//! A thousand backends with twenty tools each.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::list::{self, Listed};
use super::watch::Held;
use crate::bench::Options;
use crate::bench::load::Load;
use crate::bench::process::{Backends, QUIET, Sample, sample, start_router};
use crate::bench::table::{Verdicts, head, median, print, row};
use crate::harness::{Router, config};

/// Backends, and the fewest tools of all.
const BACKENDS: usize = 1000;
const TOOLS: usize = 20_000;

/// Backends that are called, of however many there are.
const CALLED: usize = 4;

/// A call may cost so many times as much among a thousand backends as among four: there is more
/// to keep in caches, and probes go on beside it.
const DEARER: f64 = 1.25;

/// How long anything may take until it is there.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures and judges.
pub(super) async fn run(options: &Options, verdicts: &mut Verdicts) {
    let count = BACKENDS.to_string();
    let backends = Backends::start(&["--count", &count, "--tools", "20"]).await;
    let names: Vec<_> = (0..BACKENDS).map(|i| format!("b{i}")).collect();
    let text = |count: usize| config(names.iter().zip(&backends.urls).take(count));
    let few = start_router(&text(CALLED), QUIET).await;
    few.until_ready().await;
    let start = Instant::now();
    let many = start_router(&text(BACKENDS), QUIET).await;
    let listed = until_listed(&many, |listed| listed.tools >= TOOLS).await;
    let took = start.elapsed();
    let (held, held_few) = (Held::of(&many).await, Held::of(&few).await);
    print(&format!(
        "\n{BACKENDS} backends: {} tools on {} pages listed {took:.1?} after the start, in {:.1?}; {}, of \
         which {:.1} KiB for each backend\n",
        listed.tools,
        listed.pages,
        listed.took,
        held.say(),
        (held.memory - held_few.memory) / 1024.0 / f64::from(BACKENDS as u32),
    ));
    verdicts.judge(
        listed.tools >= TOOLS,
        format!("{} tools are listed (at least: {TOOLS})", listed.tools),
    );
    calls(&few, &many, &names[..CALLED], options, verdicts).await;
    reload(&many, &text(BACKENDS - 1), listed.tools, verdicts).await;
}

/// The same calls among few and among many.
async fn calls(
    few: &Router,
    many: &Router,
    names: &[String],
    options: &Options,
    verdicts: &mut Verdicts,
) {
    let tools: Vec<_> = names.iter().map(|name| format!("{name}.echo")).collect();
    let measure = async |router: &Router| {
        let load = Load {
            run_ms: options.millis(),
            ..Load::new(router.addr(), tools.clone())
        };
        sample(&load, Some(router.pid())).await
    };
    let (mut among_few, mut among_many) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        among_few.push(measure(few).await);
        among_many.push(measure(many).await);
    }
    print(&head(&["backends", "calls/s", "CPU/call", "errors"]));
    let tell = |count: usize, samples: &[Sample]| {
        let cpu = median(samples.iter().map(|s| s.cpu_us).collect());
        let rate = median(samples.iter().map(|s| s.load.goodput()).collect());
        let errors: u64 = samples.iter().map(|s| s.load.errors).sum();
        print(&row(&[
            count.to_string(),
            format!("{rate:.0}"),
            format!("{cpu:.1} µs"),
            errors.to_string(),
        ]));
        (cpu, errors)
    };
    let (cpu_few, errors) = tell(CALLED, &among_few);
    let (cpu_many, more_errors) = tell(BACKENDS, &among_many);
    let errors = errors + more_errors;
    verdicts.judge(errors == 0, format!("{errors} calls failed (allowed: 0)"));
    let dearer = cpu_many / cpu_few;
    verdicts.judge(
        dearer <= DEARER,
        format!(
            "a call costs {dearer:.2} times as much among {BACKENDS} backends (allowed: {DEARER})"
        ),
    );
}

/// One backend is taken out of the file.
async fn reload(router: &Router, text: &str, before: usize, verdicts: &mut Verdicts) {
    let tasks = Held::of(router).await.tasks;
    let start = Instant::now();
    router.rewrite_config(text);
    let listed = until_listed(router, |listed| listed.tools < before).await;
    let took = start.elapsed();
    let less = before - listed.tools;
    // One that was taken for changed would have been connected anew, and been away meanwhile.
    verdicts.judge(
        (20..60).contains(&less),
        format!("a reload takes one backend away, {less} tools of {before}, in {took:.1?}"),
    );
    let after = Held::of(router).await.tasks;
    verdicts.judge(
        after <= tasks + 8.0,
        format!("{tasks} tasks before the reload, {after} after it (allowed: 8 more)"),
    );
}

async fn until_listed(router: &Router, enough: impl Fn(&Listed) -> bool) -> Listed {
    let start = Instant::now();
    loop {
        let listed = list::all(router).await;
        if enough(&listed) || start.elapsed() > PATIENCE {
            return listed;
        }
        sleep(Duration::from_millis(50)).await;
    }
}
