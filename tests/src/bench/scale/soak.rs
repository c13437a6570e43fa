//! A router at half load for as long as one likes: what it holds must not grow, nothing may fail.
//!
//! Half of what it can do is called by the clock, in both eras; beside that, clients come and go:
//! they open a session and a stream, list, call, hear progress, leave in the middle of a call, and
//! end the session. Each minute the callers connect anew.

mod visit;

use std::cell::{Cell, RefCell};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::watch::{Held, back_at, watch};
use crate::bench::load::Load;
use crate::bench::process::{Backends, Sample, sample, start_router};
use crate::bench::table::{Verdicts, head, micros, print, row};
use crate::fixture::Era;
use crate::harness::{Router, config};
use visit::Visits;

/// Backends behind the router.
const BACKENDS: usize = 4;

/// Of all calls, those that come in sessions.
const IN_SESSIONS: f64 = 0.25;

/// The callers connect anew so often.
const SEGMENT: Duration = Duration::from_secs(60);

/// Clients that come and go, a second. The id of an ended session is remembered until it would have
/// expired, a quarter of a KiB each: of many more, that would be all that grows.
const VISITS: f64 = 1.0;

/// What the last tenth may hold more than the first: a twentieth, and this.
const MORE: Held = Held {
    memory: 2.0 * 1024.0 * 1024.0,
    descriptors: 16.0,
    tasks: 16.0,
    sessions: 16.0,
};

/// What may stay when everybody has gone, of descriptors and tasks.
const FEW: f64 = 4.0;

/// How long and how much.
#[derive(Args, Clone, Copy, Debug)]
pub(in crate::bench) struct Soak {
    /// How long, in minutes
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// Calls per second; half of what the router is measured to do, if not given
    #[arg(long)]
    rate: Option<f64>,
}

/// Measures and judges.
pub(in crate::bench) async fn run(soak: Soak) -> ExitCode {
    let backends = Backends::start(&["--count", &BACKENDS.to_string()]).await;
    let names: Vec<_> = (0..BACKENDS).map(|i| format!("b{i}")).collect();
    let router = start_router(&config(names.iter().zip(&backends.urls)), "info").await;
    router.until_ready().await;
    let tools: Vec<_> = names.iter().map(|name| format!("{name}.echo")).collect();
    let load = Load::new(router.addr(), tools);
    // Asked for even with a given rate: what is kept from now on for speed, is no leak.
    let peak = sample(&load, Some(router.pid())).await.load.goodput();
    let rate = soak.rate.unwrap_or(peak / 2.0);
    let rest = back_at(&router, &Held::default(), 0.0, Duration::from_secs(8)).await;
    print(&format!(
        "\n{} minutes at {rate:.0} calls/s (at most {peak:.0}), {VISITS} visits/s; at rest: {}\n",
        soak.minutes,
        rest.say()
    ));
    let course = Course {
        router: &router,
        load: Load { rate, ..load },
        over: CancellationToken::new(),
        now: Cell::default(),
        calls: RefCell::default(),
        visits: Visits::default(),
    };
    let seen = course
        .run(Duration::from_secs_f64(soak.minutes * 60.0))
        .await;
    let after = back_at(&router, &rest, FEW, Duration::from_secs(30)).await;
    let mut verdicts = Verdicts::default();
    course.judge(&mut verdicts);
    judge_course(&seen, &mut verdicts);
    judge_rest(&rest, &after, &mut verdicts);
    verdicts.print()
}

/// A soak that goes on.
struct Course<'a> {
    router: &'a Router,
    load: Load,
    over: CancellationToken,
    now: Cell<Held>,
    calls: RefCell<Calls>,
    visits: Visits,
}

/// What came of the calls so far.
#[derive(Default)]
struct Calls {
    well: u64,
    failed: u64,
    first: Option<String>,
}

