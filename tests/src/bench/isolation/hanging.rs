//! What one backend costs the others that takes every call and answers none, while its callers
//! fill all the room it has: its limit, its queue, and then some.

use std::time::Duration;

use super::RATIO;
use crate::bench::Options;
use crate::bench::load::{Figures, Load};
use crate::bench::process::{Backends, QUIET, Sample, sample, start_router};
use crate::bench::table::Verdicts;
use crate::bench::table::{head, median, micros, print, row};
use crate::harness::config;

/// Backends that work.
const HEALTHY: usize = 9;

/// Calls of the good ones per second: a fraction of what the router can do, so that p99 is not
/// that of a router at its limit.
const RATE: f64 = 2000.0;

/// Calls that a backend may have at once, as the router's defaults say.
const ROOM: u64 = 256;

/// Callers of the backend that hangs: more than its room and its queue (64) together.
const CALLERS: usize = 400;

/// From the first call of the backend that hangs until its room and its queue are full, and calls
/// leave the queue for having waited too long.
const FULL: Duration = Duration::from_millis(1500);

/// How long an excess call may wait for its refusal: a second in the queue, and what it takes to
/// tell.
const REFUSED: f64 = 1.1e6;

/// Measures the good ones without and with it in turn.
pub(super) async fn run(options: &Options, verdicts: &mut Verdicts) {
    let healthy = Backends::start(&["--count", &HEALTHY.to_string()]).await;
    let rule = r#"{"fault":"never-answer","method":"tools/call"}"#;
    let hangs = Backends::start(&["--rule", rule]).await;
    let names: Vec<_> = (0..HEALTHY).map(|i| format!("b{i}")).collect();
    let bad = "hangs".to_owned();
    let config = config(
        names
            .iter()
            .zip(&healthy.urls)
            .chain([(&bad, &hangs.urls[0])]),
    );
    print(&format!(
        "\n{HEALTHY} good backends, {RATE} calls per second, without and with {CALLERS} callers of \
         one that hangs; {} rounds of {} s\n",
        options.rounds, options.seconds
    ));
    print(&head(&[
        "run",
        "req/s",
        "p50",
        "p99",
        "errors",
        "hanging",
        "refused",
        "refused at the latest",
    ]));
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        rounds.push(measure(&config, options).await);
    }
    judge(&rounds, verdicts);
}

/// One router, first without, then with the callers of the backend that hangs.
struct Round {
    without: Figures,
    with: Figures,
    hanging: Figures,
}

async fn measure(config: &str, options: &Options) -> Round {
    let router = start_router(config, QUIET).await;
    router.until_ready().await;
    let tools = (0..HEALTHY).map(|i| format!("b{i}.echo")).collect();
    let good = Load {
        rate: RATE,
        run_ms: options.millis(),
        ..Load::new(router.addr(), tools)
    };
    let full = u64::try_from(FULL.as_millis()).unwrap_or(u64::MAX);
    let bad = Load {
        connections: CALLERS,
        pause_ms: 100,
        // Most of them are never answered.
        patience_ms: 500,
        warm_ms: full,
        // The good ones are warmed up and measured meanwhile.
        run_ms: good.warm_ms + good.run_ms + 500,
        ..Load::new(router.addr(), vec!["hangs.echo".to_owned()])
    };
    let without = sample(&good, Some(router.pid())).await;
    show("good ones alone", &without, None);
    let (hanging, with) = tokio::join!(sample(&bad, None), async {
        tokio::time::sleep(FULL).await;
        sample(&good, Some(router.pid())).await
    });
    show("one hangs", &with, Some(&hanging.load));
    Round {
        without: without.load,
        with: with.load,
        hanging: hanging.load,
    }
}

fn show(name: &str, sample: &Sample, hanging: Option<&Figures>) {
    if let Some(error) = &sample.load.first_error {
        print(&format!("error: {error}"));
    }
    let mut cells = vec![
        name.to_owned(),
        format!("{:.0}", sample.load.goodput()),
        micros(sample.load.p50_us),
        micros(sample.load.p99_us),
        sample.load.errors.to_string(),
    ];
    cells.extend(match hanging {
        Some(hanging) => [
            hanging.unanswered.to_string(),
            hanging.refused.to_string(),
            micros(hanging.refused_max_us),
        ],
        None => ["–", "–", "–"].map(str::to_owned),
    });
    print(&row(&cells));
}

fn judge(rounds: &[Round], verdicts: &mut Verdicts) {
    let p99 = |of: fn(&Round) -> f64| median(rounds.iter().map(of).collect());
    let ratio = p99(|r| r.with.p99_us) / p99(|r| r.without.p99_us).max(1.0);
    let lost = |load: &Figures| load.errors + load.unanswered;
    let errors: u64 = rounds
        .iter()
        .map(|r| lost(&r.without) + lost(&r.with))
        .sum();
    let hanging = || rounds.iter().map(|r| &r.hanging);
    let latest = hanging().map(|h| h.refused_max_us).fold(0.0, f64::max);
    let full = hanging().all(|h| h.unanswered >= ROOM && h.refused > 0);
    let other: u64 = hanging().map(|h| h.broken).sum();
    let alone = rounds.iter().map(|r| r.without.goodput());
    let alone = alone.fold(f64::INFINITY, f64::min);
    if alone < 0.95 * RATE {
        print(&format!(
            "note: only {alone:.0} calls per second were served without it: this machine is too \
             busy with other things for times to say anything"
        ));
    }
    verdicts.judge(
        full,
        format!("the hanging backend's limit of {ROOM} and its queue were full throughout"),
    );
    verdicts.judge(
        other == 0 && latest <= REFUSED,
        format!(
            "its excess was refused as overloaded within {} (allowed: 1 s, and 0.1 s to tell); \
             {other} calls failed otherwise",
            micros(latest)
        ),
    );
    verdicts.judge(
        errors == 0,
        format!("{errors} calls of the others failed (allowed: 0)"),
    );
    verdicts.judge(
        ratio <= RATIO,
        format!("p99 of the others is {ratio:.2} times p99 without it (allowed: {RATIO})"),
    );
}
