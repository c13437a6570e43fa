//! On what the figures were taken, and which core does what.

use std::fs;
use std::process::Command;

/// Moves this process, and so whatever it starts, to core 1. Nothing happens where cores cannot be
/// given out.
pub(super) fn pin_self() {
    // Before any thread is started: the mask is a thread's own.
    let pid = std::process::id().to_string();
    let _ = output("taskset", &["-cp", "1", &pid]);
}

/// What starts a program on core 0; empty where cores cannot be given out.
pub(super) fn on_core_0() -> &'static [&'static str] {
    if pinned() {
        &["taskset", "-c", "0"]
    } else {
        &[]
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
