//! The operator's word on the tools of a backend.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use mcp_router_protocol::name::check_item_name;
use mcp_router_routing::{RoutePattern, ToolRules};
use serde_yaml::{Mapping, Value};

use super::{Site, seconds};
use crate::raw::RawTools;
use crate::report::{Complaint, quote};
use crate::yaml::Path;

/// Range of a time, in seconds: at most a week.
const SECONDS: std::ops::RangeInclusive<f64> = 1.0..=604_800.0;

pub(super) fn tools(raw: Option<&RawTools>, path: &Path, site: &mut Site<'_>) -> ToolRules {
    let Some(raw) = raw else {
        return ToolRules::default();
    };
    let path = path.key("tools");
    let allow = raw.allow.as_deref();
    let deny = raw.deny.as_deref().unwrap_or_default();
    let idempotent = raw.idempotent.as_deref().unwrap_or_default();
    ToolRules {
        allow: allow.map(|texts| patterns(texts, &path.key("allow"), site)),
        deny: patterns(deny, &path.key("deny"), site),
        rename: rename(raw.rename.as_ref(), &path.key("rename"), site),
        idempotent: patterns(idempotent, &path.key("idempotent"), site),
        timeouts: timeouts(
            raw.timeout_seconds.as_ref(),
            &path.key("timeout_seconds"),
            site,
        ),
    }
}

fn patterns(texts: &[String], path: &Path, site: &mut Site<'_>) -> Vec<RoutePattern> {
    let texts = texts.iter().enumerate();
    let parsed = texts.filter_map(|(at, text)| site.parse(&path.item(at), text));
    parsed.collect()
}

/// New names must be names, and no two tools may get the same one.
fn rename(
    raw: Option<&BTreeMap<String, String>>,
    path: &Path,
    site: &mut Site<'_>,
) -> Vec<(String, String)> {
    let mut taken: HashMap<&str, Path> = HashMap::new();
    for (from, to) in raw.into_iter().flatten() {
        let at = path.key(from);
        if let Err(problem) = check_item_name(to) {
            site.wrong(&at, format_args!("is not valid: {problem}"));
        }
        if let Some(first) = taken.get(to.as_str()) {
            let complaint = Complaint::new(format!("two tools are renamed to {}", quote(to)))
                .at(site.places.place(&at))
                .related(site.places.place(first), "the first");
            site.notes.complain(complaint);
        } else {
            taken.insert(to, at);
        }
    }
    let pairs = raw.into_iter().flatten();
    pairs.map(|(from, to)| (from.clone(), to.clone())).collect()
}

/// In the order of the file: the first that fits counts.
fn timeouts(
    raw: Option<&Mapping>,
    path: &Path,
    site: &mut Site<'_>,
) -> Vec<(RoutePattern, Duration)> {
    let mut found = Vec::new();
    for (pattern, time) in raw.into_iter().flatten() {
        // The check of the file has seen to it that they are texts and numbers.
        let (Value::String(text), Some(time)) = (pattern, time.as_f64()) else {
            continue;
        };
        let at = path.key(text);
        let pattern = match text.parse::<RoutePattern>() {
            Ok(pattern) => pattern,
            Err(problem) => {
                site.wrong_key(&at, format_args!("is not valid: {problem}"));
                continue;
            }
        };
        match seconds(Some(time).filter(|time| SECONDS.contains(time))) {
            Some(time) => found.push((pattern, time)),
            None => {
                let (least, most) = (SECONDS.start(), SECONDS.end());
                site.wrong(&at, format_args!("must be between {least} and {most}"));
            }
        }
    }
    found
}
