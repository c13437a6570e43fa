//! What thousands of clients that never finish their first request cost the others (F36).
//!
//! Each sends half a head and then a byte a second, which keeps a server that measures silence
//! waiting for ever. The router has to cut them after ten seconds, and meanwhile those who were
//! there before have to be served, and probes of an orchestrator to be answered.
//!
//! Those who were there call by the clock, a fraction of what the router can do: called as fast as
//! it answers, every microsecond that the crowd costs would be one of a router at its limit. And
//! they go before the crowd where both are on one core: what it takes from its neighbours there is
//! not the router's doing.

mod crowd;

use std::process::ExitCode;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

pub(super) use self::crowd::CrowdCommand;
use self::crowd::Fates;
use super::Options;
use super::load::{Figures, Load, percentile};
use super::machine;
use super::process::{Backends, QUIET, in_background, sample, start_router};
use super::table::{Verdicts, head, median, micros, print, row};
use crate::harness::{HttpClient, Router, config};

/// Slow clients, if there are descriptors for them.
const SLOW: usize = 20_000;

/// Descriptors of a process for anything else.
const SPARE: usize = 500;

/// When they have to be gone.
const CUT: Duration = Duration::from_secs(10);

/// What is measured: a second before they come, their connections, and all of them being cut.
const BEFORE: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(15);

/// Calls of the others per second.
const RATE: f64 = 2000.0;

/// Their p99 may be so many times what it is without slow clients.
const RATIO: f64 = 2.0;

/// So many of the slow clients must have been connected, or the router was not tried, percent.
const TRIED: usize = 90;

/// One router, first without, then with the crowd.
struct Round {
    without: Figures,
    with: Figures,
    fates: Fates,
    probes: Probes,
}

/// How an orchestrator fared.
struct Probes {
    slowest: Duration,
    refused: usize,
}

/// Measures p99 with and without slow clients, and how the probes fare.
pub(super) async fn run(options: &Options) -> ExitCode {
    machine::go_first();
    let backends = Backends::start(&[]).await;
    let config = config([("a", &backends.urls[0])]);
    let clients = SLOW.min(descriptors().saturating_sub(SPARE));
    print(&format!(
        "\n{RATE} calls per second, without and with {clients} clients that send a byte a second; {} \
         rounds of {} s\n",
        options.rounds,
        MEASURED.as_secs()
    ));
    print(&head(&[
        "run",
        "req/s",
        "p50",
        "p99",
        "p99.9",
        "errors",
        "connected",
        "cut",
        "late",
        "slowest probe",
    ]));
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        rounds.push(measure(&config, clients).await);
    }
    judge(&rounds, clients)
}

async fn measure(config: &str, clients: usize) -> Round {
    let router = start_router(config, QUIET).await;
    router.until_healthy("a").await;
    let load = Load {
        rate: RATE,
        run_ms: u64::try_from(MEASURED.as_millis()).unwrap_or(u64::MAX),
        ..Load::new(router.addr(), vec!["a.echo".to_owned()])
    };
    let without = sample(&load, Some(router.pid())).await.load;
    show("without", &without, None);
    let (with, probes, fates) = tokio::join!(
        sample(&load, Some(router.pid())),
        probes(&router, MEASURED),
        async {
            sleep(BEFORE).await;
            let args = ["crowd", &router.addr().to_string(), &clients.to_string()];
            let fates = in_background(&args).await;
            serde_json::from_str(&fates).expect("the crowd tells what became of it")
        },
    );
    show("with", &with.load, Some((&fates, &probes)));
    Round {
        without,
        with: with.load,
        fates,
        probes,
    }
}

fn show(name: &str, load: &Figures, crowd: Option<(&Fates, &Probes)>) {
    if let Some(error) = &load.first_error {
        print(&format!("error: {error}"));
    }
    let mut cells = vec![
        name.to_owned(),
        format!("{:.0}", load.goodput()),
        micros(load.p50_us),
        micros(load.p99_us),
        micros(load.p999_us),
        load.errors.to_string(),
    ];
    cells.extend(match crowd {
        Some((fates, probes)) => [
            fates.connected.to_string(),
            fates.cut.to_string(),
            fates.late.to_string(),
            format!("{:.1?}", probes.slowest),
        ],
        None => ["–", "–", "–", "–"].map(str::to_owned),
    });
    print(&row(&cells));
}

fn judge(rounds: &[Round], clients: usize) -> ExitCode {
    let mut verdicts = Verdicts::default();
    let p99 = |of: fn(&Round) -> f64| median(rounds.iter().map(of).collect());
    let ratio = p99(|r| r.with.p99_us) / p99(|r| r.without.p99_us).max(1.0);
    let lost = |load: &Figures| load.errors + load.unanswered;
    let failed: u64 = rounds
        .iter()
        .map(|r| lost(&r.without) + lost(&r.with))
        .sum();
    let connected = rounds.iter().map(|r| r.fates.connected).min().unwrap_or(0);
    let kept: usize = rounds.iter().map(|r| r.fates.connected - r.fates.cut).sum();
    let late: usize = rounds.iter().map(|r| r.fates.late).sum();
    let refused: usize = rounds.iter().map(|r| r.probes.refused).sum();
    let slowest = rounds.iter().map(|r| r.probes.slowest).max();
    verdicts.judge(
        ratio <= RATIO,
        format!("p99 of the others is {ratio:.2} times what it is without (allowed: {RATIO})"),
    );
    verdicts.judge(
        failed == 0,
        format!("{failed} calls of the others failed (allowed: 0)"),
    );
    verdicts.judge(
        connected * 100 >= clients * TRIED,
        format!("{connected} of {clients} were connected at least ({TRIED} % are needed)"),
    );
    // Sooner is no fault: where there is no room, those silent longest make it.
    verdicts.judge(
        late == 0 && kept == 0,
        format!("{kept} of them were not cut, {late} later than 10 s (allowed: 0)"),
    );
    verdicts.judge(
        refused == 0,
        format!(
            "{refused} probes were not answered (allowed: 0), the slowest took {:.1?}",
            slowest.unwrap_or_default()
        ),
    );
    verdicts.print()
}

/// Asks `/health` on a new connection every half second; whoever has no answer within
/// 5 s has none, as an orchestrator counts.
async fn probes(router: &Router, time: Duration) -> Probes {
    let (end, client) = (Instant::now() + time, HttpClient::new(router.addr()));
    let (mut times, mut refused) = (Vec::new(), 0);
    while Instant::now() < end {
        let start = Instant::now();
        let request = client.request(http::Method::GET, "/health", "");
        match timeout(Duration::from_secs(5), client.try_send(request)).await {
            Ok(Ok(reply)) if reply.status == 200 => times.push(start.elapsed()),
            _ => refused += 1,
        }
        sleep(Duration::from_millis(500)).await;
    }
    times.sort_unstable();
    let slowest = Duration::from_secs_f64(percentile(&times, 100) / 1e6);
    Probes { slowest, refused }
}

/// Descriptors that this process may open.
fn descriptors() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find_map(|l| l.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    soft.and_then(|n| n.parse().ok()).unwrap_or(1024)
}
