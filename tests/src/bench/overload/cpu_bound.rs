//! The router's own core is what cannot do more.
//!
//! Over HTTP/1.1 each connection has one request at a time, so five times too much means five
//! times the clients that keep the router busy. They wait longer; what may not happen is that
//! fewer of them are served because so many wait, or because others are refused.
//!
//! What so many connections cost the machine itself (its caches hold fewer of them) is nobody's
//! fault: nginx takes the same loads in the same run, and the router must keep of its best what
//! is promised, or what nginx keeps of its own.

use super::{columns, judge_memory, lost, measure};
use crate::bench::Options;
use crate::bench::load::Load;
use crate::bench::process::{Backends, Nginx, QUIET, Sample, sample, start_router};
use crate::bench::table::Verdicts;
use crate::bench::table::{median, print};
use crate::harness::{Router, config};

/// Connections that keep the router busy: more of them are not served faster.
const SATURATED: usize = 64;

/// What must be left of the best at 5 and at 10 times.
const GOODPUT: [f64; 2] = [0.85, 0.70];

/// By so much the router may keep less of each second of its CPU than nginx does of its own.
const BESIDE_NGINX: f64 = 0.05;

/// What must be served 2 s after the rush.
const RECOVERED: f64 = 0.9;

/// Where the excess goes.
struct Scenario {
    name: &'static str,
    backends: usize,
    /// The end of the configuration file.
    settings: &'static str,
}

/// What a caller waits after a refusal, milliseconds. The router asks for a second.
const PAUSE_MS: u64 = 100;

const SCENARIOS: [Scenario; 3] = [
    Scenario {
        name: "room for all",
        backends: 4,
        settings: "",
    },
    // 256 and a queue of 64: at 10 times half of the callers find no place.
    Scenario {
        name: "one backend",
        backends: 1,
        settings: "",
    },
    Scenario {
        name: "room for 320",
        backends: 4,
        settings: "server: { limits: { max_in_flight: 320 } }\n",
    },
];

/// The loads of one router.
struct Round {
    best: Sample,
    five: Sample,
    ten: Sample,
    after: Sample,
    rest: u64,
}

/// What is kept of each second of CPU at 5 and at 10 times, and when that is over.
type Kept = [f64; 3];

/// Measures and judges.
pub(super) async fn run(options: &Options, verdicts: &mut Verdicts) {
    let backends = Backends::start(&["--count", "4"]).await;
    print(&format!(
        "\nCPU-bound: small calls, {SATURATED} connections keep the router busy; {} rounds of {} s\n",
        options.rounds, options.seconds
    ));
    print(&columns());
    let nginx = match options.no_nginx {
        true => None,
        false => Nginx::start(backends.addr()).await,
    };
    let mut all = Vec::new();
    let mut beside = Vec::new();
    for scenario in &SCENARIOS {
        let mut rounds = Vec::new();
        for _ in 0..options.rounds {
            rounds.push(round(scenario, &backends, options).await);
            if let Some(nginx) = &nginx {
                beside.push(kept_by(nginx, options).await);
            }
        }
        all.push((scenario, rounds));
    }
    let at = |i: usize| median(beside.iter().map(|kept: &Kept| kept[i]).collect());
    let nginx = (!beside.is_empty()).then(|| [at(0), at(1), at(2)]);
    for (scenario, rounds) in &all {
        judge(scenario, rounds, nginx, verdicts);
    }
}

/// What nginx keeps under the same loads.
async fn kept_by(nginx: &Nginx, options: &Options) -> Kept {
    let mut cost = [0.0; 4];
    for (cost, times) in cost.iter_mut().zip([1, 5, 10, 1]) {
        let load = Load {
            connections: times * SATURATED,
            run_ms: options.millis(),
            ..Load::new(nginx.addr, vec!["echo".to_owned()])
        };
        *cost = sample(&load, Some(nginx.pid)).await.cpu_us;
        print(&format!(
            "| nginx, {times} times | {} |  |  |  |  |  |  |  | {:.1} µs |  |",
            load.connections, *cost
        ));
    }
    [1, 2, 3].map(|i| cost[0] / cost[i].max(1e-9))
}

