//! What the parts of a running router share: the backends, the snapshot, the news.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use mcp_router_observe::metrics::Meters;
use mcp_router_observe::recent::RecentCalls;
use mcp_router_routing::Strategy;
use mcp_router_service::seal::Sealer;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backend::Cell;
use crate::bridge::Bridge;
use crate::catalogue::{Snapshot, merge};
use crate::fleet::{Fleet, Held, Successors};
use crate::links::Links;
use crate::listing::Bounds;
use crate::manager::Manager;
use crate::status::BackendStatus;
use crate::strategy::Custom;
use crate::subscriptions::Readers;

/// A merge that takes no longer is made at once: those of some hundred tools.
const SMALL_MERGE: Duration = Duration::from_millis(2);

/// The longest that news may wait for others, to be merged together.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// What an operator may set; see [`RouterBuilder`](crate::RouterBuilder).
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) server_name: String,
    pub(crate) server_version: String,
    pub(crate) namespaces: bool,
    /// Whether every client gets names that model APIs accept.
    pub(crate) fitted: bool,
    pub(crate) stale_ttl: Duration,
    pub(crate) cache_ttl: Duration,
    pub(crate) startup_wait: Duration,
    pub(crate) page_size: usize,
    pub(crate) bounds: Bounds,
    /// The strategy of tools that no route is for.
    pub(crate) default: Strategy,
    /// A strategy of the embedder's own, instead of all others.
    pub(crate) strategy: Option<Custom>,
    /// Who changes the router, where anybody can.
    pub(crate) manager: Option<Arc<dyn Manager>>,
}

pub(crate) struct Hub {
    /// What is merged into the next snapshot. Requests look at the snapshot alone.
    pub(crate) fleet: ArcSwap<Fleet>,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) cursors: Sealer,
    /// Who gave which link to whom, without namespaces.
    pub(crate) links: Links,
    /// What seals the ids of tasks.
    pub(crate) tasks: Sealer,
    pub(crate) bridge: Bridge,
    /// Counts the calls.
    pub(crate) meters: Meters,
    /// The calls that ended last, where they are noted.
    pub(crate) recent: Option<Arc<RecentCalls>>,
    /// How often each merged list has changed: tools, prompts, resources. Streams of changes
    /// compare; nothing queues.
    pub(crate) changes: watch::Sender<Changes>,
    /// How often the merged lists or those who serve their items have changed.
    pub(crate) version: AtomicU64,
    /// Who hears of log messages that belong to no call.
    pub(crate) readers: Readers,
    ready: watch::Sender<bool>,
    pub(crate) draining: CancellationToken,
    /// Stops the supervisors.
    pub(crate) stop: CancellationToken,
    /// How to close each backend that was started, by its number.
    pub(crate) held: Mutex<HashMap<u64, Held>>,
    /// Backends on their way out.
    pub(crate) leaving: TaskTracker,
    /// Held by who changes the set of backends.
    pub(crate) updating: tokio::sync::Mutex<Successors>,
    dirty: AtomicBool,
    /// Whether a merge is to come; see [`publish_soon`](Self::publish_soon).
    scheduled: AtomicBool,
    /// What the last merge took, microseconds.
    merge_us: AtomicU64,
    /// Held while merging, never across an await. Keeps the collisions already logged.
    merging: Mutex<HashSet<String>>,
}

/// Change counters by capability: tools, prompts, resources (and templates).
pub(crate) type Changes = [u64; 3];

impl Hub {
    /// One without backends.
    pub(crate) fn new(settings: Settings, cursors: Sealer, tasks: Sealer, bridge: Bridge) -> Self {
        let settings = Arc::new(settings);
        let empty = merge(&settings, &[], None, &mut HashSet::new());
        let fleet = Fleet {
            settings,
            cells: Vec::new(),
        };
        Self {
            fleet: ArcSwap::from_pointee(fleet),
            snapshot: ArcSwap::from_pointee(empty),
            cursors,
            links: Links::default(),
            tasks,
            bridge,
            meters: Meters::default(),
            recent: None,
            changes: watch::Sender::new([0; 3]),
            version: AtomicU64::new(0),
            readers: Readers::default(),
            ready: watch::Sender::new(false),
            draining: CancellationToken::new(),
            stop: CancellationToken::new(),
            held: Mutex::default(),
            leaving: TaskTracker::new(),
            updating: tokio::sync::Mutex::default(),
            dirty: AtomicBool::new(false),
            scheduled: AtomicBool::new(false),
            merge_us: AtomicU64::new(0),
            merging: Mutex::default(),
        }
    }

