//! How a backend is watched, and when it is left alone.

use std::time::Duration;

use mcp_router_health::{BreakerParams, FailureRate, ProbeMethod, ProbeParams};

use super::{Site, endpoint, seconds};
use crate::raw::{
    RawBackend, RawBreaker, RawFailureRate, RawHealthCheck, RawProbeMethod, RawReplicas,
};
use crate::yaml::Path;

/// How it is probed.
pub(super) fn probe(backend: &RawBackend, path: &Path, site: &mut Site<'_>) -> Option<ProbeParams> {
    let usual = RawHealthCheck::default();
    let raw = backend.health_check.as_ref().unwrap_or(&usual);
    let path = path.key("health_check");
    let usual = ProbeParams::default();
    let interval = seconds(raw.interval_seconds).or(site.said.probe_interval);
    let timeout = seconds(raw.timeout_seconds).or(site.said.probe_timeout);
    let probe = ProbeParams::new(
        interval.unwrap_or_else(|| usual.interval()),
        timeout.unwrap_or_else(|| usual.timeout()),
    );
    if backend.is_process() {
        of_process(raw, &path, site);
    } else if let Some(page) = &raw.endpoint {
        self::page(page, raw, backend, &path, site);
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
                .with_endpoint(raw.endpoint.clone())
                .with_method(method),
        ),
        Err(problem) => {
            site.wrong(&path, problem);
            None
        }
    }
}

/// A process has no pages.
fn of_process(raw: &RawHealthCheck, path: &Path, site: &mut Site<'_>) {
    if raw.endpoint.is_some() {
        site.wrong_key(&path.key("endpoint"), "has no effect with a process");
    }
    if let Some(RawProbeMethod::Get | RawProbeMethod::Options) = raw.method {
        site.wrong(
            &path.key("method"),
            "can only be mcp or auto with a process",
        );
    }
}

/// The page that must answer.
fn page(page: &str, raw: &RawHealthCheck, backend: &RawBackend, path: &Path, site: &mut Site<'_>) {
    let at = path.key("endpoint");
    let several = match &backend.replicas {
        Some(RawReplicas::Servers(servers)) => servers.len() > 1,
        Some(RawReplicas::Processes(_)) | None => false,
    } || backend.urls.as_ref().is_some_and(|urls| urls.len() > 1);
    if !page.starts_with('/') && endpoint::url(page).is_err() {
        site.wrong(&at, "must be a path from `/` or an http or https URL");
    } else if !page.starts_with('/') && several {
        // One page cannot say which of them is well.
        site.wrong(
            &at,
            "must be a path from `/` where there are several servers",
        );
    }
    if let Some(RawProbeMethod::Mcp) = raw.method {
        site.wrong_key(&at, "has no effect with `method: mcp`");
    }
}

/// When it is left alone.
pub(super) fn breaker(
    raw: Option<&RawBreaker>,
    path: &Path,
    site: &mut Site<'_>,
) -> Option<BreakerParams> {
    let path = path.key("circuit_breaker");
    let (usual, unset) = (BreakerParams::default(), RawBreaker::default());
    let raw = raw.unwrap_or(&unset);
    let rate = match &raw.failure_rate {
        Some(rate) => Some(failure_rate(rate, &path, site)?),
        None => None,
    };
    let open_for: Option<Duration> = seconds(raw.timeout_seconds);
    let built = BreakerParams::new(
        raw.failure_threshold
            .unwrap_or_else(|| usual.failure_threshold()),
        open_for.unwrap_or_else(|| usual.open_for()),
        raw.half_open_attempts
            .unwrap_or_else(|| usual.half_open_attempts()),
    );
    match built {
        Ok(breaker) => Some(breaker.with_failure_rate(rate)),
        Err(problem) => {
            site.wrong(&path, problem);
            None
        }
    }
}

fn failure_rate(raw: &RawFailureRate, path: &Path, site: &mut Site<'_>) -> Option<FailureRate> {
    let usual = FailureRate::default();
    let built = FailureRate::new(
        raw.percent.unwrap_or_else(|| usual.percent()),
        raw.min_calls.unwrap_or_else(|| usual.min_calls()),
        seconds(raw.window_seconds).unwrap_or_else(|| usual.window()),
    );
    let wrong = |problem| site.wrong(&path.key("failure_rate"), problem);
    built.map_err(wrong).ok()
}
