//! What `/proc` says about a program and its children.

use std::collections::HashMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

/// What a process tree has used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system time of the living processes and of their reaped children.
    pub cpu: Duration,
    /// Resident memory now, bytes.
    pub rss: u64,
    /// Sum of each process' highest resident memory, bytes.
    pub peak_rss: u64,
}

/// What `pid` and everything below it have used; zero for what has ended.
#[must_use]
pub fn usage(pid: u32) -> Usage {
    let mut sum = Usage::default();
    for pid in std::iter::once(pid).chain(descendants(pid)) {
        sum.cpu += cpu(pid).unwrap_or_default();
        let (rss, peak) = memory(pid).unwrap_or_default();
        sum.rss += rss;
        sum.peak_rss += peak;
    }
    sum
}

/// Every living process below `pid`.
#[must_use]
pub fn descendants(pid: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for child in entries.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok()) {
        if let Some(parent) = stat(child).and_then(|fields| fields.get(1)?.parse().ok()) {
            children.entry(parent).or_default().push(child);
        }
    }
    let mut found = Vec::new();
    let mut next = vec![pid];
    while let Some(pid) = next.pop() {
        let below = children.remove(&pid).unwrap_or_default();
        found.extend(&below);
        next.extend(below);
    }
    found
}

/// Whether the process exists and is no zombie.
#[must_use]
pub fn alive(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| fields.first().is_some_and(|state| state != "Z"))
}

/// Sends a signal such as `TERM` to one process.
///
/// # Panics
/// If there is no `kill` program.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .status();
    assert!(status.is_ok(), "kill cannot be run");
}

/// The fields of `/proc/PID/stat` after the program's name: state, parent, …
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may hold anything, parentheses included.
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn cpu(pid: u32) -> Option<Duration> {
    // The kernel counts in ticks of 10 ms on every Linux that Rust supports.
    let fields = stat(pid)?;
    let ticks: u64 = fields
        .get(11..15)?
        .iter()
        .filter_map(|f| f.parse::<u64>().ok())
        .sum();
    Some(Duration::from_millis(ticks * 10))
}

fn memory(pid: u32) -> Option<(u64, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib * 1024)
    };
    Some((field("VmRSS:")?, field("VmHWM:")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_finds_itself_and_its_child() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep");
        let own = std::process::id();

        assert!(descendants(own).contains(&child.id()));
        assert!(alive(child.id()));
        assert!(usage(own).rss > usage(child.id()).rss);
        signal(child.id(), "KILL");
        child.wait().expect("reaped");
        assert!(!alive(child.id()));
    }
}
