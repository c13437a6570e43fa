//! Where settings come from, and which of them wins.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::path::PathBuf;
use std::time::Duration;

use common::{env, load_with};
use mcp_router_config::{Flags, LoadInput, LogFormat, load, without_file};

const FILE: &str = "
backends: [{ name: a, url: 'http://h', namespace: a, health_check: { interval_seconds: 7 } }, { name: b, command: c }]
routing: { request_timeout_seconds: 5, capability_cache_ttl_seconds: 6, enable_namespace_prefixing: true, retry: { max_attempts: 9 } }
";

#[test]
fn the_environment_beats_the_file_and_that_the_defaults() {
    let variables = [
        ("MCP_REQUEST_TIMEOUT", "50"),
        ("MCP_ENABLE_NAMESPACES", "no"),
        ("MCP_MAX_RETRIES", "1"),
        ("MCP_HEALTH_CHECK_INTERVAL", "40"),
        ("MCP_SERVER_NAME", "hub"),
    ];
    let config = load_with(FILE, &variables).unwrap().config;
    assert_eq!(config.routing.request_timeout, Duration::from_secs(50));
    assert_eq!(config.routing.cache_ttl, Duration::from_secs(6));
    assert!(!config.routing.enable_namespace_prefixing);
    assert_eq!(config.routing.retry.max_attempts, 1);
    assert_eq!(config.routing.retry.backoff.cap(), Duration::from_secs(10));
    assert_eq!(config.server.name, "hub");
    // Of a probe the variable is only the default of backends that say nothing themselves.
    let intervals: Vec<u64> = config
        .backends
        .iter()
        .map(|b| b.probe.interval().as_secs())
        .collect();
    assert_eq!(intervals, [7, 40]);
}

#[test]
fn a_flag_beats_the_environment() {
    let input = LoadInput {
        env: env(&[
            ("MCP_HOST", "10.0.0.1"),
            ("MCP_PORT", "1"),
            ("MCP_LOG_FORMAT", "json"),
        ]),
        flags: Flags {
            host: Some("::1".to_owned()),
            port: Some(0),
            log_format: Some(LogFormat::Text),
        },
        ..LoadInput::default()
    };
    let server = without_file(&input).unwrap().config.server;
    assert_eq!((server.host.as_str(), server.port), ("::1", 0));
    assert_eq!(server.log_format, Some(LogFormat::Text));
    let bad = LoadInput {
        flags: Flags {
            host: Some("a b".to_owned()),
            ..Flags::default()
        },
        ..input
    };
    assert!(
        without_file(&bad)
            .unwrap_err()
            .to_string()
            .contains("--host")
    );
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let loaded = without_file(&LoadInput::default()).unwrap();
    let (server, routing) = (loaded.config.server, loaded.config.routing);
    assert_eq!(
        (server.name.as_str(), server.host.as_str(), server.port),
        ("mcp-router", "127.0.0.1", 8000)
    );
    assert_eq!(
        (server.drain, server.stale_ttl),
        (Duration::from_secs(13), Duration::from_secs(300))
    );
    assert_eq!(
        (routing.cache_ttl, routing.request_timeout),
        (Duration::from_secs(300), Duration::from_secs(30))
    );
    assert!(routing.enable_namespace_prefixing && server.watch && !server.allow_registration);
    assert!(loaded.warnings.is_empty() && loaded.path.is_none());
}

/// A directory with some files, and what is loaded from it.
fn found_in(files: &[&str], variables: &[(&str, &str)]) -> Result<PathBuf, String> {
    let directory = tempfile::tempdir().unwrap();
    for file in files {
        let path = directory.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "backends: []\n").unwrap();
    }
    let home = directory.path().join("home").display().to_string();
    let mut all = vec![("HOME", home.as_str())];
    all.extend_from_slice(variables);
    let before: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    let input = LoadInput {
        env: env(&all),
        directory: directory.path().to_owned(),
        ..LoadInput::default()
    };
    let loaded = load(&input).map_err(|errors| errors.to_string());
    assert_eq!(
        before.len(),
        std::fs::read_dir(directory.path()).unwrap().count(),
        "nothing is created"
    );
    let path = loaded?.path.unwrap();
    Ok(path.strip_prefix(directory.path()).unwrap().to_owned())
}

#[test]
fn files_are_looked_for_in_the_documented_order() {
    let (first, second, named) = (
        "config/backends.yaml",
        "home/.mcp/config.yaml",
        "home/my.yaml",
    );
    let by_variable = [("MCP_BACKENDS_CONFIG", "~/my.yaml")];
    assert_eq!(
        found_in(&[first, second, named], &by_variable).unwrap(),
        PathBuf::from(named)
    );
    assert_eq!(
        found_in(&[first, second], &[]).unwrap(),
        PathBuf::from(first)
    );
    assert_eq!(found_in(&[second], &[]).unwrap(), PathBuf::from(second));
}

#[test]
fn a_file_that_is_not_found_names_all_that_was_tried() {
    let none = found_in(&[], &[]).unwrap_err();
    for tried in [
        "--config",
        "MCP_BACKENDS_CONFIG",
        "config/backends.yaml",
        "home/.mcp/config.yaml",
    ] {
        assert!(none.contains(tried), "{tried} is missing in {none}");
    }
    // One that is named is not replaced by another.
    let named = found_in(
        &["config/backends.yaml"],
        &[("MCP_BACKENDS_CONFIG", "gone.yaml")],
    )
    .unwrap_err();
    assert!(named.contains("gone.yaml does not exist"), "{named}");
    let bad = found_in(&[], &[("MCP_PORT", "x")]).unwrap_err();
    assert!(
        bad.contains("MCP_PORT") && bad.contains("no configuration file"),
        "{bad}"
    );
}

#[test]
fn a_directory_or_nothing_readable_is_said_so() {
    let directory = tempfile::tempdir().unwrap();
    let input = LoadInput {
        path: Some(directory.path().to_owned()),
        ..LoadInput::default()
    };
    assert!(
        load(&input)
            .unwrap_err()
            .to_string()
            .contains("cannot be read")
    );
}

#[test]
fn a_secret_file_is_found_beside_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("key"),
        format!("{}\n", "k".repeat(32)),
    )
    .unwrap();
    let path = directory.path().join("c.yaml");
    std::fs::write(
        &path,
        "backends: []\nserver: { session_keys: ['${file:key}'] }\n",
    )
    .unwrap();
    let input = LoadInput {
        path: Some(path),
        ..LoadInput::default()
    };
    assert_eq!(load(&input).unwrap().config.server.session_keys.len(), 1);
}
