//! What the router holds in memory: at rest, for each session, and when the sessions are gone.
//!
//! Resident memory is what a machine has to have. Allocators give back late what they have no use
//! for, so each figure is taken when it has stopped moving.

mod rest;
mod sessions;

use std::process::ExitCode;

use self::rest::settled;
use self::sessions::Sessions;
use super::Options;
use super::process::{Backends, Logged};
use super::table::{Verdicts, head, mib, print, row};

/// Backends behind the router.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// What a router with these may hold when nobody calls it.
const IDLE: u64 = 12 << 20;

/// What of the memory of sessions may be left when they are deleted.
const LEFT: f64 = 0.05;

/// Whose upstream sessions a client's calls use, and what a session may cost.
struct Scenario {
    name: &'static str,
    /// How many of the backends have one for each session. It is opened with the session.
    own: usize,
    limit: Option<u64>,
}

const SCENARIOS: [Scenario; 3] = [
    Scenario {
        name: "shared upstreams",
        own: 0,
        limit: Some(20 << 10),
    },
    Scenario {
        name: "own upstream at one backend",
        own: 1,
        limit: Some(40 << 10),
    },
    // Four of everything: shown, because nobody can say what it should be.
    Scenario {
        name: "own upstreams at four backends",
        own: 4,
        limit: None,
    },
];

/// Measures and judges all of it.
pub(super) async fn run(options: &Options) -> ExitCode {
    // With a handshake: only such backends have sessions.
    let backends = Backends::start(&["--count", "4", "--era", "legacy"]).await;
    print(&format!(
        "\n{} backends; {} sessions over HTTP of 2025-11-25\n",
        NAMES.len(),
        options.sessions
    ));
    print(&head(&[
        "router",
        "state",
        "resident",
        "of it anonymous",
        "per session",
    ]));
    let mut verdicts = Verdicts::default();
    for scenario in SCENARIOS.iter().filter(|s| options.wants(s.name)) {
        measure(scenario, &backends, options, &mut verdicts).await;
    }
    verdicts.print()
}

/// From a fresh router to one whose sessions have come and gone twice.
async fn measure(
    scenario: &Scenario,
    backends: &Backends,
    options: &Options,
    verdicts: &mut Verdicts,
) {
    let name = scenario.name;
    let router = Logged::start(&file(scenario, backends), "info", &NAMES).await;
    let show = async |state: &str, before: Option<u64>| {
        let now = settled(router.pid).await;
        let each = before.map(|before| now.resident.saturating_sub(before) / options.sessions);
        print(&row(&[
            name.to_owned(),
            state.to_owned(),
            format!("{:.1} MiB", mib(now.resident)),
            format!("{:.1} MiB", mib(now.anonymous)),
            each.map_or("–".to_owned(), |bytes| format!("{:.1} KiB", kib(bytes))),
        ]));
        (now.resident, each.unwrap_or(0))
    };
    let (idle, _) = show("at rest", None).await;
    verdicts.judge(
        idle <= IDLE,
        format!("{name}: {:.1} MiB at rest (allowed: 12)", mib(idle)),
    );
    // What is made at first use, and pages of the program, are not the sessions'.
    Sessions::open(&router, 100).await.delete().await;
    let (before, _) = show("after 100 sessions", None).await;
    let sessions = Sessions::open(&router, options.sessions).await;
    let (full, each) = show("all open", Some(before)).await;
    if let Some(limit) = scenario.limit {
        verdicts.judge(
            each <= limit,
            format!(
                "{name}: {:.1} KiB a session (allowed: {})",
                kib(each),
                limit >> 10
            ),
        );
    }
    sessions.delete().await;
    let (after, _) = show("all deleted", None).await;
    let left = share(after.saturating_sub(before), full.saturating_sub(before));
    verdicts.judge(
        left <= LEFT,
        format!(
            "{name}: {:.1} % of the sessions' memory is left when they are deleted (allowed: 5)",
            left * 100.0
        ),
    );
    let sessions = Sessions::open(&router, options.sessions).await;
    sessions.delete().await;
    let (again, _) = show("opened and deleted again", None).await;
    let more = share(again.saturating_sub(after), full.saturating_sub(before));
    verdicts.judge(
        more <= LEFT,
        format!(
            "{name}: {:.1} % more when that is done again (allowed: 5)",
            more * 100.0
        ),
    );
}

fn file(scenario: &Scenario, backends: &Backends) -> String {
    let each = NAMES.iter().zip(&backends.urls).enumerate();
    let entries = each.map(|(number, (name, url))| {
        let own = number < scenario.own;
        let session = if own { "per_client" } else { "shared" };
        format!("  - {{ name: {name}, namespace: {name}, url: \"{url}\", session: {session} }}\n")
    });
    format!("backends:\n{}", entries.collect::<String>())
}

#[expect(clippy::cast_precision_loss, reason = "memory of one session is small")]
fn kib(bytes: u64) -> f64 {
    bytes as f64 / 1024.0
}

#[expect(clippy::cast_precision_loss, reason = "memory of one process is small")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}
