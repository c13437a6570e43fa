//! Memory that has stopped moving.

use std::time::Duration;

/// A figure that stays within this has stopped.
const STILL: u64 = 64 << 10;

/// How often it is looked at, and how long it has to stay: longer than the five seconds that
/// closing an upstream session may take.
const EVERY: Duration = Duration::from_millis(200);
const STAYS: usize = 30;

/// Looks before the last figure is taken as it is.
const LOOKS: usize = 150;

/// What one process has in memory, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Memory {
    pub(super) resident: u64,
    /// Without pages of files, which the program itself is.
    pub(super) anonymous: u64,
}

/// Memory of `pid` once it has been the same for six seconds, or after thirty.
pub(super) async fn settled(pid: u32) -> Memory {
    let (mut last, mut still) = (Memory::default(), 0);
    for _ in 0..LOOKS {
        let now = memory(pid);
        if now.resident.abs_diff(last.resident) <= STILL {
            still += 1;
        } else {
            (last, still) = (now, 0);
        }
        if still == STAYS {
            return now;
        }
        tokio::time::sleep(EVERY).await;
    }
    last
}

fn memory(pid: u32) -> Memory {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"));
    let text = text.expect("the router runs");
    Memory {
        resident: field(&text, "VmRSS:"),
        anonymous: field(&text, "RssAnon:"),
    }
}

/// A field of `/proc/PID/status`, in bytes.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.expect("the kernel tells it") << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        let text = "VmPeak:\t  10 kB\nVmRSS:\t   12 kB\nRssAnon:\t    4 kB\n";

        assert_eq!(field(text, "VmRSS:"), 12 << 10);
        assert_eq!(field(text, "RssAnon:"), 4 << 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_does_nothing_has_settled() {
        let memory = settled(std::process::id()).await;

        assert!(memory.resident > memory.anonymous && memory.anonymous > 0);
    }
}
