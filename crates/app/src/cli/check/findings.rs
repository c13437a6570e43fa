//! What is probably not meant: patterns that match nothing, and names that change.

use std::fmt::Display;

use mcp_router_config::BackendConfig;
use mcp_router_core::ToolEntry;
use mcp_router_protocol::Profile;
use serde::Serialize;

/// Most names that are shown for one host; the rest are counted.
const MOST_NAMES: usize = 5;

/// A key of a backend that matches none of the tools that it lists.
#[derive(Debug, Eq, PartialEq, Serialize)]
pub(super) struct Unused {
    pub(super) backend: String,
    /// Where it stands, below the backend: `routes[0].pattern`.
    pub(super) key: String,
    pub(super) value: String,
    /// Whether that may be meant: a route of strategy `path` is for tools that are not listed.
    pub(super) may_be_meant: bool,
}

/// What of a backend's settings is about tools that it does not list.
pub(super) fn unused(backend: &BackendConfig, listed: &[String]) -> Vec<Unused> {
    let mut found = Vec::new();
    let mut note = |key: String, value: &dyn Display, used: bool, may_be_meant: bool| {
        if !used {
            found.push(Unused {
                backend: backend.name.to_string(),
                key,
                value: value.to_string(),
                may_be_meant,
            });
        }
    };
    for (at, route) in backend.routes.iter().enumerate() {
        let used = listed.iter().any(|name| route.pattern.matches(name));
        let path = route.strategy.is_some_and(|s| s.as_str() == "path");
        note(format!("routes[{at}].pattern"), &route.pattern, used, path);
    }
    let rules = &backend.tools;
    let lists = [
        ("allow", rules.allow.as_deref().unwrap_or_default()),
        ("deny", &rules.deny),
        ("idempotent", &rules.idempotent),
    ];
    for (key, patterns) in lists {
        for (at, pattern) in patterns.iter().enumerate() {
            let used = listed.iter().any(|name| pattern.matches(name));
            note(format!("tools.{key}[{at}]"), pattern, used, false);
        }
    }
    for (pattern, _) in &rules.timeouts {
        let used = listed.iter().any(|name| pattern.matches(name));
        note("tools.timeout_seconds".to_owned(), pattern, used, false);
    }
    for (own, _) in &rules.rename {
        let used = listed.iter().any(|name| name == own);
        note("tools.rename".to_owned(), own, used, false);
    }
    found
}

/// What one kind of host calls other than the operator does.
#[derive(Debug, Serialize)]
pub(super) struct Renaming {
    pub(super) host: &'static str,
    pub(super) count: usize,
    /// The first few of them.
    pub(super) names: Vec<Renamed>,
}

#[derive(Debug, Serialize)]
pub(super) struct Renamed {
    pub(super) tool: String,
    pub(super) shown_as: String,
}

impl Renaming {
    pub(super) fn of(host: Profile, tools: &[ToolEntry]) -> Self {
        let renamed = || tools.iter().filter(|tool| tool.name != tool.exposed);
        let names = renamed().take(MOST_NAMES).map(|tool| Renamed {
            tool: tool.exposed.clone(),
            shown_as: tool.name.clone(),
        });
        Self {
            host: host.as_str(),
            count: renamed().count(),
            names: names.collect(),
        }
    }
}