    /// What is set now. Requests go by the settings of their snapshot instead.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.fleet.load().settings.clone()
    }

    /// As [`publish`](Self::publish), for what many backends may have to say at the same time.
    /// Where a merge is no small matter, those of a while are one, and three quarters of the time
    /// are left for everything else: a thousand backends that come up together would otherwise
    /// have everything merged thousands of times, and be lost meanwhile to their probes' timeouts.
    pub(crate) fn publish_soon(self: &Arc<Self>) {
        let merge = Duration::from_micros(self.merge_us.load(Ordering::Relaxed));
        if merge < SMALL_MERGE {
            return self.publish();
        }
        if !self.scheduled.swap(true, Ordering::AcqRel) {
            let (hub, rest) = (self.clone(), (merge * 3).min(LONGEST_REST));
            tokio::spawn(async move {
                tokio::time::sleep(rest).await;
                hub.publish_scheduled();
            });
        }
    }

    /// Does now what [`publish_soon`](Self::publish_soon) has put off.
    fn publish_scheduled(&self) {
        if self.scheduled.swap(false, Ordering::AcqRel) {
            self.publish();
        }
    }

    /// Merges what the supervisors published into the next snapshot. Concurrent calls are one
    /// merge: who finds another at work leaves it the rest.
    pub(crate) fn publish(&self) {
        self.dirty.store(true, Ordering::Release);
        while self.dirty.load(Ordering::Acquire) {
            let Ok(mut logged) = self.merging.try_lock() else {
                return;
            };
            if !self.dirty.swap(false, Ordering::AcqRel) {
                return;
            }
            let begun = Instant::now();
            let fleet = self.fleet.load_full();
            // Asked before the merge: who settles during it is not in this snapshot yet, and
            // nobody may be told "ready" before what is ready can be seen.
            let settled = fleet.cells.iter().all(|c| c.live.load().settled);
            let old = self.snapshot.load_full();
            let next = merge(&fleet.settings, &fleet.cells, Some(&old), &mut logged);
            let next = Arc::new(next);
            self.snapshot.store(next.clone());
            let there: HashSet<_> = next.cells.iter().map(|c| c.meta.name.as_str()).collect();
            self.meters.retain(|name| there.contains(name));
            let changed = self
                .changes
                .send_if_modified(|counters| next.count_changes(&old, counters));
            if changed || !next.is_served_as(&old) {
                // After the snapshot: who reads the new number sees what it is the number of.
                self.version.fetch_add(1, Ordering::Release);
            }
            let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.merge_us.store(took, Ordering::Relaxed);
            if settled {
                self.set_ready();
            }
        }
    }

    /// How each backend fares, in the order of the file.
    pub(crate) fn statuses(&self) -> Vec<BackendStatus> {
        let snapshot = self.snapshot.load();
        let status = |(cell, known): (&Arc<Cell>, _)| BackendStatus::of(cell, known, &snapshot);
        snapshot.members().map(status).collect()
    }

    /// Declares the start over.
    pub(crate) fn set_ready(&self) {
        self.ready
            .send_if_modified(|ready| !std::mem::replace(ready, true));
    }

    pub(crate) fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Resolves once every backend has answered or failed, or the wait at the start is over.
    pub(crate) async fn ready(&self) {
        if !self.is_ready() {
            // The sender lives in `self`, so waiting cannot fail.
            let _ = self.ready.subscribe().wait_for(|ready| *ready).await;
        }
    }

    /// Has the backends listed that nobody has needed so far, and waits for them as for those that
    /// connect at the start. Others are not woken for a list: what they listed still holds.
    pub(crate) async fn rouse(&self) {
        let (listed, wait) = {
            let snapshot = self.snapshot.load();
            let asleep = snapshot.cells.iter().filter(|cell| cell.unlisted());
            let listed: Vec<_> = asleep.filter_map(Cell::refresh).collect();
            (listed, snapshot.settings.startup_wait)
        };
        if listed.is_empty() {
            return;
        }
        // Who takes longer is told of by `list_changed`.
        let _ = tokio::time::timeout(wait, futures::future::join_all(listed)).await;
        self.publish_scheduled();
    }

    /// Closes every backend, all at once; later calls find nothing left to do.
    pub(crate) async fn close(&self) {
        self.draining.cancel();
        self.stop.cancel();
        // Whoever is starting backends at the moment stops at once, and what was started is held.
        let _updating = self.updating.lock().await;
        let held = std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner));
        let closings = held.into_values().filter_map(Held::into_closing);
        self.leaving.close();
        let leaving = self.leaving.wait();
        tokio::join!(
            futures::future::join_all(closings.map(|close| close())),
            leaving
        );
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("settings", &self.fleet.load().settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Router;

    #[tokio::test(start_paused = true)]
    async fn news_of_many_is_one_merge_where_a_merge_is_no_small_matter() {
        let router = Router::builder().build().expect("a router");
        let hub = &router.hub;
        let took = |merge: Duration| {
            let merge = merge.as_micros() as u64;
            hub.merge_us.store(merge, Ordering::Relaxed);
        };
        let changed = |old: &Arc<Snapshot>| !Arc::ptr_eq(old, &hub.snapshot.load());

        took(SMALL_MERGE / 2);
        let first = hub.snapshot.load_full();
        hub.publish_soon();
        assert!(changed(&first));

        took(SMALL_MERGE * 10);
        let second = hub.snapshot.load_full();
        for _ in 0..1000 {
            hub.publish_soon();
        }
        tokio::time::sleep(SMALL_MERGE * 29).await;
        assert!(!changed(&second));
        tokio::time::sleep(SMALL_MERGE * 2).await;
        assert!(changed(&second));
        // There is no other merge to come.
        let third = hub.snapshot.load_full();
        tokio::time::sleep(LONGEST_REST * 2).await;
        assert!(!changed(&third));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_lists_does_not_wait_for_other_news() {
        let router = Router::builder().build().expect("a router");
        let hub = &router.hub;
        hub.merge_us.store(1_000_000, Ordering::Relaxed);
        let old = hub.snapshot.load_full();
        hub.publish_soon();
        assert!(Arc::ptr_eq(&old, &hub.snapshot.load()));
        hub.publish_scheduled();
        assert!(!Arc::ptr_eq(&old, &hub.snapshot.load()));
    }
}
