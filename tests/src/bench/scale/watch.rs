//! What a router holds, looked at again and again.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::bench::table::median;
use crate::harness::{Router, usage};

/// What it holds at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Held {
    /// Resident memory, bytes.
    pub(super) memory: f64,
    /// Open file descriptors.
    pub(super) descriptors: f64,
    /// Tasks of its runtime, as `/metrics` counts them.
    pub(super) tasks: f64,
    /// Sessions of clients, as `/metrics` counts them.
    pub(super) sessions: f64,
}

impl Held {
    /// What `router` holds now.
    ///
    /// # Panics
    /// If it does not answer, or not with all of them.
    pub(super) async fn of(router: &Router) -> Self {
        let metrics = router.metrics().await;
        let number = |name: &str| {
            let mut lines = metrics.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            let value = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
            value.unwrap_or_else(|| panic!("the router says nothing of {name}"))
        };
        #[expect(clippy::cast_precision_loss, reason = "memory of one process is small")]
        let memory = usage(router.pid()).rss as f64;
        Self {
            memory,
            descriptors: number("process_open_fds"),
            tasks: number("mcp_router_tasks"),
            sessions: number("mcp_router_sessions"),
        }
    }

    /// The middle of each number on its own.
    pub(super) fn middle(all: &[Self]) -> Self {
        let of = |number: fn(&Self) -> f64| median(all.iter().map(number).collect());
        Self {
            memory: of(|held| held.memory),
            descriptors: of(|held| held.descriptors),
            tasks: of(|held| held.tasks),
            sessions: of(|held| held.sessions),
        }
    }

    /// In words.
    pub(super) fn say(&self) -> String {
        format!(
            "{:.1} MiB, {} descriptors, {} tasks",
            self.mib(),
            self.descriptors,
            self.tasks
        )
    }

    pub(super) fn mib(&self) -> f64 {
        self.memory / f64::from(1 << 20)
    }
}

/// Looks every `every` until `over`; everything that was seen.
pub(super) async fn watch(
    router: &Router,
    every: Duration,
    over: &CancellationToken,
    mut each: impl FnMut(Held),
) -> Vec<Held> {
    let mut looks = interval(every);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = Vec::new();
    loop {
        tokio::select! {
            () = over.cancelled() => return seen,
            _ = looks.tick() => {
                let held = Held::of(router).await;
                seen.push(held);
                each(held);
            }
        }
    }
}

/// Waits until `router` holds no more than `rest` and a few, for `patience` at most: what it held
/// last. Pools close what is idle after seconds.
pub(super) async fn back_at(router: &Router, rest: &Held, few: f64, patience: Duration) -> Held {
    let start = Instant::now();
    loop {
        let held = Held::of(router).await;
        let back = held.tasks <= rest.tasks + few && held.descriptors <= rest.descriptors + few;
        if back || start.elapsed() > patience {
            return held;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_taken_of_each_number_alone() {
        let held = |memory, tasks| Held {
            memory,
            tasks,
            ..Held::default()
        };

        let middle = Held::middle(&[held(1.0, 9.0), held(2.0, 8.0), held(3.0, 1.0)]);

        assert_eq!(middle, held(2.0, 8.0));
    }
}
