//! What the process and its children cost: memory, processor time, descriptors, threads.
//!
//! A backend that is a command eats from the same container as the router. Counted without it, the
//! router looks small until the kernel kills it. So memory and processor time are those of the whole
//! tree of processes, and the part of the children stands beside them.
//!
//! The numbers come from `/proc`; where there is none, they are missing from the page.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::family::{
    CHILDREN, CHILDREN_CPU, CHILDREN_MEMORY, PROCESS_CPU, PROCESS_MAX_FDS, PROCESS_MEMORY,
    PROCESS_OPEN_FDS, PROCESS_START_TIME, PROCESS_THREADS, PROCESS_VIRTUAL_MEMORY,
};
use super::page::{Page, Source};

mod stat;

use stat::Stat;

/// Looking through all processes takes its time, so whoever looks again sooner sees the same.
const FRESH: Duration = Duration::from_millis(500);

/// The most descendants that are looked at.
const MAX_DESCENDANTS: usize = 4_096;

/// Measures this process and those below it.
#[derive(Debug)]
pub struct Process {
    proc: PathBuf,
    own: u32,
    last: Mutex<Option<(Instant, Sample)>>,
    /// Processor time of the children so far, in ticks: whoever ended with nobody to wait for it
    /// takes its time out of the sum, and a counter must not fall.
    children: AtomicU64,
}

/// The numbers of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sample {
    cpu: f64,
    memory: f64,
    virtual_memory: Option<f64>,
    open_fds: Option<f64>,
    max_fds: Option<f64>,
    threads: f64,
    start: Option<f64>,
    children: f64,
    children_memory: f64,
    children_cpu: f64,
}

impl Process {
    /// This process.
    pub fn this() -> Self {
        Self::of(Path::new("/proc"), std::process::id())
    }

    fn of(proc: &Path, own: u32) -> Self {
        Self {
            proc: proc.to_owned(),
            own,
            last: Mutex::default(),
            children: AtomicU64::new(0),
        }
    }

    /// The lock is this page's own: no call comes here.
    fn sample(&self) -> Option<Sample> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = last.filter(|(at, _)| at.elapsed() < FRESH);
        if let Some((_, sample)) = fresh {
            return Some(sample);
        }
        let sample = self.measure()?;
        *last = Some((Instant::now(), sample));
        Some(sample)
    }

    fn measure(&self) -> Option<Sample> {
        let all = stat::all(&self.proc);
        let own = all.iter().find(|stat| stat.pid == self.own)?;
        let below = descendants(&all, self.own);
        let dir = self.dir(self.own);
        let ended = own.children_ticks;
        let running: u64 = below.iter().map(|s| s.ticks + s.children_ticks).sum();
        let before = self.children.fetch_max(ended + running, Ordering::Relaxed);
        let children_ticks = before.max(ended + running);
        let memory = |pid| stat::status(&self.dir(pid), "VmRSS").unwrap_or(0.0);
        let children_memory = below.iter().map(|stat| memory(stat.pid)).sum();
        Some(Sample {
            cpu: stat::seconds(own.ticks + children_ticks),
            memory: memory(self.own) + children_memory,
            virtual_memory: stat::status(&dir, "VmSize"),
            open_fds: open_fds(&dir),
            max_fds: max_fds(&dir),
            threads: own.threads as f64,
            start: stat::booted(&self.proc).map(|boot| boot + stat::seconds(own.start)),
            children: below.len() as f64,
            children_memory,
            children_cpu: stat::seconds(children_ticks),
        })
    }

    fn dir(&self, pid: u32) -> PathBuf {
        self.proc.join(pid.to_string())
    }
}

/// The processes below `root`, itself not among them.
fn descendants(all: &[Stat], root: u32) -> Vec<&Stat> {
    let mut by_parent: HashMap<u32, Vec<&Stat>> = HashMap::new();
    for stat in all {
        by_parent.entry(stat.parent).or_default().push(stat);
    }
    let mut found: Vec<&Stat> = by_parent.remove(&root).unwrap_or_default();
    let mut next = 0;
    while next < found.len() && found.len() < MAX_DESCENDANTS {
        let below = by_parent.remove(&found[next].pid);
        found.extend(below.unwrap_or_default());
        next += 1;
    }
    found
}

fn open_fds(dir: &Path) -> Option<f64> {
    // The one that lists them is among them.
    let count = fs::read_dir(dir.join("fd")).ok()?.count();
    Some(count.saturating_sub(1) as f64)
}

fn max_fds(dir: &Path) -> Option<f64> {
    let limits = fs::read_to_string(dir.join("limits")).ok()?;
    let line = limits
        .lines()
        .find_map(|l| l.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

impl Source for Process {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let Some(now) = self.sample() else {
            return Ok(());
        };
        page.one(&CHILDREN, now.children)?;
        page.one(&CHILDREN_MEMORY, now.children_memory)?;
        page.one(&CHILDREN_CPU, now.children_cpu)?;
        page.one(&PROCESS_CPU, now.cpu)?;
        page.one(&PROCESS_MEMORY, now.memory)?;
        page.one(&PROCESS_THREADS, now.threads)?;
        for (family, number) in [
            (&PROCESS_VIRTUAL_MEMORY, now.virtual_memory),
            (&PROCESS_OPEN_FDS, now.open_fds),
            (&PROCESS_MAX_FDS, now.max_fds),
            (&PROCESS_START_TIME, now.start),
        ] {
            if let Some(number) = number {
                page.one(family, number)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