async fn round(scenario: &Scenario, backends: &Backends, options: &Options) -> Round {
    let names: Vec<_> = (0..scenario.backends).map(|i| format!("b{i}")).collect();
    let config = config(names.iter().zip(&backends.urls)) + scenario.settings;
    let router: Router = start_router(&config, QUIET).await;
    router.until_ready().await;
    let load = |times: usize| Load {
        connections: times * SATURATED,
        pause_ms: PAUSE_MS,
        run_ms: options.millis(),
        ..Load::new(
            router.addr(),
            names.iter().map(|name| format!("{name}.echo")).collect(),
        )
    };
    let name = |what: &str| format!("{}, {what}", scenario.name);
    let best = measure(&name("busy"), &load(1), &router).await;
    let rest = router.usage().rss;
    let five = measure(&name("5 times"), &load(5), &router).await;
    let ten = measure(&name("10 times"), &load(10), &router).await;
    let after = Load {
        warm_ms: 2000,
        ..load(1)
    };
    let after = measure(&name("2 s after"), &after, &router).await;
    Round {
        best,
        five,
        ten,
        after,
        rest,
    }
}

fn judge(scenario: &Scenario, rounds: &[Round], nginx: Option<Kept>, verdicts: &mut Verdicts) {
    let share = |of: fn(&Round) -> &Sample| {
        let share = |r: &Round| of(r).load.goodput() / r.best.load.goodput();
        median(rounds.iter().map(share).collect()) * 100.0
    };
    // What is served per second of its CPU: on a shared machine that says more.
    let of_cpu = |of: fn(&Round) -> &Sample| {
        let share = |r: &Round| r.best.cpu_us / of(r).cpu_us.max(1e-9);
        median(rounds.iter().map(share).collect())
    };
    let (five, ten) = (share(|r| &r.five), share(|r| &r.ten));
    let kept = [of_cpu(|r| &r.five), of_cpu(|r| &r.ten)];
    let promised = five >= 100.0 * GOODPUT[0] && ten >= 100.0 * GOODPUT[1];
    let as_nginx = |n: Kept| (0..2).all(|i| kept[i] >= n[i].min(GOODPUT[i]) - BESIDE_NGINX);
    let beside = nginx.map_or_else(String::new, |n| {
        let [five, ten, _] = n.map(|share| share * 100.0);
        format!(" (nginx: {five:.1} % and {ten:.1} %)")
    });
    verdicts.judge(
        promised || nginx.is_some_and(as_nginx),
        format!(
            "{}: {five:.1} % of its best at 5 times (allowed: 85 %), {ten:.1} % at 10 times (70 %); \
             per second of CPU {:.1} % and {:.1} %{beside}",
            scenario.name,
            kept[0] * 100.0,
            kept[1] * 100.0,
        ),
    );
    judge_recovery(
        scenario,
        share(|r| &r.after),
        of_cpu(|r| &r.after),
        nginx,
        verdicts,
    );
    let lost: u64 = rounds
        .iter()
        .map(|r| lost(&r.five.load) + lost(&r.ten.load))
        .sum();
    verdicts.judge(
        lost == 0,
        format!("{}: {lost} calls neither served nor refused", scenario.name),
    );
    if let Some(worst) = rounds.iter().max_by_key(|r| r.ten.peak) {
        judge_memory(
            verdicts,
            scenario.name,
            worst.rest,
            worst.ten.peak,
            10 * SATURATED,
        );
    }
}

/// `after` in percent of the best, `of_cpu` the share of it per second of CPU.
fn judge_recovery(
    scenario: &Scenario,
    after: f64,
    of_cpu: f64,
    nginx: Option<Kept>,
    verdicts: &mut Verdicts,
) {
    let as_nginx = |n: Kept| of_cpu >= n[2].min(RECOVERED) - BESIDE_NGINX;
    let beside = nginx.map_or_else(String::new, |n| format!(" (nginx: {:.1} %)", n[2] * 100.0));
    verdicts.judge(
        after >= 100.0 * RECOVERED || nginx.is_some_and(as_nginx),
        format!(
            "{}: {after:.1} % of its best 2 s after the rush (allowed: 90 %); per second of CPU \
             {:.1} %{beside}",
            scenario.name,
            of_cpu * 100.0
        ),
    );
}
