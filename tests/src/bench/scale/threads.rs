//! What a second thread brings, and costs.
//!
//! Threads that share a lock or a cache line cost each other time: every call becomes dearer with
//! each of them. So the processor time of a call must stay what it is with one thread. How much
//! more is served is to be seen where load and backend have cores of their own; with fewer cores,
//! all three are put on one core, and then on two.

use crate::bench::Options;
use crate::bench::load::Load;
use crate::bench::machine;
use crate::bench::process::{Backends, QUIET, Sample, sample};
use crate::bench::table::{Verdicts, head, median, micros, print, row};
use crate::harness::{Router, config};

/// A call may cost so many times as much with two threads as with one: they wake each other and
/// pass tasks around, which is the price of two cores.
const DEARER: f64 = 1.25;

/// Two threads must serve so many times as much as one.
const MORE: f64 = 1.7;

/// With fewer cores the load generator and the backend are in the way of a router beside them.
const CORES: usize = 6;

/// Measures and judges.
pub(super) async fn run(options: &Options, verdicts: &mut Verdicts) {
    let backends = Backends::start(&["--threads", "1"]).await;
    let text = config([("bench", &backends.urls[0])]);
    print("\nworker threads of the router, small calls over 64 connections\n");
    print(&head(&["threads", "calls/s", "p50", "p99", "CPU/call"]));
    let (one, two) = (start(&text, "1").await, start(&text, "2").await);
    let (mut with_one, mut with_two) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        // In turn: a machine that slows down slows both.
        with_one.push(measure(&one, options).await);
        with_two.push(measure(&two, options).await);
    }
    tell("1", &with_one);
    tell("2", &with_two);
    let errors: u64 = with_one
        .iter()
        .chain(&with_two)
        .map(|s| s.load.errors)
        .sum();
    verdicts.judge(
        errors == 0,
        format!("threads: {errors} errors (allowed: 0)"),
    );
    let dearer = middle(&with_two, |s| s.cpu_us) / middle(&with_one, |s| s.cpu_us);
    verdicts.judge(
        dearer <= DEARER,
        format!("a call costs {dearer:.2} times as much with two threads (allowed: {DEARER})"),
    );
    let more = middle(&with_two, |s| s.load.goodput()) / middle(&with_one, |s| s.load.goodput());
    if machine::cores() >= CORES {
        verdicts.judge(
            more >= MORE,
            format!("two threads serve {more:.2} times as much as one (at least: {MORE})"),
        );
    } else {
        together(options, verdicts).await;
    }
}

/// Router, load and backend on one core with one thread, and on two with two.
async fn together(options: &Options, verdicts: &mut Verdicts) {
    let mut fields = Vec::new();
    for (cores, threads) in [("0", "1"), ("0-1", "2")] {
        if machine::cores() < 2 || !machine::move_self(cores) {
            return print(
                "\nwhat a second core brings is not to be seen: no `taskset`, or one core",
            );
        }
        let backends = Backends::start(&["--threads", "1"]).await;
        let router = start(&config([("bench", &backends.urls[0])]), threads).await;
        fields.push((cores, backends, router, Vec::new()));
    }
    for _ in 0..options.rounds {
        for (cores, _, router, samples) in &mut fields {
            machine::move_self(cores);
            samples.push(measure(router, options).await);
        }
    }
    machine::pin_self();
    for (cores, _, _, samples) in &fields {
        tell(&format!("with load and backend on cores {cores}"), samples);
    }
    let served = |field: usize| middle(&fields[field].3, |s| s.load.goodput());
    let more = served(1) / served(0);
    verdicts.judge(
        more >= MORE,
        format!(
            "with a second thread and core {more:.2} times as much is served (at least: {MORE})"
        ),
    );
}

async fn start(text: &str, threads: &str) -> Router {
    let wrapper = machine::on_all_cores();
    let wrapper: Vec<_> = wrapper.iter().map(String::as_str).collect();
    // Without a wrapper it is where this process is.
    let router = Router::builder()
        .config(text)
        .env("RUST_LOG", QUIET)
        .env("TOKIO_WORKER_THREADS", threads)
        .wrapper(&wrapper)
        .start()
        .await;
    router.until_ready().await;
    router
}

async fn measure(router: &Router, options: &Options) -> Sample {
    let load = Load {
        connections: 64,
        run_ms: options.millis(),
        ..Load::new(router.addr(), vec!["bench.echo".to_owned()])
    };
    sample(&load, Some(router.pid())).await
}

fn middle(samples: &[Sample], figure: impl Fn(&Sample) -> f64) -> f64 {
    median(samples.iter().map(figure).collect())
}

fn tell(threads: &str, samples: &[Sample]) {
    print(&row(&[
        threads.to_owned(),
        format!("{:.0}", middle(samples, |s| s.load.goodput())),
        micros(middle(samples, |s| s.load.p50_us)),
        micros(middle(samples, |s| s.load.p99_us)),
        format!("{:.1} µs", middle(samples, |s| s.cpu_us)),
    ]));
}
