//! What one backend that never answers, one that refuses and one that sends garbage cost the
//! forty-seven others.

use std::time::Duration;

use tokio::time::Instant;

use super::RATIO;
use crate::bench::Options;
use crate::bench::load::Load;
use crate::bench::process::{Backends, QUIET, Sample, sample, start_router};
use crate::bench::table::Verdicts;
use crate::bench::table::{head, median, micros, print, row};
use crate::harness::{Router, config};

/// Backends that work.
const HEALTHY: usize = 47;

/// Until the healthy tools are listed and the router calls itself ready.
const READY: Duration = Duration::from_secs(2);

/// What the observation of `/ready` may add: its polling, and a busy machine.
const OBSERVED: Duration = Duration::from_millis(100);

/// One start of the router, with or without the bad three.
struct Run {
    listed: Duration,
    ready: Duration,
    sample: Sample,
}

/// Measures both in turn and prints a table with a verdict for each promise.
pub(super) async fn run(options: &Options, verdicts: &mut Verdicts) {
    let healthy = Backends::start(&["--count", &HEALTHY.to_string()]).await;
    let hangs = Backends::start(&["--fault", "never-answer"]).await;
    let refuses = Backends::start(&["--down"]).await;
    let garbage = Backends::start(&["--garbage"]).await;
    let names: Vec<_> = (0..HEALTHY).map(|i| format!("b{i}")).collect();
    let good: Vec<_> = names.iter().zip(&healthy.urls).collect();
    let without = config(good.clone());
    let bad = ["hangs", "refuses", "garbage"].map(str::to_owned);
    let bad_urls = [&hangs, &refuses, &garbage].map(|b| &b.urls[0]);
    let with = config(good.into_iter().chain(bad.iter().zip(bad_urls)));

    print(&format!(
        "\n{HEALTHY} good backends with and without 3 bad ones; {} rounds of {} s\n",
        options.rounds, options.seconds
    ));
    print(&head(&[
        "run",
        "healthy tools listed",
        "/ready",
        "req/s",
        "p50",
        "p99",
        "errors",
    ]));
    let (mut clean, mut dirty) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        clean.push(measure("47 good", &without, options).await);
        dirty.push(measure("47 good, 3 bad", &with, options).await);
    }
    judge(&clean, &dirty, verdicts);
}

async fn measure(name: &str, config: &str, options: &Options) -> Run {
    let start = Instant::now();
    let router = start_router(config, QUIET).await;
    let (listed, ready) = tokio::join!(until_listed(&router, start), async {
        router.until_ready().await;
        start.elapsed()
    });
    let tools = (0..HEALTHY).map(|i| format!("b{i}.echo")).collect();
    let load = Load {
        run_ms: options.millis(),
        ..Load::new(router.addr(), tools)
    };
    let sample = sample(&load, Some(router.pid())).await;
    if let Some(error) = &sample.load.first_error {
        print(&format!("error: {error}"));
    }
    print(&row(&[
        name.to_owned(),
        format!("{:.2} s", listed.as_secs_f64()),
        format!("{:.2} s", ready.as_secs_f64()),
        format!("{:.0}", sample.load.goodput()),
        micros(sample.load.p50_us),
        micros(sample.load.p99_us),
        sample.load.errors.to_string(),
    ]));
    Run {
        listed,
        ready,
        sample,
    }
}

/// How long after `start` every healthy backend's tool was in one list.
async fn until_listed(router: &Router, start: Instant) -> Duration {
    let client = router.modern();
    loop {
        let mut found = 0;
        let mut params = serde_json::json!({});
        loop {
            let answer = client.request("tools/list", params).await;
            let tools = answer["result"]["tools"].as_array().into_iter().flatten();
            found += tools
                .filter(|t| t["name"].as_str().is_some_and(|n| n.ends_with(".echo")))
                .count();
            match answer["result"]["nextCursor"].as_str() {
                Some(cursor) => params = serde_json::json!({"cursor": cursor}),
                None => break,
            }
        }
        if found >= HEALTHY {
            return start.elapsed();
        }
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "only {found} of {HEALTHY} healthy tools are listed"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn judge(clean: &[Run], dirty: &[Run], verdicts: &mut Verdicts) {
    let p99 = |runs: &[Run]| median(runs.iter().map(|r| r.sample.load.p99_us).collect());
    let ratio = p99(dirty) / p99(clean).max(1.0);
    let slowest = |time: fn(&Run) -> Duration| dirty.iter().map(time).max().unwrap_or_default();
    let (listed, ready) = (slowest(|r| r.listed), slowest(|r| r.ready));
    let lost = |run: &Run| run.sample.load.errors + run.sample.load.unanswered;
    let errors: u64 = clean.iter().chain(dirty).map(lost).sum();
    let listed_s = listed.as_secs_f64();
    let ready_s = ready.as_secs_f64();
    verdicts.judge(
        listed <= READY,
        format!("healthy tools listed after {listed_s:.2} s (allowed: 2 s)"),
    );
    verdicts.judge(
        ready <= READY + OBSERVED,
        format!("ready after {ready_s:.2} s (allowed: 2 s, and 0.1 s to see it)"),
    );
    verdicts.judge(
        ratio <= RATIO,
        format!("p99 with the bad three is {ratio:.2} times p99 without (allowed: {RATIO})"),
    );
    verdicts.judge(
        errors == 0,
        format!("{errors} calls of healthy tools failed"),
    );
}
