//! What a request costs on its way through the router.

use std::net::SocketAddr;
use std::process::ExitCode;

use super::Options;
use super::load::Load;
use super::process::{Backends, Nginx, QUIET, Sample, sample, start_router};
use super::table::{head, median, micros, print, row};
use crate::fixture::Era;
use crate::harness::config;

/// The router may use this many times the CPU of nginx for a small call.
const NGINX_RATIO: f64 = 3.0;

/// Tools of the backend, beside the built-in ones.
const TOOLS: usize = 50;

struct Scenario {
    name: &'static str,
    /// None: `tools/list`.
    tool: Option<&'static str>,
    payload: usize,
    connections: usize,
    /// What `RUST_LOG` is for the router.
    log: &'static str,
    small: bool,
}

const fn call(name: &'static str, payload: usize, connections: usize) -> Scenario {
    Scenario {
        name,
        tool: Some("echo"),
        payload,
        connections,
        log: QUIET,
        small: payload < 100,
    }
}

const SCENARIOS: [Scenario; 7] = [
    call("small call", 2, 1),
    call("small call", 2, 16),
    call("small call", 2, 64),
    Scenario {
        log: "info",
        ..call("small call, request log on", 2, 16)
    },
    call("64 KiB call", 64 << 10, 16),
    call("1 MiB call", 1 << 20, 4),
    Scenario {
        tool: None,
        small: false,
        ..call("tools/list", 0, 16)
    },
];

/// The samples of one row, a round each.
#[derive(Default)]
struct Row {
    direct: Vec<Sample>,
    router: Vec<Sample>,
    nginx: Vec<Sample>,
}

/// Measures every scenario in both eras and prints a table.
pub(super) async fn run(options: &Options) -> ExitCode {
    let tools = TOOLS.to_string();
    let backends = Backends::start(&["--tools", &tools]).await;
    let nginx = if options.no_nginx {
        None
    } else {
        Nginx::start(backends.addr()).await
    };
    print(&format!(
        "\nmedian of {} rounds of {} s; added = through the router minus direct\n",
        options.rounds, options.seconds
    ));
    print(&head(&[
        "load",
        "connections",
        "direct req/s",
        "direct p50",
        "direct p99",
        "router req/s",
        "added p50",
        "added p99",
        "router CPU/req",
        "peak memory",
        "nginx req/s",
        "nginx added p50",
        "nginx CPU/req",
        "CPU vs nginx",
    ]));
    let mut worst: f64 = 0.0;
    let mut errors = 0;
    for era in [Era::Legacy, Era::Modern] {
        for scenario in &SCENARIOS {
            let name = format!("{} {}", label(era), scenario.name);
            if !options.wants(&name) {
                continue;
            }
            let taken = measure(scenario, era, &backends, nginx.as_ref(), options).await;
            errors += taken.errors();
            if scenario.small && scenario.log == QUIET {
                worst = worst.max(taken.ratio());
            }
            print(&taken.print(&name, scenario.connections));
        }
    }
    verdict(worst, errors, nginx.is_some())
}

fn verdict(worst: f64, errors: u64, nginx: bool) -> ExitCode {
    print("");
    if errors > 0 {
        print(&format!("FAIL: {errors} requests were not answered well"));
        return ExitCode::FAILURE;
    }
    if !nginx {
        print("CPU per small call against nginx: not measured, no nginx");
        return ExitCode::SUCCESS;
    }
    let pass = worst <= NGINX_RATIO;
    let word = if pass { "PASS" } else { "FAIL" };
    print(&format!(
        "{word}: CPU per small call at most {worst:.2} times nginx (allowed: {NGINX_RATIO})"
    ));
    if pass {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn label(era: Era) -> &'static str {
    if era == Era::Legacy {
        "2025-11-25"
    } else {
        "2026-07-28"
    }
}

async fn measure(
    scenario: &Scenario,
    era: Era,
    backends: &Backends,
    nginx: Option<&Nginx>,
    options: &Options,
) -> Row {
    let config = config([("bench", &backends.urls[0])]);
    // A router of its own for each row, so that the peak is that row's.
    let router = start_router(&config, scenario.log).await;
    router.until_ready().await;
    let load = |addr: SocketAddr, prefix: &str| {
        let tools = scenario.tool.iter();
        Load {
            era,
            payload: scenario.payload,
            connections: scenario.connections,
            run_ms: options.millis(),
            ..Load::new(addr, tools.map(|tool| format!("{prefix}{tool}")).collect())
        }
    };
    let mut row = Row::default();
    for _ in 0..options.rounds {
        // Taken in turn, so that a machine that slows down slows all of them.
        row.direct
            .push(sample(&load(backends.addr(), ""), None).await);
        let through = load(router.addr(), "bench.");
        row.router.push(sample(&through, Some(router.pid())).await);
        if let Some(nginx) = nginx {
            row.nginx
                .push(sample(&load(nginx.addr, ""), Some(nginx.pid)).await);
        }
    }
    row
}

fn middle(samples: &[Sample], figure: impl Fn(&Sample) -> f64) -> f64 {
    median(samples.iter().map(figure).collect())
}

fn rate(sample: &Sample) -> f64 {
    sample.load.goodput()
}

impl Row {
    /// CPU per request as a multiple of nginx'; 0 without nginx.
    fn ratio(&self) -> f64 {
        let nginx = middle(&self.nginx, |s| s.cpu_us);
        if nginx > 0.0 {
            middle(&self.router, |s| s.cpu_us) / nginx
        } else {
            0.0
        }
    }

    /// Requests that failed anywhere; the first one is shown.
    fn errors(&self) -> u64 {
        let all = [&self.direct, &self.router, &self.nginx];
        let mut sum = 0;
        for (who, samples) in ["direct", "router", "nginx"].iter().zip(all) {
            for sample in samples {
                sum += sample.load.errors;
                if let Some(error) = &sample.load.first_error {
                    print(&format!("error, {who}: {error}"));
                }
            }
        }
        sum
    }

    fn print(&self, name: &str, connections: usize) -> String {
        let p50 = middle(&self.direct, |s| s.load.p50_us);
        let p99 = middle(&self.direct, |s| s.load.p99_us);
        let peak = self.router.iter().map(|s| s.peak).max().unwrap_or(0);
        let mut cells = vec![
            name.to_owned(),
            connections.to_string(),
            format!("{:.0}", middle(&self.direct, rate)),
            micros(p50),
            micros(p99),
            format!("{:.0}", middle(&self.router, rate)),
            micros(middle(&self.router, |s| s.load.p50_us) - p50),
            micros(middle(&self.router, |s| s.load.p99_us) - p99),
            format!("{:.1} µs", middle(&self.router, |s| s.cpu_us)),
            format!("{:.1} MiB", peak_mib(peak)),
        ];
        if self.nginx.is_empty() {
            cells.extend(["–", "–", "–", "–"].map(str::to_owned));
        } else {
            cells.extend([
                format!("{:.0}", middle(&self.nginx, rate)),
                micros(middle(&self.nginx, |s| s.load.p50_us) - p50),
                format!("{:.1} µs", middle(&self.nginx, |s| s.cpu_us)),
                format!("{:.2}", self.ratio()),
            ]);
        }
        row(&cells)
    }
}

#[expect(clippy::cast_precision_loss, reason = "memory of one process is small")]
fn peak_mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
