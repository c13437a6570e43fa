//! Merging: from what each backend lists to what clients see.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use mcp_router_protocol::{Item, ItemKind, Namespace, name, uri};

use super::choice::{Choice, Field};
use super::describe::discover;
use super::snapshot::{Entry, Lost, Members, Notes, Snapshot, Table};
use crate::backend::{Cell, Live};
use crate::dispatch::manage;
use crate::hub::Settings;

/// Makes the next snapshot. `old` lends what did not change; `logged` remembers which collisions
/// were reported, so that each is reported once.
pub(crate) fn merge(
    settings: &Arc<Settings>,
    cells: &[Arc<Cell>],
    old: Option<&Snapshot>,
    logged: &mut HashSet<String>,
) -> Snapshot {
    let known: Vec<_> = cells.iter().map(|c| c.live.load_full()).collect();
    let mut lives: Vec<_> = cells.iter().cloned().zip(known.clone()).collect();
    let discover = discover(settings, &lives);
    // Lowest number first, then the order of the file: the first to name an item owns it.
    lives.sort_by_key(|(cell, _)| cell.meta.priority);
    let mut merging = Merging {
        settings,
        field: Field::new(settings, &lives),
        ranked: &lives,
        old,
        logged,
        lost: Lost::default(),
    };
    let tables = ItemKind::ALL.map(|kind| merging.table(kind));
    let lost = merging.lost;
    let namespaces = namespaces(cells);
    Snapshot::new(
        tables,
        settings.clone(),
        namespaces,
        Members {
            cells: cells.to_vec(),
            known,
        },
        discover,
        lost,
    )
}

/// What a merge works with.
struct Merging<'a> {
    settings: &'a Settings,
    field: Field<'a>,
    /// The backends in order of priority.
    ranked: &'a [(Arc<Cell>, Arc<Live>)],
    old: Option<&'a Snapshot>,
    logged: &'a mut HashSet<String>,
    lost: Lost,
}

impl Merging<'_> {
    fn table(&mut self, kind: ItemKind) -> Table {
        let mut merged: HashMap<Arc<str>, Entry> = HashMap::new();
        let ranked = self.ranked;
        for (cell, live) in ranked {
            for item in live.listing.of(kind).iter() {
                let Some(exposed) = expose(self.settings, cell, item) else {
                    continue; // the operator keeps it back
                };
                if let Some(why) = unfit(live, item) {
                    self.left_out(cell, item, &why);
                    continue;
                }
                if kind == ItemKind::Tool && manage::is_reserved(&exposed) {
                    self.lost(cell, item, &exposed, "a management tool");
                    continue;
                }
                match merged.entry(exposed.into()) {
                    Slot::Vacant(slot) => {
                        let exposed = slot.key().clone();
                        slot.insert(self.entry(exposed, cell, live, item));
                    }
                    Slot::Occupied(mut slot) => self.second(slot.get_mut(), cell, item),
                }
            }
        }
        if kind == ItemKind::Tool {
            self.route(&mut merged);
        }
        Table::new(merged.into_values().collect())
    }

    /// The entry of the first backend that lists an item.
    fn entry(&self, exposed: Arc<str>, cell: &Arc<Cell>, live: &Live, item: &Arc<Item>) -> Entry {
        let known = self.old.and_then(|s| s.table(item.kind()).get(&exposed));
        let mut entry = Entry {
            exposed,
            definition: Bytes::new(),
            shown: item.clone(),
            owner: cell.clone(),
            prefixed: self.settings.namespaces,
            mirrors: live.info.mirrors,
            choices: vec![Choice::owner(cell, item)],
        };
        entry.definition = match known {
            // The old bytes if nothing in it changed.
            Some(old) if Arc::ptr_eq(&old.shown, item) && old.mirrors == entry.mirrors => {
                old.definition.clone()
            }
            _ => entry.dressed(&entry.exposed, true),
        };
        entry
    }

    /// Another one that lists it.
    fn second(&mut self, entry: &mut Entry, cell: &Arc<Cell>, item: &Arc<Item>) {
        let first = &entry.owner.meta;
        let shared = first.namespace == cell.meta.namespace && first.name != cell.meta.name;
        if !shared {
            self.lost(cell, item, &entry.exposed, first.name.as_str());
        }
        // A backend that lists a name twice offers it once, and with namespaces a name is nobody
        // else's.
        let known = entry.choices.iter().any(|c| c.cell.id == cell.id);
        if !known && (shared || !self.settings.namespaces) {
            entry.choices.push(Choice::owner(cell, item));
        }
    }

    /// Lets routes decide, where there are any: who else may get a call, and who comes first.
    fn route(&self, merged: &mut HashMap<Arc<str>, Entry>) {
        for entry in merged.values_mut() {
            let namespace = entry.owner.meta.namespace.as_ref();
            if !self.field.is_routed(namespace) {
                continue;
            }
            let public = entry.owner.meta.policy.rules.public(entry.shown.key());
            let choices = self.field.choices(namespace, public);
            if !choices.is_empty() {
                entry.choices = choices;
            }
        }
    }

    fn lost(&mut self, cell: &Cell, item: &Item, exposed: &str, winner: &str) {
        note(&mut self.lost.collisions, cell, exposed.into());
        if self.is_news(cell, item, winner) {
            tracing::warn!(
                backend = %cell.meta.name, item = %item.key().escape_debug(), %winner,
                "name collision: item is not offered under its own definition"
            );
        }
    }

    fn left_out(&mut self, cell: &Cell, item: &Item, why: &str) {
        let text = format!("{}: {why}", item.key().escape_debug());
        note(&mut self.lost.left_out, cell, text.into());
        if self.is_news(cell, item, why) {
            tracing::warn!(
                backend = %cell.meta.name, item = %item.key().escape_debug(), %why,
                "item left out"
            );
        }
    }

    /// Whether it was not reported before that this befell the item.
    fn is_news(&mut self, cell: &Cell, item: &Item, what: &str) -> bool {
        let (name, kind, key) = (&cell.meta.name, item.kind(), item.key());
        let known = format!("{name}\0{kind:?}\0{key}\0{what}");
        // Bounded by what backends may list; forgetting all at once only repeats a warning.
        if self.logged.len() > 50_000 {
            self.logged.clear();
        }
        self.logged.insert(known)
    }
}

