//! Reads `/proc`.

use std::fs;
use std::path::Path;

/// Ticks of the kernel's clock a second, as it shows them to programs: 100 wherever Rust runs.
const TICKS: f64 = 100.0;

/// A line of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stat {
    pub(super) pid: u32,
    pub(super) parent: u32,
    /// Processor time, in ticks.
    pub(super) ticks: u64,
    /// That of children that have ended and were waited for.
    pub(super) children_ticks: u64,
    pub(super) threads: u64,
    /// When it began, in ticks after the machine.
    pub(super) start: u64,
}

impl Stat {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let pid = text.split(' ').next()?.parse().ok()?;
        // The program's name may hold anything, also blanks and parentheses.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<_> = rest.split_ascii_whitespace().collect();
        // As in the manual, where the state is the third field.
        let number = |at: usize| fields.get(at - 3)?.parse::<u64>().ok();
        Some(Self {
            pid,
            parent: u32::try_from(number(4)?).ok()?,
            ticks: number(14)? + number(15)?,
            children_ticks: number(16)? + number(17)?,
            threads: number(20)?,
            start: number(22)?,
        })
    }
}

/// Every process that can be seen. One that ends meanwhile is left out.
pub(super) fn all(proc: &Path) -> Vec<Stat> {
    let Ok(entries) = fs::read_dir(proc) else {
        return Vec::new();
    };
    let numbered = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
    });
    let read = |dir: &Path| {
        // Names of programs need not be text.
        let line = fs::read(dir.join("stat")).ok()?;
        Stat::parse(&String::from_utf8_lossy(&line))
    };
    numbered.filter_map(|entry| read(&entry.path())).collect()
}

/// A size in `/proc/PID/status`, in bytes.
pub(super) fn status(dir: &Path, name: &str) -> Option<f64> {
    let text = fs::read(dir.join("status")).ok()?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib = line.strip_prefix(':')?.trim().strip_suffix(" kB")?;
    let kib: f64 = kib.parse().ok()?;
    Some(kib * 1024.0)
}

/// When the machine was started, in seconds since 1970.
pub(super) fn booted(proc: &Path) -> Option<f64> {
    let text = fs::read_to_string(proc.join("stat")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

pub(super) fn seconds(ticks: u64) -> f64 {
    ticks as f64 / TICKS
}
