//! On what the figures were taken, and which core does what.

use std::fs;
use std::process::Command;

use super::table;

/// Moves this process, and so whatever it starts, to core 1. Nothing happens where cores cannot be
/// given out.
pub(super) fn pin_self() {
    move_self("1");
}

/// The same for any cores, as `taskset` names them; whether that is done.
pub(super) fn move_self(cores: &str) -> bool {
    // There is one thread: the mask is a thread's own.
    let pid = std::process::id().to_string();
    output("taskset", &["-cp", cores, &pid]).is_some()
}

/// Lets this process, and what it starts but for what is measured or in the way, go before all
/// others, so that who is on its core does not make it tell times that are its own waiting. Says
/// so, or that nobody may.
pub(super) fn go_first() {
    let pid = std::process::id().to_string();
    let may = output("chrt", &["-r", "-p", "5", &pid]).is_some();
    table::print(match may {
        true => "callers and backends go before others on their core (chrt): yes",
        false => {
            "callers and backends go before others on their core (chrt): no, so times say less"
        }
    });
}

/// What starts a program on core 0, with the usual priority; empty where cores cannot be given out.
pub(super) fn on_core_0() -> &'static [&'static str] {
    match (pinned(), goes_first()) {
        (true, true) => &["taskset", "-c", "0", "chrt", "-o", "0"],
        (true, false) => &["taskset", "-c", "0"],
        (false, true) => as_usual(),
        (false, false) => &[],
    }
}

/// What starts a program with the usual priority, whatever this one has.
pub(super) fn as_usual() -> &'static [&'static str] {
    match goes_first() {
        true => &["chrt", "-o", "0"],
        false => &[],
    }
}

/// What starts a program on all cores, whatever this process was moved to; empty where cores
/// cannot be given out.
pub(super) fn on_all_cores() -> Vec<String> {
    let all = format!("0-{}", cores().saturating_sub(1));
    match pinned() {
        true => vec!["taskset".to_owned(), "-c".to_owned(), all],
        false => Vec::new(),
    }
}

/// Cores of the machine.
pub(super) fn cores() -> usize {
    fs::read_to_string("/proc/cpuinfo").map_or(0, |text| {
        text.lines().filter(|l| l.starts_with("processor")).count()
    })
}

/// Whether [`pin_self`] has done its work.
fn pinned() -> bool {
    status_field("Cpus_allowed_list:").is_some_and(|list| list == "1")
}

/// Whether [`go_first`] has done its work.
fn goes_first() -> bool {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The 41st field is the policy, and the second ends with the only parenthesis that counts.
    let policy = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.split(' ').nth(39));
    policy == Some("2")
}

/// Machine, kernel and versions, as a few lines.
pub(super) fn describe() -> String {
    let unknown = || "unknown".to_owned();
    let cpu = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let cores = cores();
    let kernel = output("uname", &["-sr"]);
    let rustc = output("rustc", &["--version"]);
    let commit = output("git", &["rev-parse", "--short", "HEAD"]);
    format!(
        "{}, {cores} cores, {}\n{}, {}, commit {}\nrouter on its own core: {}",
        cpu.unwrap_or_else(unknown),
        kernel.unwrap_or_else(unknown),
        rustc.unwrap_or_else(unknown),
        nginx_version().unwrap_or_else(|| "no nginx".to_owned()),
        commit.unwrap_or_else(unknown),
        if pinned() { "yes" } else { "no" },
    )
}

/// `nginx/1.22.1`, if there is one.
pub(super) fn nginx_version() -> Option<String> {
    let shown = Command::new("nginx").arg("-v").output().ok()?;
    let text = String::from_utf8_lossy(&shown.stderr).into_owned();
    Some(text.split_once(':')?.1.trim().to_owned())
}

fn output(program: &str, args: &[&str]) -> Option<String> {
    let done = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8_lossy(&done.stdout).trim().to_owned();
    done.status.success().then_some(text)
}

fn status_field(name: &str) -> Option<String> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().to_owned())
}
