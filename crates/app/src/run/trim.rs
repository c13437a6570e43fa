//! Gives memory back that was needed for a while.
//!
//! Without this, a router that had ten thousand sessions in the morning holds their memory all
//! night: the allocator gives back what is free when somebody allocates, a while after it became
//! free, and then nobody does.

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use mcp_router_transport::server::HttpService;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often the number of sessions is looked at: twice the time for which the allocator keeps
/// what has become free.
const EVERY: Duration = Duration::from_secs(2);

/// Sessions that are worth it.
const MANY: usize = 64;

/// How often memory is given back when sessions have gone: what became free last is kept at first.
const TIMES: usize = 2;

/// Gives memory back after the start, and whenever many sessions have gone, until `stop`.
pub(super) async fn trim(service: HttpService, stop: CancellationToken) {
    let mut looks = interval(EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks.tick().await; // the first is at once
    let mut mark = Mark::default();
    while stop.run_until_cancelled(looks.tick()).await.is_some() {
        if mark.look(service.sessions().open) {
            give_back();
        }
    }
}

/// How many sessions there were at most since memory was last given back.
#[derive(Debug)]
struct Mark {
    most: usize,
    /// How often it is still to be given back.
    left: usize,
}

impl Default for Mark {
    fn default() -> Self {
        // The start leaves something, too.
        Self {
            most: 0,
            left: TIMES,
        }
    }
}

impl Mark {
    /// Whether memory is to be given back now that so many are open.
    fn look(&mut self, open: usize) -> bool {
        if open + MANY <= self.most {
            *self = Self {
                most: open,
                left: TIMES,
            };
        }
        self.most = self.most.max(open);
        let now = self.left > 0;
        self.left -= usize::from(now);
        now
    }
}

/// The end of a thread is when the allocator gives back what has been free for a while, in
/// whatever thread. To ask it directly takes code that is not checked for safety.
fn give_back() {
    let passing = thread::Builder::new().name("mcp-router-trim".to_owned());
    // Only a thread that has allocated counts.
    let begun = passing.spawn(|| drop(black_box(Vec::<u8>::with_capacity(64))));
    if let Err(error) = begun {
        tracing::debug!(%error, "no thread to give memory back");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(mark: &mut Mark, open: &[usize]) -> Vec<bool> {
        open.iter().map(|&open| mark.look(open)).collect()
    }

    #[test]
    fn memory_is_given_back_after_the_start_and_not_for_nothing() {
        let mut mark = Mark::default();
        assert_eq!(looks(&mut mark, &[0, 0, 0, 0]), [true, true, false, false]);
        // Sessions that come, and a few that go.
        let some = [1000, 2000, 2000 - MANY + 1, 2000];
        assert_eq!(looks(&mut mark, &some), [false; 4]);
    }

    #[test]
    fn memory_is_given_back_each_time_that_many_sessions_have_gone() {
        let mut mark = Mark::default();
        looks(&mut mark, &[0, 0]);
        for _ in 0..3 {
            let gone = looks(&mut mark, &[1000, 1000 - MANY, 0, 0, 0]);
            assert_eq!(gone, [false, true, true, true, false]);
        }
        // Little by little is as good as at once.
        looks(&mut mark, &[100]);
        let slowly: Vec<_> = (0..=100).rev().collect();
        assert!(looks(&mut mark, &slowly).contains(&true));
    }
}
