//! Files of desktop hosts: Claude Desktop, Claude Code, Cursor, VS Code.
//!
//! People have these already, and should not have to write them anew. An entry is turned into one
//! of our backends; what only the host can use is left alone, and said to be ignored unless it is
//! known to change nothing here.

use mcp_router_protocol::name::slug;
use serde_yaml::{Mapping, Value};

use crate::report::{Complaint, Notes, quote};
use crate::yaml::{Path, Places};

/// The top-level keys that hold such entries.
pub(crate) const SECTIONS: [&str; 2] = ["mcpServers", "servers"];

/// Keys of an entry that say nothing about how to reach a server.
pub(crate) const HARMLESS: [&str; 9] = [
    "name",
    "description",
    "icon",
    "version",
    "gallery",
    "dev",
    "autoApprove",
    "alwaysAllow",
    "trust",
];
/// What hosts also call `url`.
pub(crate) const URLS: [&str; 2] = ["serverUrl", "httpUrl"];

/// Turns the entries of a host's file into backends, in place, and drops the top-level keys that
/// belong to the host. Any other file stays as it is.
pub(crate) fn translate(
    file: &mut Value,
    known: impl Fn(&str) -> bool,
    places: &Places,
    notes: &mut Notes,
) {
    let Value::Mapping(top) = file else {
        return;
    };
    let is_host = SECTIONS
        .iter()
        .any(|section| top.get(*section).is_some_and(Value::is_mapping));
    if !is_host {
        return;
    }
    top.retain(|key, _| key.as_str().is_some_and(&known));
    for section in SECTIONS {
        let Some(Value::Mapping(entries)) = top.get_mut(section) else {
            continue;
        };
        for (key, entry) in entries.iter_mut() {
            let (Value::String(key), Value::Mapping(entry)) = (key, entry) else {
                continue;
            };
            let path = Path::root().key(section).key(key);
            let name = match slug(key) {
                Some(name) => name.to_string(),
                None => {
                    let message = format!("{} has nothing that can be a namespace", quote(key));
                    let complaint = Complaint::new(message).at(places.key_place(&path));
                    notes.complain(complaint.help("use letters a-z, digits, `_` and `-`"));
                    notes.bad.insert(path.key("name"));
                    continue;
                }
            };
            if let Some(problem) = self::entry(entry, name) {
                let place = places.place(&path.key("type"));
                notes.complain(Complaint::new(format!("{path}.type {problem}")).at(place));
            }
        }
    }
}

/// One entry as a backend, or what is wrong with its `type`.
fn entry(entry: &mut Mapping, name: String) -> Option<&'static str> {
    for key in HARMLESS {
        entry.shift_remove(key);
    }
    for key in URLS {
        if let Some(url) = entry.shift_remove(key) {
            entry.entry("url".into()).or_insert(url);
        }
    }
    let disabled = entry.shift_remove("disabled") == Some(Value::Bool(true));
    let enabled = entry.shift_remove("enabled") != Some(Value::Bool(false));
    if disabled || !enabled {
        entry.insert("auto_start".into(), Value::Bool(false));
    }
    entry.insert("name".into(), name.clone().into());
    entry.entry("namespace".into()).or_insert(name.into());
    let kind = entry
        .shift_remove("type")
        .or_else(|| entry.get("transport").cloned())?;
    let transport = match kind.as_str() {
        Some("stdio" | "local") => "stdio",
        Some("http" | "streamable-http" | "streamableHttp" | "streamable_http") => {
            "streamable_http"
        }
        Some("sse") => "sse",
        Some("auto" | "remote") => "auto",
        _ => return Some("must be stdio, http or sse"),
    };
    entry.insert("transport".into(), transport.into());
    None
}
