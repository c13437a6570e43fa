//! How many tools clients are given, and whose they are.

use std::collections::HashMap;

use mcp_router_protocol::ItemKind;

use crate::catalogue::own;
use crate::router::Router;

/// The tools that a client of the newest revision is given.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Exposure {
    /// All of them, the router's own included.
    pub tools: usize,
    /// How many each backend offers, those with most first.
    pub backends: Vec<(String, usize)>,
    /// How often the list had changed.
    change: u64,
}

impl Router {
    /// What clients are given now.
    pub fn exposure(&self) -> Exposure {
        // Before the snapshot is looked at: a change between the two is seen as one to come.
        let change = self.hub.changes.borrow()[0];
        let snapshot = self.hub.snapshot.load();
        let mut offers: HashMap<&str, usize> = HashMap::new();
        let offered = snapshot.table(ItemKind::Tool).entries().iter();
        let mut tools = own(&snapshot.settings, ItemKind::Tool).len();
        for entry in offered.filter(|entry| entry.is_for(true)) {
            tools += 1;
            *offers.entry(entry.owner.meta.name.as_str()).or_default() += 1;
        }
        let offers = offers.into_iter();
        let mut backends: Vec<_> = offers.map(|(name, n)| (name.to_owned(), n)).collect();
        backends.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Exposure {
            tools,
            backends,
            change,
        }
    }

    /// Resolves once the list of tools is not what it was then. Safe to drop.
    pub async fn exposure_changed(&self, since: &Exposure) {
        let mut changes = self.hub.changes.subscribe();
        // The sender lives in the hub.
        let _ = changes
            .wait_for(|counters| counters[0] != since.change)
            .await;
    }
}
