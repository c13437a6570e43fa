//! The merged tables, sorted and indexed.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use mcp_router_protocol::{Item, ItemKind, Namespace, RawJson};

use super::choice::Choice;
use crate::backend::Cell;
use crate::hub::Changes;

/// Everything offered at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    tables: [Table; 4],
    /// Namespaces in use, by themselves and by their alias in URIs.
    pub(crate) namespaces: HashMap<String, Namespace>,
    /// The backends, in the order of the file.
    pub(crate) cells: Vec<Arc<Cell>>,
    /// The result of `server/discover`, less the members that depend on the moment.
    pub(crate) discover: RawJson,
    /// Exposed names that each backend lists and another one won, by the place of the backend.
    pub(crate) collisions: Collisions,
}

/// Names that were lost to another backend, by the place of the backend that lost them.
pub(crate) type Collisions = HashMap<usize, Vec<Arc<str>>>;

/// All items of one kind, sorted by exposed name, bytewise (R13).
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: Vec<Entry>,
    index: HashMap<Arc<str>, usize>,
}

/// One exposed item.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// What clients call it.
    pub(crate) exposed: Arc<str>,
    /// Its definition under that name.
    pub(crate) definition: Bytes,
    /// The item whose definition is shown.
    pub(crate) shown: Arc<Item>,
    /// The backend whose definition is shown.
    pub(crate) owner: Arc<Cell>,
    /// Who may get its calls, in order. Never empty.
    pub(crate) choices: Vec<Choice>,
}

impl Snapshot {
    pub(crate) fn new(
        tables: [Table; 4],
        namespaces: HashMap<String, Namespace>,
        cells: Vec<Arc<Cell>>,
        discover: RawJson,
        collisions: Collisions,
    ) -> Self {
        Self {
            tables,
            namespaces,
            cells,
            discover,
            collisions,
        }
    }

    pub(crate) fn table(&self, kind: ItemKind) -> &Table {
        &self.tables[kind as usize]
    }

    /// The backends of a namespace, in the order of the file.
    pub(crate) fn in_namespace<'a>(
        &'a self,
        namespace: &'a Namespace,
    ) -> impl Iterator<Item = &'a Arc<Cell>> {
        self.cells
            .iter()
            .filter(move |c| c.meta.namespace.as_ref() == Some(namespace))
    }

    /// Adds one to the counter of each list that differs from `old`; tells whether any did.
    pub(crate) fn count_changes(&self, old: &Self, counters: &mut Changes) -> bool {
        let differs = |kind| !self.table(kind).same_as(old.table(kind));
        let changed = [
            differs(ItemKind::Tool),
            differs(ItemKind::Prompt),
            differs(ItemKind::Resource) || differs(ItemKind::Template),
        ];
        for (counter, changed) in counters.iter_mut().zip(changed) {
            *counter += u64::from(changed);
        }
        changed.contains(&true)
    }
}

impl Table {
    /// Sorts and indexes. Exposed names must be unique.
    pub(crate) fn new(mut entries: Vec<Entry>) -> Self {
        entries.sort_unstable_by(|a, b| a.exposed.cmp(&b.exposed));
        let index = entries
            .iter()
            .enumerate()
            .map(|(at, e)| (e.exposed.clone(), at))
            .collect();
        Self { entries, index }
    }

    pub(crate) fn get(&self, exposed: &str) -> Option<&Entry> {
        self.entries.get(*self.index.get(exposed)?)
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries behind `key`, which need not be there any more.
    pub(crate) fn after(&self, key: &str) -> &[Entry] {
        let at = self.entries.partition_point(|e| &*e.exposed <= key);
        &self.entries[at..]
    }

    fn same_as(&self, other: &Self) -> bool {
        self.entries.len() == other.entries.len()
            && self
                .entries
                .iter()
                .zip(&other.entries)
                .all(|(a, b)| a.exposed == b.exposed && a.definition == b.definition)
    }
}