/// Keeps what befell an item of a backend, to be shown.
fn note(notes: &mut Notes, cell: &Cell, text: Arc<str>) {
    /// As many are shown of one backend; the log has all.
    const SHOWN: usize = 100;
    let shown = notes.entry(cell.id).or_default();
    if shown.len() < SHOWN {
        shown.push(text);
    }
}

/// Why an item cannot be offered to anybody as it is, if that is so.
fn unfit(live: &Live, item: &Item) -> Option<String> {
    // R26: whoever lists such a tool to clients over HTTP passes on what they must refuse.
    let marks = item.mirror().err().filter(|_| live.info.mirrors);
    if let Some(wrong) = marks {
        return Some(wrong.to_string());
    }
    // Neither era's clients could call it: those tasks are not passed on.
    let tasks = item.is_task_only() && !live.info.modern;
    tasks.then(|| "runs as a task of 2025-11-25 alone".to_owned())
}

/// What clients know an item by; `None` if it is not offered.
fn expose(settings: &Settings, cell: &Cell, item: &Item) -> Option<String> {
    let namespace = cell.meta.namespace.as_ref().filter(|_| settings.namespaces);
    let key = item.key();
    Some(match item.kind() {
        ItemKind::Tool => {
            let rules = &cell.meta.policy.rules;
            if !rules.offers(key) {
                return None;
            }
            name::expose(namespace, rules.public(key))
                .as_str()
                .to_owned()
        }
        ItemKind::Prompt => name::expose(namespace, key).as_str().to_owned(),
        ItemKind::Resource | ItemKind::Template => uri::expose(namespace, key),
    })
}

fn namespaces(cells: &[Arc<Cell>]) -> HashMap<String, Namespace> {
    let mut known = HashMap::new();
    for namespace in cells.iter().filter_map(|c| c.meta.namespace.as_ref()) {
        known.insert(namespace.as_str().to_owned(), namespace.clone());
        known.insert(uri::alias(namespace).into_owned(), namespace.clone());
    }
    known
}
