//! The merged tables, sorted and indexed.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use mcp_router_protocol::fold::fold;
use mcp_router_protocol::item::Dress;
use mcp_router_protocol::{Item, ItemKind, Mirror, Namespace, RawJson};
use mcp_router_service::ClientProfile;

use super::choice::Choice;
use super::view::{Audience, View, Views, profile};
use crate::backend::{Cell, Live};
use crate::hub::{Changes, Settings};

/// Everything offered at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    tables: [Table; 4],
    /// What was set when it was made.
    pub(crate) settings: Arc<Settings>,
    views: Box<Views>,
    /// Resources by what is left of their addresses when a URL parser has rewritten them; `None`
    /// where several look alike.
    folded: OnceLock<HashMap<String, Option<usize>>>,
    /// Whether names and addresses carry namespaces.
    pub(crate) prefixed: bool,
    /// Namespaces in use, by themselves and by their alias in URIs.
    pub(crate) namespaces: HashMap<String, Namespace>,
    /// The backends, in the order of the file.
    pub(crate) cells: Vec<Arc<Cell>>,
    /// What was known of each of them when it was made.
    known: Vec<Arc<Live>>,
    /// The result of `server/discover`, less the members that depend on the moment.
    pub(crate) discover: RawJson,
    /// What backends list and nobody gets.
    pub(crate) lost: Lost,
}

/// The backends of a snapshot in the order of the file, and what is known of each.
pub(super) struct Members {
    pub(super) cells: Vec<Arc<Cell>>,
    pub(super) known: Vec<Arc<Live>>,
}

/// What backends list and nobody gets.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    /// Exposed names that another backend won.
    pub(crate) collisions: Notes,
    /// Items that cannot be offered, with reasons.
    pub(crate) left_out: Notes,
}

/// Texts about what a backend lists, by the number of the backend.
pub(crate) type Notes = HashMap<u64, Vec<Arc<str>>>;

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
    /// Whether names carry namespaces.
    pub(crate) prefixed: bool,
    /// Whether its owner can be sent arguments in headers.
    pub(crate) mirrors: bool,
    /// Who may get its calls, in order. Never empty.
    pub(crate) choices: Vec<Choice>,
}

impl Entry {
    /// Whether clients of this era get to see it: one that may answer with a task alone is of no
    /// use to those that know none.
    pub(crate) fn is_for(&self, modern: bool) -> bool {
        modern || !self.shown.is_task_only()
    }

    /// Its definition under `name`, as clients of this era get it.
    pub(crate) fn defined_as(&self, name: &Arc<str>, modern: bool) -> Bytes {
        // It has the members of every era.
        match Arc::ptr_eq(name, &self.exposed) && !(modern && self.shown.has_execution()) {
            true => self.definition.clone(),
            false => self.dressed(name, !modern),
        }
    }

    /// Most that are the same are the same bytes.
    fn is_defined_as(&self, other: &Self) -> bool {
        let (own, other) = (&self.definition, &other.definition);
        (own.len() == other.len() && own.as_ptr() == other.as_ptr()) || own == other
    }

    pub(super) fn dressed(&self, key: &str, execution: bool) -> Bytes {
        let namespace = self.owner.meta.namespace.as_ref();
        self.shown.dressed(Dress {
            key,
            namespace: namespace.filter(|_| self.prefixed),
            mirrored: self.mirrors,
            execution,
        })
    }

    /// The arguments that clients must repeat in headers.
    pub(crate) fn mirror(&self) -> Option<&Arc<Mirror>> {
        self.shown.mirror().ok()?.filter(|_| self.mirrors)
    }
}

impl Snapshot {
    pub(super) fn new(
        tables: [Table; 4],
        settings: Arc<Settings>,
        namespaces: HashMap<String, Namespace>,
        members: Members,
        discover: RawJson,
        lost: Lost,
    ) -> Self {
        let Members { cells, known } = members;
        Self {
            tables,
            views: Box::default(),
            folded: OnceLock::new(),
            prefixed: settings.namespaces,
            settings,
            namespaces,
            cells,
            known,
            discover,
            lost,
        }
    }

    /// The backends, in the order of the file, with what this was made of.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&Arc<Cell>, &Arc<Live>)> {
        self.cells.iter().zip(&self.known)
    }

    pub(crate) fn table(&self, kind: ItemKind) -> &Table {
        &self.tables[kind as usize]
    }

    /// The list of `kind` as a client gets it.
    pub(crate) fn view(&self, kind: ItemKind, audience: Audience) -> &View {
        let table = self.table(kind);
        self.views.list(&self.settings, table, kind, audience)
    }

    /// Whether the list of `kind` is the same for every client of an era.
    pub(crate) fn is_same_for_all(&self, kind: ItemKind) -> bool {
        self.views
            .same_for_all(&self.settings, self.table(kind), kind)
    }

    /// What a client means by a name of a tool or prompt, in whatever spelling.
    pub(crate) fn find(
        &self,
        kind: ItemKind,
        name: &str,
        client: &ClientProfile,
    ) -> Option<&Entry> {
        let table = self.table(kind);
        if let Some(entry) = table.get(name) {
            return Some(entry);
        }
        // No other spelling has one.
        if name.contains('.') {
            return None;
        }
        let views = &self.views;
        let at = views.find(&self.settings, table, kind, name, profile(client))?;
        table.entries.get(at)
    }

    /// The resource that a client means whose URL parser has rewritten its address (R20).
    pub(crate) fn rewritten(&self, asked: &str) -> Option<&Entry> {
        let table = self.table(ItemKind::Resource);
        let folded = self.folded.get_or_init(|| {
            let mut all = HashMap::with_capacity(table.entries.len());
            for (at, entry) in table.entries.iter().enumerate() {
                let one = all.entry(fold(&entry.exposed)).or_insert(Some(at));
                *one = one.filter(|known| *known == at);
            }
            all
        });
        table.entries.get((*folded.get(&fold(asked))?)?)
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
        // The tables have one spelling, and clients may get another.
        let respelled = self.settings.fitted != old.settings.fitted;
        let changed = [
            differs(ItemKind::Tool) || respelled,
            differs(ItemKind::Prompt) || respelled,
            differs(ItemKind::Resource) || differs(ItemKind::Template),
        ];
        for (counter, changed) in counters.iter_mut().zip(changed) {
            *counter += u64::from(changed);
        }
        changed.contains(&true)
    }

    /// Whether the same backends serve the same items in the same order; both offer the same.
    pub(crate) fn is_served_as(&self, old: &Self) -> bool {
        let mut tables = self.tables.iter().zip(&old.tables);
        tables.all(|(table, old)| table.is_served_as(old))
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

    fn same_as(&self, other: &Self) -> bool {
        self.entries.len() == other.entries.len()
            && self
                .entries
                .iter()
                .zip(&other.entries)
                .all(|(a, b)| a.exposed == b.exposed && a.is_defined_as(b))
    }

    fn is_served_as(&self, other: &Self) -> bool {
        let same = |(a, b): (&Choice, &Choice)| a.cell.meta.name == b.cell.meta.name;
        let mut entries = self.entries.iter().zip(&other.entries);
        entries.all(|(a, b)| {
            a.choices.len() == b.choices.len() && a.choices.iter().zip(&b.choices).all(same)
        })
    }
}
