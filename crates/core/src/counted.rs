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
    what: What,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum What {
    /// A tool, whose name clients can make up.
    Tool,
    Other,
    /// Of something that is called in another way, too.
    Completion,
}

impl<'a> Counted<'a> {
    /// As an item that clients know as `exposed`: a tool by this name, others by their method.
    pub(crate) fn item(meters: &'a Meters, kind: ItemKind, exposed: &'a str) -> Self {
        let (name, what) = match kind {
            ItemKind::Tool => (exposed, What::Tool),
            ItemKind::Prompt => (Method::PromptsGet.as_str(), What::Other),
            ItemKind::Resource | ItemKind::Template => {
                (Method::ResourcesRead.as_str(), What::Other)
            }
        };
        Self { meters, name, what }
    }

    /// As a completion.
    pub(crate) fn completion(meters: &'a Meters) -> Self {
        Self {
            meters,
            name: Method::Complete.as_str(),
            what: What::Completion,
        }
    }
}

/// The counters of one candidate, found at its first call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    calls: OnceLock<Mark>,
    completions: OnceLock<Mark>,
}

impl Counters {
    /// Those of calls of something that `cell` lists, or does not.
    pub(crate) fn of(&self, what: Counted<'_>, cell: &Cell, listed: bool) -> Mark {
        let backend = cell.meta.name.as_str();
        let find = || match what.what == What::Tool && !listed {
            true => what.meters.other(backend),
            false => what.meters.tool(backend, what.name),
        };
        let counters = match what.what {
            What::Completion => &self.completions,
            What::Tool | What::Other => &self.calls,
        };
        counters.get_or_init(find).clone()
    }
}
