//! One backend.

use std::collections::HashSet;
use std::time::Duration;

use mcp_router_health::{BreakerParams, ProbeMethod, ProbeParams};
use mcp_router_protocol::name::{Namespace, slug};
use mcp_router_routing::Strategy;

use super::backends::Entry;
use super::{Site, endpoint, later, seconds, strategy};
use crate::model::{BackendConfig, Route, SessionMode};
use crate::raw::{
    RawBackend, RawBreaker, RawHealthCheck, RawProbeMethod, RawReplicas, RawRoute, RawSession,
};
use crate::report::{Complaint, nearest, quote};
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
    let routes = routes(
        raw.routes.as_deref().unwrap_or_default(),
        &path,
        names,
        site,
    );
    let probe = probe(raw.health_check.unwrap_or_default(), &path, site);
    let breaker = breaker(&raw.circuit_breaker.unwrap_or_default(), &path, site);
    later::tools(raw.tools.as_ref(), &path, site);
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
        routes,
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

fn routes(
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
        let strategy = raw.strategy.map(strategy);
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

fn probe(raw: RawHealthCheck, path: &Path, site: &mut Site<'_>) -> Option<ProbeParams> {
    let path = path.key("health_check");
    let usual = ProbeParams::default();
    let interval = seconds(raw.interval_seconds).or(site.said.probe_interval);
    let timeout = seconds(raw.timeout_seconds).or(site.said.probe_timeout);
    let probe = ProbeParams::new(
        interval.unwrap_or_else(|| usual.interval()),
        timeout.unwrap_or_else(|| usual.timeout()),
    );
    if let Some(endpoint) = &raw.endpoint
        && !endpoint.starts_with('/')
        && endpoint::url(endpoint).is_err()
    {
        site.wrong(
            &path.key("endpoint"),
            "must be a path from `/` or an http or https URL",
        );
    }
    let method = match raw.method {
        None | Some(RawProbeMethod::Auto) => ProbeMethod::Auto,
        Some(RawProbeMethod::Get) => ProbeMethod::Get,
        Some(RawProbeMethod::Options) => ProbeMethod::Options,
        Some(RawProbeMethod::Mcp) => ProbeMethod::Mcp,
    };
    match probe {
        Ok(probe) => Some(
            probe
                .with_enabled(raw.enabled.unwrap_or(true))
                .with_endpoint(raw.endpoint)
                .with_method(method),
        ),
        Err(problem) => {
            site.wrong(&path, problem);
            None
        }
    }
}

fn breaker(raw: &RawBreaker, path: &Path, site: &mut Site<'_>) -> Option<BreakerParams> {
    let usual = BreakerParams::default();
    let open_for: Option<Duration> = seconds(raw.timeout_seconds);
    let built = BreakerParams::new(
        raw.failure_threshold
            .unwrap_or_else(|| usual.failure_threshold()),
        open_for.unwrap_or_else(|| usual.open_for()),
        raw.half_open_attempts
            .unwrap_or_else(|| usual.half_open_attempts()),
    );
    match built {
        Ok(breaker) => Some(breaker),
        Err(problem) => {
            site.wrong(&path.key("circuit_breaker"), problem);
            None
        }
    }
}
