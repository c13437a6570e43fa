//! Under which counters a call runs.
//!
//! Whoever counts calls must not search for the right counter at each of them. So a candidate of a
//! call keeps the counters of what is called there, and they are left on the call's trail for the
//! end of the call to find.

use std::sync::OnceLock;

use mcp_router_observe::metrics::Meters;
use mcp_router_protocol::{ItemKind, Method};
use mcp_router_service::Mark;

use crate::backend::Cell;

/// What a call is counted as.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted<'a> {
    meters: &'a Meters,
    name: &'a str,
    /// Whether clients can make the name up.
    free: bool,
}

impl<'a> Counted<'a> {
    /// As an item that clients know as `exposed`: a tool by this name, others by their method.
    pub(crate) fn item(meters: &'a Meters, kind: ItemKind, exposed: &'a str) -> Self {
        let (name, free) = match kind {
            ItemKind::Tool => (exposed, true),
            ItemKind::Prompt => (Method::PromptsGet.as_str(), false),
            ItemKind::Resource | ItemKind::Template => (Method::ResourcesRead.as_str(), false),
        };
        Self { meters, name, free }
    }

    /// As a completion.
    pub(crate) fn completion(meters: &'a Meters) -> Self {
        Self {
            meters,
            name: Method::Complete.as_str(),
            free: false,
        }
    }
}

/// The counters of one candidate, found at its first call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters(OnceLock<Mark>);

impl Counters {
    /// Those of calls of something that `cell` lists, or does not.
    pub(crate) fn of(&self, what: Counted<'_>, cell: &Cell, listed: bool) -> Mark {
        let backend = cell.meta.name.as_str();
        let find = || match what.free && !listed {
            true => what.meters.other(backend),
            false => what.meters.tool(backend, what.name),
        };
        self.0.get_or_init(find).clone()
    }
}
