//! What becomes of the calls that get through when there are far too many (F37, F24).
//!
//! First a backend is the bottleneck: the router has to refuse the excess quickly and keep the
//! backend busy with the rest. Then the router itself is: it has to go on serving nearly as much
//! as at its peak, and be as it was as soon as the crowd has gone.

use std::process::ExitCode;

use super::Options;
use super::load::Load;
use super::process::{Backends, QUIET, Sample, sample, start_router};
use super::table::{Verdicts, head, median, micros, print, row};
use crate::fixture::Era;
use crate::harness::Router;

/// Calls that the slow backend takes at once, and how long each takes: 640 a second.
const PERMITS: usize = 32;
const HOLD_MS: u64 = 50;

/// Callers that make good use of the slow backend: one more for each permit, to be next.
const ENOUGH: usize = 2 * PERMITS;
/// Callers that come with five times what it can take: those that are refused come again after
/// 20 ms, fifty times a second.
const TOO_MANY: usize = 150;

/// Callers at which the router serves most.
const PEAK: usize = 64;

/// Resident memory that a connection may cost, and all buffers together, bytes.
const PER_CONNECTION: u64 = 40 << 10;
const BUFFERS: u64 = 64 << 20;

/// Measures both kinds of overload, prints a table and a verdict for each promise.
pub(super) async fn run(options: &Options) -> ExitCode {
    let backends = Backends::start(&["--count", "3"]).await;
    let urls = &backends.urls;
    let file = format!(
        "backends:\n  \
         - {{ name: slow, namespace: slow, url: \"{}\", max_concurrency: {PERMITS} }}\n  \
         - {{ name: other, namespace: other, url: \"{}\" }}\n  \
         - {{ name: fast, namespace: fast, url: \"{}\", max_concurrency: 10000, \
             connection_pool: {{ max_connections: 10000 }} }}\n",
        urls[0], urls[1], urls[2]
    );
    let router = start_router(&file, QUIET).await;
    for name in ["slow", "other", "fast"] {
        router.until_healthy(name).await;
    }
    print(&format!(
        "\nToo many callers; {} rounds of {} s\n",
        options.rounds, options.seconds
    ));
    let columns = [
        "callers",
        "served/s",
        "p99",
        "refused/s",
        "p99 of these",
        "errors",
    ];
    print(&head(&columns));
    let mut verdicts = Verdicts::default();
    backend_bound(&router, options, &mut verdicts).await;
    cpu_bound(&router, options, &mut verdicts).await;
    verdicts.print()
}

/// The load of so many callers on one tool.
fn load(router: &Router, tool: &str, connections: usize, options: &Options) -> Load {
    Load {
        addr: router.addr(),
        era: Era::Modern,
        tool: vec![tool.to_owned()],
        sleep_ms: if tool.ends_with(".sleep") { HOLD_MS } else { 0 },
        payload: 2,
        connections,
        warm_ms: 500,
        run_ms: u64::try_from(options.time().as_millis()).unwrap_or(u64::MAX),
    }
}

/// One row of the table.
async fn measure(name: &str, router: &Router, load: &Load) -> Sample {
    let sample = sample(load, Some(router.pid())).await;
    if let Some(error) = &sample.load.first_error {
        print(&format!("error: {error}"));
    }
    print(&row(&[
        format!("{name}, {}", load.connections),
        format!("{:.0}", served(&sample)),
        micros(sample.load.p99_us),
        format!("{:.0}", refused(&sample)),
        micros(sample.load.refused_p99_us),
        sample.load.errors.to_string(),
    ]));
    sample
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
fn served(sample: &Sample) -> f64 {
    sample.load.requests as f64 / sample.load.seconds
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
fn refused(sample: &Sample) -> f64 {
    sample.load.refused as f64 / sample.load.seconds
}

fn medians(samples: &[Sample], figure: impl Fn(&Sample) -> f64) -> f64 {
    median(samples.iter().map(figure).collect())
}

async fn backend_bound(router: &Router, options: &Options, verdicts: &mut Verdicts) {
    let (mut enough, mut many, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let load = |tool, connections| load(router, tool, connections, options);
        enough.push(measure("a slow backend", router, &load("slow.sleep", ENOUGH)).await);
        let crowd = load("slow.sleep", TOO_MANY);
        let bystander = load("other.echo", 4);
        let (crowded, other) = tokio::join!(
            measure("too many at it", router, &crowd),
            sample(&bystander, None),
        );
        many.push(crowded);
        others.push(other);
    }
    let offered = medians(&many, |s| served(s) + refused(s)) / medians(&enough, served);
    let kept = medians(&many, served) / medians(&enough, served);
    verdicts.judge(
        kept >= 0.95,
        format!("at {offered:.1} times its load a slow backend serves {kept:.2} of it (0.95)"),
    );
    let slowest = medians(&many, |s| s.load.refused_p99_us);
    verdicts.judge(
        slowest <= 20_000.0,
        format!("p99 of refusals is {} (20 ms)", micros(slowest)),
    );
    let failed: u64 = others.iter().map(|s| s.load.errors + s.load.refused).sum();
    verdicts.judge(
        failed == 0,
        format!("{failed} calls of another backend failed"),
    );
}

async fn cpu_bound(router: &Router, options: &Options, verdicts: &mut Verdicts) {
    let before = router.usage().rss;
    let mut samples = [const { Vec::new() }; 4];
    for _ in 0..options.rounds {
        for (times, samples) in [1, 5, 10].into_iter().zip(&mut samples) {
            let load = load(router, "fast.echo", times * PEAK, options);
            samples.push(measure("a busy router", router, &load).await);
        }
        // What it serves in the second second after the crowd.
        let after = Load {
            warm_ms: 1000,
            run_ms: 1000,
            ..load(router, "fast.echo", PEAK, options)
        };
        samples[3].push(measure("afterwards", router, &after).await);
    }
    let peak = medians(&samples[0], served);
    let ratio = |at: usize| medians(&samples[at], served) / peak;
    for (at, times, least) in [(1, 5, 0.85), (2, 10, 0.7)] {
        let kept = ratio(at);
        verdicts.judge(
            kept >= least,
            format!("{times} times the callers: {kept:.2} of the peak is served ({least})"),
        );
    }
    // A second says less than the whole rounds do.
    let kept = ratio(3);
    verdicts.judge(
        kept >= 0.9,
        format!("2 s after them: {kept:.2} of the peak is served (0.9)"),
    );
    let all = samples.iter().flatten();
    let errors: u64 = all.clone().map(|s| s.load.errors).sum();
    verdicts.judge(errors == 0, format!("{errors} calls failed"));
    let peak = all.map(|s| s.peak).max().unwrap_or_default();
    let allowed = before + BUFFERS + PER_CONNECTION * 10 * PEAK as u64;
    verdicts.judge(
        peak <= allowed,
        format!("peak memory {} MiB ({})", peak >> 20, allowed >> 20),
    );
}
