//! Merging: from what each backend lists to what clients see.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mcp_router_protocol::params::meta;
use mcp_router_protocol::{Item, ItemKind, Namespace, RawJson, Revision, name, uri};
use serde_json::json;

use super::snapshot::{Entry, Owner, Snapshot, Table};
use crate::backend::{Cell, Live};
use crate::dispatch::manage;
use crate::hub::Settings;
use crate::status::State;

/// Longest share of `instructions` that one backend gets, in bytes.
const MAX_INSTRUCTIONS: usize = 4096;

/// Makes the next snapshot. `old` lends what did not change; `logged` remembers which collisions
/// were reported, so that each is reported once.
pub(crate) fn merge(
    settings: &Settings,
    cells: &[Arc<Cell>],
    old: Option<&Snapshot>,
    logged: &mut HashSet<String>,
) -> Snapshot {
    let lives: Vec<_> = cells.iter().map(|c| (c, c.live.load_full())).collect();
    // Lowest number first, then the order of the file: the first to name an item owns it.
    let mut ranked: Vec<_> = lives.iter().collect();
    ranked.sort_by_key(|(cell, _)| (cell.meta.priority, cell.position));
    let tables = ItemKind::ALL.map(|kind| table(settings, kind, &ranked, old, logged));
    let namespaces = namespaces(settings, cells);
    let discover = discover(settings, &lives);
    Snapshot::new(tables, namespaces, cells.to_vec(), discover)
}

fn table(
    settings: &Settings,
    kind: ItemKind,
    ranked: &[&(&Arc<Cell>, Arc<Live>)],
    old: Option<&Snapshot>,
    logged: &mut HashSet<String>,
) -> Table {
    let mut merged: HashMap<Arc<str>, Entry> = HashMap::new();
    for (cell, live) in ranked {
        let namespace = cell.meta.namespace.as_ref().filter(|_| settings.namespaces);
        for item in live.listing.of(kind).iter() {
            let exposed: Arc<str> = expose(kind, namespace, item.key()).into();
            if kind == ItemKind::Tool && manage::is_reserved(&exposed) {
                report(cell, item, "a management tool", logged);
                continue;
            }
            let owner = Owner {
                cell: Arc::clone(cell),
                item: item.clone(),
            };
            match merged.entry(exposed.clone()) {
                Slot::Vacant(slot) => {
                    let known = old.and_then(|s| s.table(kind).get(&exposed));
                    let definition = definition(&exposed, item, known);
                    slot.insert(Entry {
                        exposed,
                        definition,
                        owners: vec![owner],
                    });
                }
                Slot::Occupied(mut slot) => {
                    let first = &slot.get().owners[0].cell.meta;
                    if first.namespace != cell.meta.namespace || first.name == cell.meta.name {
                        report(cell, item, first.name.as_str(), logged);
                    }
                    // A backend that lists a name twice offers it once.
                    if first.name != cell.meta.name {
                        slot.get_mut().owners.push(owner);
                    }
                }
            }
        }
    }
    Table::new(merged.into_values().collect())
}

fn expose(kind: ItemKind, namespace: Option<&Namespace>, key: &str) -> String {
    match kind {
        ItemKind::Tool | ItemKind::Prompt => name::expose(namespace, key).as_str().to_owned(),
        ItemKind::Resource | ItemKind::Template => uri::expose(namespace, key),
    }
}

/// The definition under its exposed name; the old bytes if nothing in it changed.
fn definition(exposed: &str, item: &Arc<Item>, known: Option<&Entry>) -> bytes::Bytes {
    match known {
        Some(entry) if Arc::ptr_eq(&entry.owners[0].item, item) => entry.definition.clone(),
        _ => item.exposed_as(exposed),
    }
}

fn report(cell: &Cell, item: &Item, winner: &str, logged: &mut HashSet<String>) {
    let key = format!(
        "{}\0{:?}\0{}\0{winner}",
        cell.meta.name,
        item.kind(),
        item.key()
    );
    // Bounded by what backends may list; forgetting all at once only repeats a warning.
    if logged.len() > 50_000 {
        logged.clear();
    }
    if logged.insert(key) {
        tracing::warn!(
            backend = %cell.meta.name, item = %item.key().escape_debug(), %winner,
            "name collision: item is not offered under its own definition"
        );
    }
}

fn namespaces(settings: &Settings, cells: &[Arc<Cell>]) -> HashMap<String, Namespace> {
    let mut known = HashMap::new();
    if settings.namespaces {
        for namespace in cells.iter().filter_map(|c| c.meta.namespace.as_ref()) {
            known.insert(namespace.as_str().to_owned(), namespace.clone());
            known.insert(uri::alias(namespace).into_owned(), namespace.clone());
        }
    }
    known
}

/// What `server/discover` says. A feature is advertised if any backend has it, or may turn out to
/// have it: clients that connect before the backends did would otherwise never ask again.
fn discover(settings: &Settings, lives: &[(&Arc<Cell>, Arc<Live>)]) -> RawJson {
    let any = |capability: &str| {
        lives.iter().any(|(_, live)| {
            let unknown = live.info.capabilities.is_none() && !live.listing.complete;
            live.state != State::Disabled && (unknown || live.info.can(capability))
        })
    };
    let mut capabilities = json!({ "tools": { "listChanged": true } });
    for feature in ["prompts", "resources"] {
        let listed = ItemKind::ALL.iter().any(|kind| {
            kind.capability() == feature
                && lives
                    .iter()
                    .any(|(_, live)| !live.listing.of(*kind).is_empty())
        });
        if listed || any(feature) {
            capabilities[feature] = json!({ "listChanged": true });
        }
    }
    if any("completions") || any("prompts") {
        // Servers of 2024-11-05 complete without saying so.
        capabilities["completions"] = json!({});
    }
    let versions: Vec<_> = Revision::ALL.iter().map(|r| r.as_str()).collect();
    let server = json!({ "name": settings.server_name, "version": settings.server_version });
    let mut result = json!({
        "resultType": "complete",
        "supportedVersions": versions,
        "capabilities": capabilities,
        "ttlMs": 5000,
        "cacheScope": "private",
        "_meta": { meta::SERVER_INFO: server },
    });
    if let Some(text) = instructions(lives) {
        result["instructions"] = text.into();
    }
    RawJson::of(&result)
}

/// One labelled block for each backend that tells models something.
fn instructions(lives: &[(&Arc<Cell>, Arc<Live>)]) -> Option<String> {
    let mut blocks = Vec::new();
    for (cell, live) in lives {
        let Some(text) = live
            .info
            .instructions
            .as_deref()
            .filter(|t| !t.trim().is_empty())
        else {
            continue;
        };
        let label = cell
            .meta
            .namespace
            .as_ref()
            .map_or(cell.meta.name.as_str(), |n| n.as_str());
        let cut = text.floor_char_boundary(MAX_INSTRUCTIONS);
        blocks.push(format!("## {label}\n{}", &text[..cut]));
    }
    (!blocks.is_empty()).then(|| blocks.join("\n\n"))
}
