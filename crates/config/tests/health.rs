//! How a backend is watched and when it is left alone, as the file says it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::time::Duration;

use common::{complaints, load_text};
use mcp_router_config::BackendConfig;

fn backend(keys: &str) -> BackendConfig {
    let text = format!("backends: [{{ name: a, namespace: a, {keys} }}]");
    let loaded = load_text(&text).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    loaded.config.backends[0].clone()
}

#[test]
fn each_key_of_a_probe_arrives() {
    let probe = backend(
        "url: 'http://h', health_check: { enabled: false, interval_seconds: 7, timeout_seconds: 1.5, endpoint: /healthz, method: options }",
    )
    .probe;
    assert!(!probe.enabled());
    assert_eq!(probe.interval(), Duration::from_secs(7));
    assert_eq!(probe.timeout(), Duration::from_millis(1500));
    assert_eq!(probe.endpoint(), Some("/healthz"));
    assert_eq!(probe.method().as_str(), "options");
    let usual = backend("url: 'http://h'").probe;
    assert!(usual.enabled() && usual.endpoint().is_none());
    assert_eq!(usual.method().as_str(), "auto");
    assert_eq!(usual.interval(), Duration::from_secs(30));
    assert_eq!(usual.timeout(), Duration::from_secs(5));
}

#[test]
fn each_key_of_a_breaker_arrives() {
    let breaker = backend(
        "url: 'http://h', circuit_breaker: { failure_threshold: 2, timeout_seconds: 9, half_open_attempts: 4 }",
    )
    .breaker;
    assert_eq!(breaker.failure_threshold(), 2);
    assert_eq!(breaker.open_for(), Duration::from_secs(9));
    assert_eq!(breaker.half_open_attempts(), 4);
    assert_eq!(breaker.failure_rate(), None);
}

#[test]
fn a_share_of_failures_counts_only_when_it_is_asked_for() {
    let rate = |keys: &str| {
        let backend = backend(&format!("url: 'http://h', circuit_breaker: {{ {keys} }}"));
        let rate = backend.breaker.failure_rate()?;
        Some((rate.percent(), rate.min_calls(), rate.window().as_secs()))
    };
    assert_eq!(rate("failure_rate: null"), None);
    assert_eq!(rate("failure_rate: {}"), Some((50, 20, 10)));
    let own = "failure_rate: { percent: 10, min_calls: 5, window_seconds: 60 }";
    assert_eq!(rate(own), Some((10, 5, 60)));
}

#[test]
fn safety_laziness_and_balancing_arrive() {
    let usual = backend("url: 'http://h'");
    assert_eq!(usual.safety.as_str(), "standard");
    assert_eq!(usual.balancing.as_str(), "round_robin");
    assert!(!usual.lazy);
    for word in ["strict", "standard", "trusting"] {
        let safety = backend(&format!("url: 'http://h', retry: {{ safety: {word} }}")).safety;
        assert_eq!(safety.as_str(), word);
    }
    for word in ["round_robin", "least_connections", "peak_ewma", "priority"] {
        let two = format!("urls: ['http://h', 'http://i'], load_balancing: {word}");
        assert_eq!(backend(&two).balancing.as_str(), word);
    }
    assert!(backend("command: c, lazy: true").lazy);
}

#[test]
fn what_contradicts_itself_is_refused() {
    for (keys, complaint) in [
        (
            "command: c, health_check: { endpoint: /health }",
            "health_check.endpoint has no effect with a process",
        ),
        (
            "command: c, health_check: { method: get }",
            "health_check.method can only be mcp or auto with a process",
        ),
        (
            "url: 'http://h', health_check: { method: mcp, endpoint: /x }",
            "health_check.endpoint has no effect with `method: mcp`",
        ),
        (
            "urls: ['http://h', 'http://i'], health_check: { endpoint: 'http://h/health' }",
            "must be a path from `/` where there are several servers",
        ),
        (
            "url: 'http://h', health_check: { endpoint: 'health' }",
            "must be a path from `/` or an http or https URL",
        ),
        (
            "url: 'http://h', circuit_breaker: { failure_rate: { percent: 101 } }",
            "failure_rate.percent must be between 1 and 100",
        ),
    ] {
        let text = format!("backends: [{{ name: a, namespace: a, {keys} }}]");
        let found = complaints(&text, &[]);
        assert!(
            found.len() == 1 && found[0].contains(complaint),
            "{keys}: {found:?}"
        );
    }
}

#[test]
fn a_fallback_that_is_never_asked_is_a_warning() {
    let text = "backends: [{ name: a, namespace: a, url: 'http://h', routes: [{ pattern: 'x', fallback_to: a }, { pattern: 'y', fallback_to: b }, { pattern: 'z', fallback_to: c }] }, { name: b, command: b, auto_start: false }, { name: c, command: c }]";
    let warnings = load_text(text).unwrap().warnings;
    let messages: Vec<&str> = warnings.iter().map(|w| w.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "backends[0].routes[0].fallback_to: `a` is the backend itself",
            "backends[0].routes[1].fallback_to: `b` has `auto_start: false`, so it is never asked",
        ]
    );
}

#[test]
fn a_route_with_a_fallback_is_a_fallback() {
    let text = "backends: [{ name: a, namespace: a, url: 'http://h', routes: [{ pattern: 'x', fallback_to: b }, { pattern: 'y' }, { pattern: 'z', strategy: path }] }, { name: b, command: b }]";
    let config = load_text(text).unwrap().config;
    let strategies: Vec<_> = config.backends[0]
        .routes
        .iter()
        .map(|route| route.strategy.map(|strategy| strategy.as_str()))
        .collect();
    assert_eq!(strategies, [Some("fallback"), None, Some("path")]);
}
