//! What is done with tools by name.

use std::collections::HashSet;

use mcp_router_routing::{Route, Strategy};

use super::{Site, strategy};
use crate::raw::RawRoute;
use crate::report::{Complaint, nearest, quote};
use crate::yaml::Path;

pub(super) fn routes(
    raw: &[Option<RawRoute>],
    path: &Path,
    names: &HashSet<String>,
    site: &mut Site<'_>,
) -> Vec<Route> {
    let mut routes = Vec::with_capacity(raw.len());
    for (at, raw) in raw.iter().enumerate() {
        let path = path.key("routes").item(at);
        let Some(raw) = raw else {
            site.missing(&path, "is empty");
            continue;
        };
        let pattern = match &raw.pattern {
            Some(pattern) => site.parse(&path.key("pattern"), pattern),
            None => {
                site.missing(
                    &path.key("pattern"),
                    "is missing: every route has a pattern",
                );
                None
            }
        };
        let fallback_to = raw.fallback_to.as_deref();
        let fallback_to = fallback_to.and_then(|name| existing(name, &path, names, site));
        let strategy = match raw.strategy {
            // Whoever names the next one wants it to be asked.
            None if raw.fallback_to.is_some() => Some(Strategy::Fallback),
            said => said.map(strategy),
        };
        if fallback_to.is_some() && matches!(strategy, Some(Strategy::Path | Strategy::Capability))
        {
            let place = site.places.key_place(&path.key("fallback_to"));
            let message = format!("{path}.fallback_to is used with `strategy: fallback` only");
            site.notes.warn(message, place);
        }
        if let Some(pattern) = pattern {
            routes.push(Route {
                pattern,
                strategy,
                fallback_to,
            });
        }
    }
    routes
}

/// The backend of that name, which must be one of ours.
fn existing<T: std::str::FromStr>(
    name: &str,
    path: &Path,
    names: &HashSet<String>,
    site: &mut Site<'_>,
) -> Option<T> {
    if names.contains(name) {
        // Its own entry says what is wrong with the name, if anything.
        return name.parse().ok();
    }
    let at = path.key("fallback_to");
    let near = nearest(name, names.iter().map(String::as_str));
    let complaint = Complaint::new(format!("{at} names {}, which is no backend", quote(name)))
        .at(site.places.place(&at))
        .maybe_help(near.map(|near| format!("did you mean {}?", quote(near))));
    site.notes.complain(complaint);
    None
}
