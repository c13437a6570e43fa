//! The numbers of a running router, put together: what its calls count, what its parts know, what
//! the process costs.

mod edge;
mod exposed;
mod page;
mod router;
mod told;

use std::net::SocketAddr;

use mcp_router_core::Router;
use mcp_router_observe::metrics::{Lost, Process, Source, Sources};
use mcp_router_transport::server::{HttpService, Page};
use tokio_util::task::AbortOnDropHandle;

use crate::build::Built;
use crate::reload::Reloads;
use edge::Edge;
use router::{Backends, Bound, Exposed, Reloaded, State};
pub(crate) use told::Told;

/// What stands behind the page, for as long as the router is served.
#[derive(Debug)]
pub(crate) struct Metrics {
    edge: Edge,
    _watch: AbortOnDropHandle<()>,
}

/// Warns when clients are given too many tools, until it is dropped.
pub(crate) fn watch(router: &Router) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(exposed::watch(router.clone())))
}

impl Metrics {
    /// The page of a router that listens there.
    pub(crate) fn of(
        built: &Built,
        bound: SocketAddr,
        reloads: &Reloads,
        told: Told,
    ) -> (Page, Self) {
        let edge = Edge::default();
        let router = || built.router.clone();
        let sources: [Box<dyn Source>; 10] = [
            // First: it forgets what is counted of backends that are gone.
            Box::new(Backends::new(router(), built.meters.clone())),
            Box::new(built.meters.clone()),
            Box::new(Exposed(router())),
            Box::new(State(router())),
            Box::new(Bound(bound)),
            Box::new(Reloaded(reloads.clone())),
            Box::new(told),
            Box::new(edge.clone()),
            Box::new(Lost),
            Box::new(Process::this()),
        ];
        let metrics = Self {
            edge,
            _watch: watch(&built.router),
        };
        (page::page(Sources::new(sources)), metrics)
    }

    /// This is the edge that has the page.
    pub(crate) fn ask(&self, edge: &HttpService) {
        self.edge.set(Some(edge.clone()));
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.edge.set(None);
    }
}
