//! The dashboard at `/ui`, and the entrance at `/`.
//!
//! Who runs the router at three in the morning has a browser, and perhaps nothing else yet: no
//! metrics server, no log search. The dashboard answers the first questions from the router itself:
//! which backend is sick, since when, why, what was called last, and what became of the last change
//! of the configuration.
//!
//! * It is HTML that the router writes, one style sheet and one script, all in this program. A
//!   strict content policy lets the browser load nothing else and run no script in the page.
//! * The script asks for the changing parts every two seconds. The router keeps nothing for a
//!   viewer, and writes a part at most once a second, however many look; with nobody there it
//!   writes nothing.
//! * Values of foreign origin are escaped without exception: see [`html`].
//!
//! It shows what `/ready`, `list_backends` and the log show, and like them neither arguments and
//! results nor secrets.

mod assets;
mod catalogue;
mod chart;
mod entrance;
mod history;
mod html;
mod kept;
mod look;
mod pages;
#[cfg(test)]
mod tests;
mod units;
mod view;

use std::sync::Arc;
use std::time::Instant;

use mcp_router_core::Router;
use mcp_router_observe::metrics::{self, Meters};
use mcp_router_observe::recent::RecentCalls;

use catalogue::Catalogue;
use history::{History, STEP, Totals};
use kept::Kept;
use look::Which;

use crate::reload::Reloads;

pub(crate) use entrance::Entrance;
pub(crate) use pages::pages;

/// What the dashboard shows and remembers. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Dashboard(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    sources: Sources,
    started: Instant,
    history: History,
    catalogue: Catalogue,
    live: Kept<Which>,
}

/// Where the dashboard takes from what it shows.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    /// The name that clients are told.
    pub(crate) server: String,
    pub(crate) router: Router,
    pub(crate) meters: Meters,
    pub(crate) recent: Arc<RecentCalls>,
    pub(crate) reloads: Reloads,
    /// Whether a change of the file reloads it.
    pub(crate) watched: bool,
}

impl Dashboard {
    /// A dashboard that remembers from now on.
    pub(crate) fn new(sources: Sources) -> Self {
        Self(Arc::new(Shared {
            sources,
            started: Instant::now(),
            history: History::default(),
            catalogue: Catalogue::default(),
            live: Kept::default(),
        }))
    }

    /// Keeps the charts up to date until it is dropped. Reads counters every few seconds.
    pub(crate) async fn remember(self) {
        let mut ticks = tokio::time::interval(STEP);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.0.history.step(&self.totals());
            self.0.catalogue.tidy();
        }
    }

    fn totals(&self) -> Vec<(String, Totals)> {
        let counted = self.0.sources.meters.totals().into_iter();
        let totals = |t: metrics::Totals| Totals {
            calls: t.calls,
            failed: t.failed,
            micros: t.micros,
        };
        counted
            .map(|t| (t.backend.to_string(), totals(t)))
            .collect()
    }
}
