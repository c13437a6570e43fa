//! CPU time of a process tree, to the nanosecond.
//!
//! `/proc/PID/stat` counts in ticks of 10 ms, which is per cents of a measurement of two seconds.
//! The scheduler's own figures for each thread are exact.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use crate::harness::{descendants, usage};

/// What a process tree has used up to a moment.
#[derive(Debug, Default)]
pub(super) struct CpuTime {
    /// Nanoseconds by thread.
    threads: HashMap<u32, u64>,
    /// The same of the whole tree in ticks, which remember threads that have ended.
    ticks: Duration,
}

impl CpuTime {
    /// User and system time of `pid` and everything below it until now.
    pub(super) fn of(pid: u32) -> Self {
        let mut threads = HashMap::new();
        for pid in std::iter::once(pid).chain(descendants(pid)) {
            let tasks = fs::read_dir(format!("/proc/{pid}/task"));
            for task in tasks.into_iter().flatten().flatten() {
                let thread = task.file_name().to_str().and_then(|id| id.parse().ok());
                let spent = fs::read_to_string(task.path().join("schedstat")).ok();
                if let (Some(thread), Some(spent)) = (thread, spent.as_deref().and_then(first)) {
                    threads.insert(thread, spent);
                }
            }
        }
        Self {
            threads,
            ticks: usage(pid).cpu,
        }
    }

    /// What was used since `before`; by ticks if the scheduler tells nothing, or if they show more
    /// than they can be wrong by: then a thread has ended and taken its figure along.
    pub(super) fn since(&self, before: &Self) -> Duration {
        let each = self.threads.iter().map(|(id, now)| {
            let then = before.threads.get(id).copied().unwrap_or(0);
            now.saturating_sub(then)
        });
        let exact = Duration::from_nanos(each.sum());
        let ticks = self.ticks.saturating_sub(before.ticks);
        if ticks > exact + ROUNDING {
            ticks
        } else {
            exact
        }
    }
}

/// User and system time are cut to ticks of 10 ms each.
const ROUNDING: Duration = Duration::from_millis(20);

/// Time on the CPU: the first field of `schedstat`.
fn first(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Threads of other tests come and go in this process: what is lost with them is at most what ticks
    /// can be wrong by.
    #[test]
    fn a_busy_thread_shows_and_a_thread_that_ended_is_not_lost() {
        let own = std::process::id();
        // However busy the machine is: until the kernel has counted so much.
        let burn = move |time| {
            let begin = usage(own).cpu;
            while usage(own).cpu < begin + time {
                std::hint::spin_loop();
            }
        };
        let time = 4 * ROUNDING;
        let before = CpuTime::of(own);

        burn(time);
        let alone = CpuTime::of(own);
        let thread = std::thread::spawn(move || burn(time));
        thread.join().expect("it burns");

        assert!(alone.since(&before) >= time / 2);
        assert!(CpuTime::of(own).since(&alone) >= time / 2);
    }

    #[test]
    fn ticks_count_where_a_thread_has_gone() {
        let reading = |threads: &[(u32, u64)], ms| CpuTime {
            threads: threads.iter().copied().collect(),
            ticks: Duration::from_millis(ms),
        };
        let before = reading(&[(1, 100), (2, 100)], 10);

        let both = reading(&[(1, 150), (2, 100), (3, 7)], 30).since(&before);
        let one = reading(&[(1, 150)], 60).since(&before);

        assert_eq!(both, Duration::from_nanos(57));
        assert_eq!(one, Duration::from_millis(50));
    }
}
