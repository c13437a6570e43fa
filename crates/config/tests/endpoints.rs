//! Where a backend may be: one server, several, a process, several, or what `uvx` starts.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{complaints, load_text, load_with};
use mcp_router_config::{CommandEndpoint, EndpointConfig, HttpEndpoint};

fn endpoint(backend: &str) -> EndpointConfig {
    let loaded = load_text(&format!(
        "backends: [{{ name: a, namespace: a, {backend} }}]"
    ))
    .unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    loaded.config.backends[0].endpoint.clone()
}

fn http(backend: &str) -> HttpEndpoint {
    match endpoint(backend) {
        EndpointConfig::Http(http) => http,
        other => panic!("{other:?}"),
    }
}

fn command(backend: &str) -> CommandEndpoint {
    match endpoint(backend) {
        EndpointConfig::Command(command) => command,
        other => panic!("{other:?}"),
    }
}

#[test]
fn urls_and_replicas_are_servers_in_the_order_of_the_file() {
    let servers = |backend: &str| {
        let servers = http(backend).servers;
        let text = |s: &mcp_router_config::HttpServer| format!("{} {}", s.url, s.priority);
        servers.iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(servers("url: 'http://a/'"), ["http://a/ 10"]);
    assert_eq!(
        servers("urls: ['http://b/', 'http://a/']"),
        ["http://b/ 10", "http://a/ 10"]
    );
    assert_eq!(
        servers(
            "load_balancing: priority, replicas: [{url: 'http://a/', priority: 2}, {url: 'http://b/'}]"
        ),
        ["http://a/ 2", "http://b/ 10"]
    );
}

#[test]
fn a_number_of_replicas_is_a_number_of_processes() {
    assert_eq!(command("command: c").processes, 1);
    assert_eq!(command("command: c, replicas: 3").processes, 3);
    assert_eq!(command("source: pkg, replicas: 3").processes, 3);
    let found = complaints("backends: [{ name: a, command: c, replicas: 0 }]", &[]);
    assert_eq!(
        found,
        ["1:45 backends[0].replicas must be between 1 and 1000"]
    );
}

#[test]
fn repositories_and_packages_are_started_by_uvx() {
    let line = |backend: &str| {
        let command = command(backend);
        format!("{} {}", command.program, command.args.join(" "))
    };
    assert_eq!(
        line("source: 'github:owner/repo'"),
        "uvx --from git+https://github.com/owner/repo repo"
    );
    assert_eq!(
        line("source: 'github:owner/repo@v1.2', args: ['--verbose']"),
        "uvx --from git+https://github.com/owner/repo@v1.2 repo --verbose"
    );
    assert_eq!(line("source: mcp-server-time"), "uvx mcp-server-time");
    // Of a process the name gives the namespace.
    let loaded = load_text("backends: [{ name: Time, source: mcp-server-time }]").unwrap();
    assert_eq!(loaded.config.backends[0].namespace.as_str(), "time");
}

#[test]
fn a_source_from_a_variable_is_not_shown() {
    let text = "backends: [{ name: a, source: '${PACKAGE}' }]";
    let loaded = load_with(text, &[("PACKAGE", "swordfish")]).unwrap();
    let shown = format!("{loaded:?}{}", loaded.config.to_yaml());
    assert!(!shown.contains("swordfish"), "{shown}");
}

#[test]
fn each_wrong_server_is_named() {
    for (backend, complaint) in [
        ("urls: []", "backends[0].urls must not be empty"),
        ("replicas: []", "backends[0].replicas must not be empty"),
        (
            "urls: ['http://a', 'ftp://a']",
            "backends[0].urls[1] must start with http",
        ),
        (
            "replicas: [{ priority: 1 }]",
            "backends[0].replicas[0].url is missing",
        ),
        ("replicas: [null]", "backends[0].replicas[0] is empty"),
        (
            "urls: ['http://a', 'http://b', 'http://a']",
            "backends[0].urls[2] repeats backends[0].urls[0]",
        ),
        (
            "urls: ['http://a'], url: 'http://b'",
            "urls cannot be set beside `url`",
        ),
        (
            "source: '@scope/package'",
            "backends[0].source must be a URL, github:owner/repo",
        ),
        (
            "source: 'github:owner'",
            "backends[0].source must look like github:owner/repo",
        ),
    ] {
        let text = format!("backends: [{{ name: a, namespace: a, {backend} }}]");
        let found = complaints(&text, &[]);
        assert!(
            found.len() == 1 && found[0].contains(complaint),
            "{backend}: {found:?}"
        );
    }
}

#[test]
fn what_would_do_nothing_is_said() {
    for (backend, warning) in [
        (
            "url: 'http://a', load_balancing: peak_ewma",
            "backends[0].load_balancing has no effect",
        ),
        (
            "replicas: [{url: 'http://a'}, {url: 'http://b', priority: 1}]",
            "backends[0].replicas[1].priority has no effect without `load_balancing: priority`",
        ),
    ] {
        let text = format!("backends: [{{ name: a, namespace: a, {backend} }}]");
        let warnings = load_text(&text).unwrap().warnings;
        assert!(
            warnings.len() == 1 && warnings[0].message.contains(warning),
            "{backend}: {warnings:?}"
        );
    }
}
