//! What a strategy knows of a backend that may get the request.

use std::cmp::Ordering;

use mcp_router_protocol::name::BackendName;

/// One backend that may get the request, as it stands when the call begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Candidate<'a> {
    /// Which backend.
    pub backend: &'a BackendName,
    /// Whether it looks fit: not known to be down, circuit not open.
    pub usable: bool,
    /// Lower is tried first.
    pub priority: u32,
    /// Its place in the file: decides between equal priorities.
    pub position: usize,
    /// Whether it lists the item that is asked for.
    pub lists_item: bool,
}

impl Candidate<'_> {
    /// The order in which candidates are tried: usable before unusable, then priority, then file
    /// order. Whether the item is listed is the strategy's business.
    pub fn order(&self, other: &Self) -> Ordering {
        let key = |c: &Self| (!c.usable, c.priority, c.position);
        key(self).cmp(&key(other))
    }
}
