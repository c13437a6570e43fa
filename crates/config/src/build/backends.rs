//! All backends: what must hold between them.

use std::collections::{HashMap, HashSet};

use serde_yaml::{Mapping, Value};

use super::{Site, backend};
use crate::model::BackendConfig;
use crate::raw::RawBackend;
use crate::report::{Complaint, quote};
use crate::yaml::Path;

/// Where an entry stands, and whether a desktop host's file holds it.
pub(super) struct Entry {
    pub(super) path: Path,
    pub(super) is_host: bool,
    pub(super) raw: RawBackend,
}

pub(super) fn backends(
    list: Option<Vec<Option<RawBackend>>>,
    mcp_servers: Option<Mapping>,
    servers: Option<Mapping>,
    site: &mut Site<'_>,
) -> Vec<BackendConfig> {
    exclusive(&list, &mcp_servers, &servers, site);
    let mut entries = listed(list.unwrap_or_default(), site);
    entries.extend(hosted("mcpServers", mcp_servers.unwrap_or_default(), site));
    entries.extend(hosted("servers", servers.unwrap_or_default(), site));
    unique(&entries, site);
    idle_fallbacks(&entries, site);
    let names: HashSet<String> = entries.iter().filter_map(|e| e.raw.name.clone()).collect();
    let build = |entry| backend::backend(entry, &names, site);
    entries.into_iter().filter_map(build).collect()
}

/// One backend that stands in no file.
pub(super) fn one(raw: RawBackend, site: &mut Site<'_>) -> Option<BackendConfig> {
    let entry = Entry {
        path: Path::root(),
        is_host: false,
        raw,
    };
    backend::backend(entry, &HashSet::new(), site)
}

/// One way of naming backends a file.
fn exclusive(
    list: &Option<Vec<Option<RawBackend>>>,
    mcp_servers: &Option<Mapping>,
    servers: &Option<Mapping>,
    site: &mut Site<'_>,
) {
    let all = [
        ("backends", list.is_some()),
        ("mcpServers", mcp_servers.is_some()),
        ("servers", servers.is_some()),
    ];
    let mut present = all
        .into_iter()
        .filter(|(_, there)| *there)
        .map(|(name, _)| name);
    let Some(first) = present.next() else {
        return;
    };
    for other in present {
        let place = site.places.key_place(&Path::root().key(first));
        let complaint = Complaint::new(format!("`{first}` and `{other}` in one file"))
            .at(site.places.key_place(&Path::root().key(other)))
            .related(place, "first here")
            .help("put all servers into one of them");
        site.notes.complain(complaint);
    }
}

fn listed(list: Vec<Option<RawBackend>>, site: &mut Site<'_>) -> Vec<Entry> {
    let mut entries = Vec::with_capacity(list.len());
    for (at, raw) in list.into_iter().enumerate() {
        let path = Path::root().key("backends").item(at);
        match raw {
            Some(raw) => entries.push(Entry {
                path,
                is_host: false,
                raw,
            }),
            None => site.missing(&path, "is empty"),
        }
    }
    entries
}

/// The entries of a desktop host's file, already translated.
fn hosted(section: &str, entries: Mapping, site: &mut Site<'_>) -> Vec<Entry> {
    let mut found = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let Value::String(key) = key else {
            continue;
        };
        let path = Path::root().key(section).key(&key);
        if value.is_null() {
            site.missing(&path, "is empty");
            continue;
        }
        match serde_yaml::from_value(value) {
            Ok(raw) => found.push(Entry {
                path,
                is_host: true,
                raw,
            }),
            // The check has seen each key; this says that it missed something.
            Err(_) => site.wrong(&path, "does not describe a server"),
        }
    }
    found
}

fn unique(entries: &[Entry], site: &mut Site<'_>) {
    let mut seen: HashMap<&str, Path> = HashMap::new();
    for entry in entries {
        let Some(name) = entry.raw.name.as_deref() else {
            continue;
        };
        // A host's entry is named by its key.
        let at = |entry: &Entry| match entry.is_host {
            true => entry.path.clone(),
            false => entry.path.key("name"),
        };
        let place = site.places.key_place(&at(entry));
        if let Some(first) = seen.get(name) {
            let complaint = Complaint::new(format!("two backends are named {}", quote(name)))
                .at(place)
                .related(site.places.key_place(first), "the first");
            site.notes.complain(complaint);
        } else {
            seen.insert(name, at(entry));
        }
    }
}

/// A fallback that is never asked looks like safety and is none.
fn idle_fallbacks(entries: &[Entry], site: &mut Site<'_>) {
    let off = entries.iter().filter(|e| e.raw.auto_start == Some(false));
    let off: HashSet<&str> = off.filter_map(|e| e.raw.name.as_deref()).collect();
    for entry in entries {
        let routes = entry.raw.routes.iter().flatten().enumerate();
        for (at, route) in routes {
            let Some(next) = route.as_ref().and_then(|r| r.fallback_to.as_deref()) else {
                continue;
            };
            let problem = if entry.raw.name.as_deref() == Some(next) {
                "is the backend itself"
            } else if off.contains(next) {
                "has `auto_start: false`, so it is never asked"
            } else {
                continue;
            };
            let path = entry.path.key("routes").item(at).key("fallback_to");
            let message = format!("{path}: {} {problem}", quote(next));
            site.notes.warn(message, site.places.place(&path));
        }
    }
}
