//! What the router says of itself: everything that any of its backends can.

use std::sync::Arc;

use mcp_router_protocol::params::meta;
use mcp_router_protocol::{ItemKind, RawJson, Revision};
use serde_json::{Map, Value, json};

use crate::backend::{Cell, Live};
use crate::hub::Settings;
use crate::status::State;

/// Longest share of `instructions` that one backend gets, in bytes.
const MAX_INSTRUCTIONS: usize = 4096;
/// Extensions whose messages the router carries. It cannot know what others would need.
const EXTENSIONS: [&str; 2] = [
    "io.modelcontextprotocol/tasks",
    "io.modelcontextprotocol/ui",
];

type Lives = [(Arc<Cell>, Arc<Live>)];

/// What `server/discover` says, less for how long. A feature is advertised if any backend has it, or may turn out to
/// have it: clients that connect before the backends did would otherwise never ask again.
pub(super) fn discover(settings: &Settings, lives: &Lives) -> RawJson {
    let versions: Vec<_> = Revision::ALL.iter().map(|r| r.as_str()).collect();
    let server = json!({ "name": settings.server_name, "version": settings.server_version });
    let mut result = json!({
        "resultType": "complete",
        "supportedVersions": versions,
        "capabilities": capabilities(lives),
        "_meta": { meta::SERVER_INFO: server },
    });
    if let Some(text) = instructions(lives) {
        result["instructions"] = text.into();
    }
    RawJson::of(&result)
}

fn capabilities(lives: &Lives) -> Value {
    let any = |has: &dyn Fn(&Live) -> bool| {
        lives.iter().any(|(_, live)| {
            let unknown = live.info.capabilities.is_none() && !live.listing.complete;
            live.state != State::Disabled && (unknown || has(live))
        })
    };
    let declares = |capability: &'static str| any(&|live| live.info.can(capability));
    // The router watches the lists itself.
    let mut all = json!({ "tools": { "listChanged": true } });
    for feature in ["prompts", "resources"] {
        let kinds = ItemKind::ALL.iter().filter(|k| k.capability() == feature);
        let lists = |live: &Live| kinds.clone().any(|kind| !live.listing.of(*kind).is_empty());
        if lives.iter().any(|(_, live)| lists(live)) || declares(feature) {
            all[feature] = json!({ "listChanged": true });
        }
    }
    if any(&subscribes) {
        all["resources"]["listChanged"] = true.into();
        all["resources"]["subscribe"] = true.into();
    }
    if declares("completions") || declares("prompts") {
        // Servers of 2024-11-05 complete without saying so.
        all["completions"] = json!({});
    }
    if declares("logging") {
        all["logging"] = json!({});
    }
    let extensions = extensions(lives);
    if !extensions.is_empty() {
        all["extensions"] = extensions.into();
    }
    all
}

fn subscribes(live: &Live) -> bool {
    let resources = live
        .info
        .capabilities
        .as_ref()
        .and_then(|c| c.get("resources"));
    let subscribe = resources.and_then(|r| r.get("subscribe"));
    subscribe.is_some_and(|value| value.as_str() == "true")
}

/// The known extensions that any backend has, with the settings of the first one.
fn extensions(lives: &Lives) -> Map<String, Value> {
    let of = |live: &Live, name: &str| {
        live.info
            .capabilities
            .as_ref()?
            .get("extensions")?
            .get(name)
    };
    let first = |name| lives.iter().find_map(|(_, live)| of(live, name));
    let known = EXTENSIONS.into_iter();
    let known = known.filter_map(|name| Some((name.to_owned(), first(name)?.read_owned().ok()?)));
    known.collect()
}

/// One labelled block for each backend that tells models something.
fn instructions(lives: &Lives) -> Option<String> {
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
