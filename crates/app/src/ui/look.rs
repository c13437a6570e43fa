//! What the dashboard shows, taken at one moment.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mcp_router_core::{BackendStatus, Readiness};
use mcp_router_observe::call::Ending;
use mcp_router_observe::recent::RecentCall;

use super::Dashboard;
use super::history::{Totals, Track};
use crate::reload::ReloadReport;

/// How many of the recent calls are shown.
const SHOWN: usize = 60;

/// Which of the recent calls to show.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Which {
    All,
    Failed,
}

/// Everything but the catalogue.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) readiness: Readiness,
    /// Of the backends, in their order.
    pub(super) tracks: Vec<Track>,
    pub(super) which: Which,
    pub(super) calls: Vec<RecentCall>,
    /// How many calls have ended since the start, and how many of them are not among the recent
    /// ones although they should be.
    pub(super) ended: (u64, u64),
    pub(super) reload: Option<Arc<ReloadReport>>,
    pub(super) watched: bool,
    pub(super) up: Duration,
    /// Grows with the catalogue.
    pub(super) catalogue: u64,
}

impl Look {
    pub(super) fn at(dashboard: &Dashboard, which: Which) -> Self {
        let shared = &dashboard.0;
        let readiness = shared.sources.router.readiness();
        let totals: HashMap<_, _> = dashboard.totals().into_iter().collect();
        let track = |name: &String| {
            let now = totals.get(name).copied().unwrap_or_default();
            shared.history.of(name, now)
        };
        let names = readiness.backends.iter().map(|b| &b.name);
        let tracks = names.map(track).collect();
        let mut calls = shared.sources.recent.newest();
        calls.retain(|call| which == Which::All || has_failed(call));
        calls.truncate(SHOWN);
        Self {
            tracks,
            readiness,
            which,
            calls,
            ended: shared.sources.recent.counts(),
            reload: shared.sources.reloads.last(),
            watched: shared.sources.watched,
            up: shared.started.elapsed(),
            catalogue: shared.sources.router.catalogue_version(),
        }
    }

    /// The backends with what happened at them.
    pub(super) fn backends(&self) -> impl Iterator<Item = (&BackendStatus, &Track)> {
        self.readiness.backends.iter().zip(&self.tracks)
    }

    /// What happened in the last minutes at all backends together.
    pub(super) fn sum(&self) -> Totals {
        let sums = self.tracks.iter().map(Track::sum);
        sums.fold(Totals::default(), Totals::with)
    }
}

/// Whether an operator would want to know of it: neither an answer nor the client's own wish.
fn has_failed(call: &RecentCall) -> bool {
    !call.outcome.is_answer() && call.outcome != Ending::Cancelled
        || matches!(call.outcome, Ending::Error | Ending::ToolError)
}
