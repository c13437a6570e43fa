//! How long the router takes to be there: until its port is open, and until it lists everything.
//!
//! Hosts start a router with themselves and wait for it, and orchestrators restart it; neither
//! should wait for a backend that does not answer.

use std::process::ExitCode;
use std::time::Duration;

use super::Options;
use super::process::{Backends, Logged};
use super::table::{Verdicts, head, median, micros, print, row};
use crate::harness::{Blackhole, config};

/// How often it is started for each figure.
const STARTS: usize = 20;

/// From the start to the list of four local backends, microseconds.
const LISTED_US: f64 = 25_000.0;

/// From the start to an open port, whoever the backends are, microseconds.
const OPEN_US: f64 = 25_000.0;

/// Backends that work.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

struct Scenario {
    name: &'static str,
    config: String,
    /// Whether everything can be listed before the first list stops waiting.
    judged: bool,
}

/// Starts it again and again, and judges the medians.
pub(super) async fn run(options: &Options) -> ExitCode {
    let good = Backends::start(&["--count", "4"]).await;
    let hangs = Backends::start(&["--fault", "never-answer"]).await;
    let refuses = Backends::start(&["--down"]).await;
    let garbage = Backends::start(&["--garbage"]).await;
    let hole = Blackhole::new().await;
    let four: Vec<_> = NAMES.into_iter().zip(good.urls.clone()).collect();
    let bad = [
        ("hangs", hangs.urls[0].clone()),
        ("refuses", refuses.urls[0].clone()),
        ("garbage", garbage.urls[0].clone()),
        ("nowhere", hole.url()),
    ];
    let scenarios = [
        Scenario {
            name: "4 backends over HTTP",
            config: config(four.clone()),
            judged: true,
        },
        Scenario {
            name: "4 child processes",
            config: children(),
            judged: false,
        },
        Scenario {
            name: "4 over HTTP and 4 that hang, refuse, talk nonsense, are nowhere",
            config: config(four.into_iter().chain(bad)),
            judged: false,
        },
    ];
    print(&format!(
        "\nmedian of {STARTS} starts, and the slowest; CPU: until all are listed\n"
    ));
    print(&head(&[
        "backends",
        "port open",
        "slowest",
        "all listed",
        "slowest",
        "CPU",
    ]));
    let mut verdicts = Verdicts::default();
    for scenario in scenarios.iter().filter(|s| options.wants(s.name)) {
        measure(scenario, &mut verdicts).await;
    }
    verdicts.print()
}

async fn measure(scenario: &Scenario, verdicts: &mut Verdicts) {
    let (mut open, mut listed, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let router = Logged::launch(&scenario.config, "info");
        open.push(us(router.until_open().await));
        listed.push(us(router.until_listed(&NAMES).await));
        cpu.push(us(router.cpu()));
    }
    let most = |times: &[f64]| times.iter().copied().fold(0.0, f64::max);
    let (slowest_open, slowest_listed) = (most(&open), most(&listed));
    let (open, listed) = (median(open), median(listed));
    let name = scenario.name;
    print(&row(&[
        name.to_owned(),
        micros(open),
        micros(slowest_open),
        micros(listed),
        micros(slowest_listed),
        micros(median(cpu)),
    ]));
    verdicts.judge(
        open <= OPEN_US,
        format!("{name}: port open after {} (allowed: 25 ms)", micros(open)),
    );
    if scenario.judged {
        verdicts.judge(
            listed <= LISTED_US,
            format!(
                "{name}: all listed after {} (allowed: 25 ms)",
                micros(listed)
            ),
        );
    }
}

/// A file with this program's fixture as four child processes.
fn children() -> String {
    let program = std::env::current_exe().expect("the path of this program");
    let program = serde_json::Value::from(program.to_string_lossy());
    let entries = NAMES.map(|name| {
        format!(
            "  - {{ name: {name}, namespace: {name}, command: {program}, \
             args: [fixture, stdio] }}\n"
        )
    });
    format!("backends:\n{}", entries.concat())
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
