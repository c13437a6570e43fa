//! What is offered, for people: the merged catalogue as tables and pages show it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use mcp_router_protocol::{ItemKind, RawJson};

use crate::catalogue::Entry;
use crate::router::Router;

/// One offered item under the name that operators know it by.
#[derive(Clone, Debug)]
pub struct ItemEntry {
    /// What is listed.
    pub kind: ItemKind,
    /// Its exposed name, URI or URI template.
    pub exposed: Arc<str>,
    /// Who may get its calls, in order. Never empty.
    pub backends: Vec<String>,
    /// Its definition under the exposed name.
    pub definition: RawJson,
}

impl Router {
    /// The merged items of one kind, sorted by exposed name; the router's own tools are not among
    /// them. Definitions are shared, not copied.
    pub fn items(&self, kind: ItemKind) -> Vec<ItemEntry> {
        let snapshot = self.hub.snapshot.load();
        let entries = snapshot.table(kind).entries().iter();
        entries.map(|entry| ItemEntry::of(kind, entry)).collect()
    }

    /// A number that grows whenever one of the merged lists changes, or who serves something of
    /// them and in which order, for those who keep something that was worked out from
    /// [`items`](Self::items).
    pub fn catalogue_version(&self) -> u64 {
        self.hub.version.load(Ordering::Acquire)
    }
}

impl ItemEntry {
    fn of(kind: ItemKind, entry: &Entry) -> Self {
        let names = entry.choices.iter().map(|c| c.cell.meta.name.to_string());
        Self {
            kind,
            exposed: entry.exposed.clone(),
            backends: names.collect(),
            definition: RawJson::from_checked(entry.definition.clone()),
        }
    }
}
