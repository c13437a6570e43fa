//! What a number of calls costs a process.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::program::{Running, Stack};

/// Calls before counting starts, to fill pools and caches.
const WARM: u64 = 500;

/// Calls that are counted: instructions are exact, user time comes in ticks of 10 ms.
const CALLS: u64 = 4_000;
const CALLS_BY_TIME: u64 = 40_000;

/// How cost is counted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counter {
    Valgrind,
    UserTime,
}

impl Counter {
    /// The best there is on this machine.
    pub(super) fn find() -> Self {
        let there = |program| {
            let shown = Command::new(program).arg("--version").output();
            shown.is_ok_and(|shown| shown.status.success())
        };
        if there("valgrind") && there("callgrind_control") {
            Self::Valgrind
        } else {
            Self::UserTime
        }
    }

    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Valgrind => "instructions counted by valgrind",
            Self::UserTime => "user time, for want of valgrind: too coarse to rely on",
        }
    }

    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Valgrind => "instructions",
            Self::UserTime => "ns",
        }
    }

    /// What a call costs.
    pub(super) async fn per_call(self, stack: &Stack) -> f64 {
        match self {
            Self::Valgrind => instructions(stack).await,
            Self::UserTime => user_time(stack).await,
        }
    }
}

async fn instructions(stack: &Stack) -> f64 {
    let folder = TempDir::new().expect("a temporary folder");
    let report = folder.path().join("report");
    let log = format!("--log-file={}", report.display());
    // The profile itself is of no interest, its total is.
    let wrapper = [
        "valgrind",
        "--tool=callgrind",
        "--instr-atstart=no",
        "--callgrind-out-file=/dev/null",
        &log,
    ];
    let running = Running::start(stack, &wrapper).await;
    running.serve(WARM).await;
    switch(running.pid(), "on");
    running.serve(CALLS).await;
    switch(running.pid(), "off");
    running.end().await;
    each(collected(&report), CALLS)
}

/// Starts or stops counting in a process under valgrind.
fn switch(pid: u32, to: &str) {
    let done = Command::new("callgrind_control")
        .arg(format!("--instr={to}"))
        .arg(pid.to_string())
        .output();
    let text = done.map(|done| String::from_utf8_lossy(&done.stdout).into_owned());
    // It says so also by its exit code only when it cannot be started at all.
    assert!(
        text.as_ref().is_ok_and(|text| text.contains("OK")),
        "valgrind does not listen: {text:?}"
    );
}

async fn user_time(stack: &Stack) -> f64 {
    let running = Running::start(stack, &[]).await;
    running.serve(WARM).await;
    let before = user_ns(running.pid());
    running.serve(CALLS_BY_TIME).await;
    let after = user_ns(running.pid());
    running.end().await;
    each(after.saturating_sub(before), CALLS_BY_TIME)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn each(cost: u64, calls: u64) -> f64 {
    cost as f64 / calls as f64
}

/// The total in callgrind's report: `==1== Collected : 123`.
fn collected(report: &Path) -> u64 {
    let text = std::fs::read_to_string(report).unwrap_or_default();
    let total = text
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, total)| total.trim().parse().ok());
    total.unwrap_or_else(|| panic!("no total in valgrind's report:\n{text}"))
}

/// User time of a process so far, nanoseconds, in ticks of a hundredth of a second.
fn user_ns(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Fields are counted after the name, which is in parentheses and may hold anything.
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = rest
        .split_whitespace()
        .nth(11)
        .and_then(|ticks| ticks.parse().ok())
        .unwrap_or(0);
    ticks * 10_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_from_valgrinds_report() {
        let folder = TempDir::new().expect("a temporary folder");
        let report = folder.path().join("report");
        let text = "==7== Events    : Ir\n==7== Collected : 1234567\n==7== \n";
        std::fs::write(&report, text).expect("a writable folder");

        assert_eq!(collected(&report), 1_234_567);
    }

    #[test]
    fn user_time_is_read_from_the_right_field() {
        let begin = std::time::Instant::now();
        while user_ns(std::process::id()) < 50_000_000 && begin.elapsed().as_secs() < 20 {
            std::hint::spin_loop();
        }

        assert!(user_ns(std::process::id()) >= 50_000_000);
    }
}
