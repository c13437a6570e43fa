//! What the HTTP edge has to do.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use mcp_router_observe::metrics::family::{
    CLIENT_REQUESTS, CLIENT_STREAMS, SESSIONS, SESSIONS_REVIVED,
};
use mcp_router_observe::metrics::{Page, Source};
use mcp_router_transport::server::HttpService;

/// The edge, once it is there. It has the page, and the page asks it: so it is taken out again at
/// the end. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Edge(Arc<Mutex<Option<HttpService>>>);

impl Edge {
    /// It is there, or gone.
    pub(super) fn set(&self, edge: Option<HttpService>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = edge;
    }

    fn get(&self) -> Option<HttpService> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Source for Edge {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let Some(edge) = self.get() else {
            return Ok(());
        };
        let (load, sessions) = (edge.load(), edge.sessions());
        page.one(&CLIENT_REQUESTS, load.requests as f64)?;
        page.one(&CLIENT_STREAMS, load.streams as f64)?;
        page.one(&SESSIONS, sessions.open as f64)?;
        page.one(&SESSIONS_REVIVED, sessions.revived as f64)
    }
}
