//! The dashboard beside the other pages, from the configuration to the task that remembers.

use std::sync::Arc;

use mcp_router_observe::recent::RecentCalls;
use mcp_router_transport::server::Page;
use tokio_util::task::AbortOnDropHandle;

use crate::build::{Built, Plan};
use crate::reload::Reloads;
use crate::ui::{Dashboard, Entrance, Sources, pages};

/// The pages at `/` and, unless it is switched off, at `/ui`.
pub(super) struct Ui {
    server: String,
    watched: bool,
    /// The calls that ended last; kept only for somebody to see.
    recent: Option<Arc<RecentCalls>>,
}

/// Keeps the dashboard up to date until it is dropped.
pub(super) struct Remembering(
    #[expect(dead_code, reason = "dropped")] Option<AbortOnDropHandle<()>>,
);

impl Ui {
    pub(super) fn of(plan: &Plan) -> Self {
        let server = &plan.config.server;
        Self {
            server: server.name.clone(),
            watched: server.watch && plan.origin.is_some(),
            recent: server.ui.then(|| Arc::new(RecentCalls::new())),
        }
    }

    /// The plan of a router whose calls are noted for the dashboard, if there is one.
    pub(super) fn noted(&self, plan: Plan) -> Plan {
        match &self.recent {
            Some(recent) => plan.noting(recent.clone()),
            None => plan,
        }
    }

    /// The pages of the router that was built of that plan.
    pub(super) fn pages(self, built: &Built, reloads: Reloads) -> (Vec<Page>, Remembering) {
        let entrance = Entrance {
            server: self.server.clone(),
            ui: self.recent.is_some(),
        };
        let Some(recent) = self.recent else {
            return (pages(entrance, None), Remembering(None));
        };
        let dashboard = Dashboard::new(Sources {
            server: self.server,
            router: built.router.clone(),
            meters: built.meters.clone(),
            recent,
            reloads,
            watched: self.watched,
        });
        let pages = pages(entrance, Some(&dashboard));
        let remember = AbortOnDropHandle::new(tokio::spawn(dashboard.remember()));
        (pages, Remembering(Some(remember)))
    }
}
