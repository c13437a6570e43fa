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
    // The start leaves something, too.
    let (mut most, mut left) = (0, TIMES);
    while stop.run_until_cancelled(looks.tick()).await.is_some() {
        let open = service.sessions().open;
        if open + MANY <= most {
            (most, left) = (open, TIMES);
        }
        most = most.max(open);
        if left > 0 {
            left -= 1;
            give_back();
        }
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
