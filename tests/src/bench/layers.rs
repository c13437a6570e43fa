//! What the layers cost per call, in instructions of the router's process outside the kernel; and
//! what of it is spent on telling of calls: metrics, the log, traces for which no call is chosen.
//!
//! Times of a busy machine vary by more than the layers cost; instructions do not. The same edges
//! and the same router are put together with and without the layers (`examples/stack.rs`) and run
//! in valgrind, which counts every instruction of the process while a number of calls is served.
//! Without valgrind the process' user time is taken, which is much coarser.

mod count;
mod program;

use std::process::ExitCode;

use self::count::Counter;
use self::program::Stack;
use super::Options;
use super::process::Backends;
use super::table::Verdicts;
use super::table::{head, median, print, row};

/// The layers may add this share.
const SHARE: f64 = 0.05;

struct Scenario {
    name: &'static str,
    connections: usize,
    /// Which layers there are in the case it is compared with.
    base: &'static str,
    /// What `RUST_LOG` is.
    log: &'static str,
    /// Whether the bound holds for it.
    bound: bool,
}

const SCENARIOS: [Scenario; 4] = [
    Scenario {
        name: "one call at a time",
        connections: 1,
        base: "off",
        log: "warn",
        bound: true,
    },
    Scenario {
        name: "16 calls at a time",
        connections: 16,
        base: "off",
        log: "warn",
        bound: true,
    },
    // Formatting a line a call is what the line costs, not what the layers do.
    Scenario {
        name: "16 calls at a time, request log on",
        connections: 16,
        base: "off",
        log: "info",
        bound: false,
    },
    Scenario {
        name: "metrics, log and unchosen traces alone",
        connections: 16,
        base: "silent",
        log: "info",
        bound: true,
    },
];

/// Measures layers off against on in turn.
pub(super) async fn run(options: &Options) -> ExitCode {
    let program = program::path();
    let backends = Backends::start(&[]).await;
    let counter = Counter::find();
    print(&format!(
        "\nwithout the layers against with them, {}; median of {} rounds\n",
        counter.describe(),
        options.rounds
    ));
    let unit = counter.unit();
    print(&head(&[
        "load",
        &format!("without, {unit}/call"),
        &format!("with, {unit}/call"),
        "added",
        "added, least and most",
    ]));
    let mut verdicts = Verdicts::default();
    let mut judged = Vec::new();
    for scenario in SCENARIOS.iter().filter(|s| options.wants(s.name)) {
        let stack = |layers| Stack {
            program: program.clone(),
            backend: backends.urls[0].clone(),
            layers,
            log: scenario.log,
            connections: scenario.connections,
        };
        let (mut off, mut on) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            off.push(counter.per_call(&stack(scenario.base)).await);
            on.push(counter.per_call(&stack("on")).await);
        }
        let added = show(scenario.name, &off, &on);
        judged.push((scenario, added));
    }
    for (scenario, added) in judged.iter().filter(|(scenario, _)| scenario.bound) {
        verdicts.judge(
            *added <= SHARE,
            format!(
                "{}: {:.1} % are added (allowed: 5 %)",
                scenario.name,
                added * 100.0
            ),
        );
    }
    verdicts.print()
}

/// Prints a row; the share that the layers add.
fn show(name: &str, off: &[f64], on: &[f64]) -> f64 {
    let each: Vec<_> = off.iter().zip(on).map(|(off, on)| on / off - 1.0).collect();
    let least = each.iter().copied().fold(f64::INFINITY, f64::min) * 100.0;
    let most = each.iter().copied().fold(f64::NEG_INFINITY, f64::max) * 100.0;
    let (off, on) = (median(off.to_vec()), median(on.to_vec()));
    let added = on / off - 1.0;
    print(&row(&[
        name.to_owned(),
        format!("{off:.0}"),
        format!("{on:.0}"),
        format!("{:.1} %", added * 100.0),
        format!("{least:.1} to {most:.1} %"),
    ]));
    added
}