impl Course<'_> {
    /// Goes on for `time`; what the router held all along.
    async fn run(&self, time: Duration) -> Vec<Held> {
        // A tenth has a dozen looks, or one every ten seconds.
        let every = (time / 120).clamp(Duration::from_millis(500), Duration::from_secs(10));
        let calls = async {
            self.segments(time).await;
            self.over.cancel();
        };
        let looks = watch(self.router, every, &self.over, |held| self.now.set(held));
        let visits = self.visits.receive(self.router.addr(), VISITS, &self.over);
        let (seen, (), ()) = tokio::join!(looks, calls, visits);
        seen
    }

    async fn segments(&self, time: Duration) {
        print(&head(&[
            "minute",
            "calls/s",
            "p50",
            "p99",
            "CPU/call",
            "memory",
            "descriptors",
            "tasks",
            "sessions",
            "visits",
            "errors",
        ]));
        let start = Instant::now();
        while let Some(left) = time.checked_sub(start.elapsed()) {
            if left < Duration::from_secs(1) {
                return;
            }
            let (modern, legacy) = self.segment(left.min(SEGMENT)).await;
            self.tell(start.elapsed(), &modern, &legacy);
        }
    }

    /// Calls for `time`, in both eras at once.
    async fn segment(&self, time: Duration) -> (Sample, Sample) {
        let of = |era, part: f64| Load {
            era,
            rate: self.load.rate * part,
            warm_ms: 0,
            run_ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
            ..self.load.clone()
        };
        let (modern, legacy) = (
            of(Era::Modern, 1.0 - IN_SESSIONS),
            of(Era::Legacy, IN_SESSIONS),
        );
        let pid = Some(self.router.pid());
        tokio::join!(sample(&modern, pid), sample(&legacy, None))
    }

    fn tell(&self, at: Duration, modern: &Sample, legacy: &Sample) {
        let mut calls = self.calls.borrow_mut();
        for load in [&modern.load, &legacy.load] {
            calls.well += load.requests;
            calls.failed += load.errors + load.unanswered;
            calls.first = calls.first.take().or(load.first_error.clone());
        }
        let held = self.now.get();
        #[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
        let share = modern.load.requests as f64
            / (modern.load.requests + legacy.load.requests).max(1) as f64;
        print(&row(&[
            format!("{:.0}", at.as_secs_f64() / 60.0),
            format!("{:.0}", modern.load.goodput() + legacy.load.goodput()),
            micros(modern.load.p50_us),
            micros(modern.load.p99_us),
            // The time is that of all calls, visits included.
            format!("{:.1} µs", modern.cpu_us * share),
            format!("{:.1} MiB", held.mib()),
            held.descriptors.to_string(),
            held.tasks.to_string(),
            held.sessions.to_string(),
            self.visits.well().to_string(),
            (calls.failed + self.visits.failed()).to_string(),
        ]));
    }

    fn judge(&self, verdicts: &mut Verdicts) {
        let calls = self.calls.borrow();
        let (visits, lost) = (self.visits.well(), self.visits.failed());
        if let Some(first) = calls.first.as_ref() {
            print(&format!("\nfirst error: {first}"));
        }
        if let Some(first) = self.visits.first() {
            print(&format!("\nfirst error of a visit: {first}"));
        }
        verdicts.judge(
            calls.failed == 0 && calls.well > 0,
            format!("{} calls, {} failed (allowed: 0)", calls.well, calls.failed),
        );
        verdicts.judge(
            lost == 0 && visits > 0,
            format!("{visits} visits, {lost} failed (allowed: 0)"),
        );
    }
}

/// The last tenth against the first.
fn judge_course(seen: &[Held], verdicts: &mut Verdicts) {
    let tenth = (seen.len() / 10).max(1).min(seen.len());
    let (first, last) = (
        Held::middle(&seen[..tenth]),
        Held::middle(&seen[seen.len() - tenth..]),
    );
    let mut judge = |what: &str, first: f64, last: f64, more: f64| {
        let allowed = first * 1.05 + more;
        verdicts.judge(
            last <= allowed,
            format!("{what}: {first:.1} in the first tenth, {last:.1} in the last (allowed: {allowed:.1})"),
        );
    };
    judge("memory, MiB", first.mib(), last.mib(), MORE.mib());
    judge(
        "descriptors",
        first.descriptors,
        last.descriptors,
        MORE.descriptors,
    );
    judge("tasks", first.tasks, last.tasks, MORE.tasks);
    judge("sessions", first.sessions, last.sessions, MORE.sessions);
}

/// What is left when everybody has gone.
fn judge_rest(rest: &Held, after: &Held, verdicts: &mut Verdicts) {
    verdicts.judge(
        after.tasks <= rest.tasks + FEW && after.descriptors <= rest.descriptors + FEW,
        format!(
            "at rest before: {}; after: {} (allowed: {FEW} more)",
            rest.say(),
            after.say()
        ),
    );
}
