//! One backend.

use std::collections::HashSet;

use mcp_router_health::Safety;
use mcp_router_protocol::name::{Namespace, slug};
use mcp_router_routing::balance::Policy;

use super::backends::Entry;
use super::{Site, endpoint, health, routes, seconds, tools};
use crate::model::{BackendConfig, EndpointConfig, SessionMode};
use crate::raw::{RawBackend, RawBalancing, RawReplica, RawReplicas, RawSafety, RawSession};
use crate::yaml::Path;

/// The priority of a backend that sets none, as in the Python router.
pub(super) const PRIORITY: u32 = 10;

/// Everything wrong with a backend is said, whether or not it can be built.
pub(super) fn backend(
    entry: Entry,
    names: &HashSet<String>,
    site: &mut Site<'_>,
) -> Option<BackendConfig> {
    let Entry { path, is_host, raw } = entry;
    let name = match &raw.name {
        Some(name) => site.parse(&path.key("name"), name),
        None => {
            site.missing(&path.key("name"), "is missing: every backend has a name");
            None
        }
    };
    let namespace = namespace(&raw, &path, site);
    let endpoint = endpoint::endpoint(&raw, &path, is_host, site);
    let routes = routes::routes(
        raw.routes.as_deref().unwrap_or_default(),
        &path,
        names,
        site,
    );
    let probe = health::probe(&raw, &path, site);
    let breaker = health::breaker(raw.circuit_breaker.as_ref(), &path, site);
    let tools = tools::tools(raw.tools.as_ref(), &path, site);
    let balancing = balancing(&raw, endpoint.as_ref(), &path, site);
    let safety = raw.retry.and_then(|retry| retry.safety).map(safety);
    Some(BackendConfig {
        name: name?,
        namespace: namespace?,
        priority: raw.priority.unwrap_or(PRIORITY),
        auto_start: raw.auto_start.unwrap_or(true),
        endpoint: endpoint?,
        timeout: seconds(raw.timeout_seconds),
        max_concurrency: raw.max_concurrency,
        session: match raw.session {
            None | Some(RawSession::Auto) => SessionMode::Auto,
            Some(RawSession::Shared) => SessionMode::Shared,
            Some(RawSession::PerClient) => SessionMode::PerClient,
        },
        probe: probe?,
        breaker: breaker?,
        safety: safety.unwrap_or_default(),
        balancing,
        lazy: raw.lazy.unwrap_or(false),
        routes,
        tools,
    })
}

fn namespace(raw: &RawBackend, path: &Path, site: &mut Site<'_>) -> Option<Namespace> {
    let at = path.key("namespace");
    if let Some(namespace) = &raw.namespace {
        let parsed = namespace.parse().ok();
        if parsed.is_none() {
            site.wrong(&at, "must be 1 to 64 of a-z, 0-9, `_` and `-`");
        }
        return parsed;
    }
    if ["name", "command", "source"]
        .iter()
        .any(|key| site.notes.bad.contains(&path.key(key)))
    {
        // Whether one is needed, and what it would be, is not known.
        return None;
    }
    if !raw.is_process() {
        let servers = matches!(raw.replicas, Some(RawReplicas::Servers(_)));
        if raw.url.is_none() && raw.source.is_none() && raw.urls.is_none() && !servers {
            // One complaint, that it is nowhere, is enough.
            return None;
        }
        site.missing(&at, "is missing: a backend with a URL has a namespace");
        return None;
    }
    let made = raw.name.as_deref().and_then(slug);
    if made.is_none() {
        site.missing(&at, "is missing, and none can be made from the name");
    }
    made
}

/// How calls are spread; what would do nothing is a warning.
fn balancing(
    raw: &RawBackend,
    endpoint: Option<&EndpointConfig>,
    path: &Path,
    site: &mut Site<'_>,
) -> Policy {
    let policy = match raw.load_balancing {
        None | Some(RawBalancing::RoundRobin) => Policy::RoundRobin,
        Some(RawBalancing::LeastConnections) => Policy::LeastConnections,
        Some(RawBalancing::PeakEwma) => Policy::PeakEwma,
        Some(RawBalancing::Priority) => Policy::Priority,
    };
    let at = path.key("load_balancing");
    if raw.load_balancing.is_some() && endpoint.is_some_and(|endpoint| endpoint.count() == 1) {
        let message = format!("{at} has no effect: the backend is one server or process");
        site.notes.warn(message, site.places.key_place(&at));
    }
    let Some(RawReplicas::Servers(servers)) = &raw.replicas else {
        return policy;
    };
    let set = |replica: &Option<RawReplica>| replica.as_ref().is_some_and(|r| r.priority.is_some());
    if policy != Policy::Priority
        && let Some(item) = servers.iter().position(set)
    {
        let at = path.key("replicas").item(item).key("priority");
        let message = format!("{at} has no effect without `load_balancing: priority`");
        site.notes.warn(message, site.places.key_place(&at));
    }
    policy
}

fn safety(raw: RawSafety) -> Safety {
    match raw {
        RawSafety::Strict => Safety::Strict,
        RawSafety::Standard => Safety::Standard,
        RawSafety::Trusting => Safety::Trusting,
    }
}
