//! What is known of a backend at one moment. Its supervisor writes the next; everybody reads without
//! waiting, and a snapshot keeps what it was made of.

use std::sync::Arc;
use std::time::Instant;

use mcp_router_layers::Failure;
use mcp_router_service::BackendInfo;

use crate::listing::Listing;
use crate::status::State;

/// How a backend fares.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) state: State,
    pub(crate) info: Arc<BackendInfo>,
    /// The last good list, possibly stale.
    pub(crate) listing: Arc<Listing>,
    /// The current run of failures.
    pub(crate) error_count: u32,
    /// At what it failed last, while it is down.
    pub(crate) failure: Option<Arc<Failure>>,
    /// Since when the backend is not ready.
    pub(crate) down_since: Option<Instant>,
    /// Whether it has answered or failed at least once since the start.
    pub(crate) settled: bool,
}

impl Live {
    /// Whether it is what it is going to be: listed, asleep or switched off.
    pub(crate) fn is_there(&self) -> bool {
        matches!(self.state, State::Ready | State::Asleep | State::Disabled)
    }
}
