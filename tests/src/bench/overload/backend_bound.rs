//! The backend is what cannot do more: each call takes its time, and only so many run at once.

use std::time::Duration;

use tokio::time::Instant;

use super::{columns, judge_memory, lost, measure};
use crate::bench::Options;
use crate::bench::load::{Figures, Load};
use crate::bench::process::{Backends, QUIET, sample, start_router};
use crate::bench::table::Verdicts;
use crate::bench::table::{median, micros, print};

/// Calls that the backend works on at once; it queues the others, for ever.
const WORKERS: usize = 16;

/// What a call takes there, milliseconds.
const SERVICE_MS: u64 = 20;

/// At five times its rate, the backend must be kept as busy as this share of its best.
const GOODPUT: f64 = 0.95;

/// A refusal may take so long, microseconds, 99 of 100 times.
const REFUSAL: f64 = 20_000.0;

/// Until all is as before, when the rush is over.
const RECOVERY: Duration = Duration::from_secs(2);

/// What the router gives the backend at once.
struct Scenario {
    name: &'static str,
    /// A key of the backend in the file.
    setting: &'static str,
    /// Connections at five times the rate. Each waits for one answer at a time, so there must be
    /// enough of them beside those that run and wait for the next request to find a free one.
    connections: usize,
}

const SCENARIOS: [Scenario; 2] = [
    Scenario {
        name: "as by default",
        setting: "",
        connections: 600,
    },
    Scenario {
        name: "as it can do",
        setting: ", max_concurrency: 16",
        connections: 300,
    },
];

/// One router through all loads.
struct Round {
    best: Figures,
    five: Figures,
    ten: Figures,
    before: Figures,
    after: Figures,
    /// Another backend's callers, during the rush.
    bystander: Figures,
    recovery: Duration,
    rest: u64,
    peak: u64,
}

/// Measures and judges.
pub(super) async fn run(options: &Options, verdicts: &mut Verdicts) {
    let workers = WORKERS.to_string();
    let backend = Backends::start(&["--workers", &workers]).await;
    let other = Backends::start(&[]).await;
    let urls = [&*backend.urls[0], &*other.urls[0]];
    print(&format!(
        "\nbackend-bound: {WORKERS} calls of {SERVICE_MS} ms at once; {} rounds of {} s\n",
        options.rounds, options.seconds
    ));
    print(&columns());
    let mut all = Vec::new();
    for scenario in &SCENARIOS {
        let mut rounds = Vec::new();
        for _ in 0..options.rounds {
            rounds.push(round(scenario, urls, options).await);
        }
        all.push((scenario, rounds));
    }
    for (scenario, rounds) in &all {
        judge(scenario, rounds, verdicts);
    }
}

async fn round(scenario: &Scenario, urls: [&str; 2], options: &Options) -> Round {
    let config = format!(
        "backends:\n  \
         - {{ name: b, namespace: b, url: \"{}\"{} }}\n  \
         - {{ name: other, namespace: other, url: \"{}\" }}\n",
        urls[0], scenario.setting, urls[1]
    );
    let router = start_router(&config, QUIET).await;
    router.until_ready().await;
    let take = async |what: &str, load: &Load| {
        let name = format!("{}, {what}", scenario.name);
        measure(&name, load, &router).await
    };
    let load = Load {
        arguments: Some(format!(r#"{{"ms":{SERVICE_MS}}}"#)),
        connections: 2 * WORKERS,
        run_ms: options.millis(),
        ..Load::new(router.addr(), vec!["b.sleep".to_owned()])
    };
    let best = take("at its limit", &load).await.load;
    let rate = best.goodput();
    let rest = router.usage().rss;
    let half = Load {
        rate: rate / 2.0,
        ..load.clone()
    };
    let rush = |times: f64, connections| Load {
        rate: times * rate,
        connections,
        ..load.clone()
    };
    let before = take("half of it", &half).await.load;
    let five = rush(5.0, scenario.connections);
    let bystander = Load {
        rate: 200.0,
        connections: 4,
        run_ms: options.millis(),
        ..Load::new(router.addr(), vec!["other.echo".to_owned()])
    };
    let (five, bystander) = tokio::join!(take("5 times", &five), sample(&bystander, None));
    let five = five.load;
    let ten = rush(10.0, 2 * scenario.connections);
    let ten = take("10 times", &ten).await;
    let over = Instant::now();
    let calm = Load {
        warm_ms: u64::try_from(RECOVERY.as_millis()).unwrap_or(u64::MAX),
        ..half
    };
    let after = take("half of it, 2 s after", &calm).await.load;
    // The load's own clock starts with its process, a little later than the rush ended.
    let length = Duration::from_millis(calm.warm_ms + calm.run_ms);
    let late = over.elapsed().saturating_sub(length);
    let recovery = match after.last_error_ms {
        0 => Duration::ZERO,
        ms => late + Duration::from_millis(ms),
    };
    Round {
        best,
        five,
        ten: ten.load,
        before,
        after,
        bystander: bystander.load,
        recovery,
        rest,
        peak: ten.peak,
    }
}

fn judge(scenario: &Scenario, rounds: &[Round], verdicts: &mut Verdicts) {
    let name = scenario.name;
    let middle = |of: &dyn Fn(&Round) -> f64| median(rounds.iter().map(of).collect());
    let five = middle(&|r| r.five.goodput() / r.best.goodput());
    let ten = middle(&|r| r.ten.goodput() / r.best.goodput());
    let offered = middle(&|r| r.five.offered_rate() / r.best.goodput());
    let refusal = middle(&|r| r.five.refused_p99_us);
    verdicts.judge(
        five >= GOODPUT && offered >= 4.75,
        format!(
            "{name}: {:.1} % of its best when {offered:.1} times that is offered (allowed: 95 % at \
             5), {:.1} % at 10 times",
            five * 100.0,
            ten * 100.0
        ),
    );
    verdicts.judge(
        refusal <= REFUSAL,
        format!(
            "{name}: p99 of refusals is {} (allowed: 20 ms)",
            micros(refusal)
        ),
    );
    judge_recovery(name, rounds, verdicts);
    let lost: u64 = rounds.iter().map(|r| lost(&r.five) + lost(&r.ten)).sum();
    verdicts.judge(
        lost == 0,
        format!("{name}: {lost} calls were neither served nor refused"),
    );
    let harmed = |r: &Round| r.bystander.errors + r.bystander.unanswered;
    let harmed: u64 = rounds.iter().map(harmed).sum();
    verdicts.judge(
        harmed == 0,
        format!("{name}: {harmed} calls of another backend failed meanwhile"),
    );
    if let Some(worst) = rounds.iter().max_by_key(|r| r.peak) {
        let connections = 2 * scenario.connections;
        judge_memory(verdicts, name, worst.rest, worst.peak, connections);
    }
}

fn judge_recovery(name: &str, rounds: &[Round], verdicts: &mut Verdicts) {
    let slowest = rounds.iter().map(|r| r.recovery).max().unwrap_or_default();
    let again = |r: &Round| r.after.goodput() / r.before.goodput();
    let again = median(rounds.iter().map(again).collect());
    verdicts.judge(
        slowest <= RECOVERY && again >= GOODPUT,
        format!(
            "{name}: nothing is refused from {:.2} s after the rush on (allowed: 2 s); {:.1} % of \
             what was served before (allowed: 95 %)",
            slowest.as_secs_f64(),
            again * 100.0
        ),
    );
}
