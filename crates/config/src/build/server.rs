//! The router's own settings.

use std::time::Duration;

use http::uri::Authority;
use secrecy::SecretString;

use super::{Site, seconds};
use crate::load::Flags;
use crate::model::{Limits, ServerConfig};
use crate::raw::{RawLimits, RawServer};
use crate::report::Complaint;
use crate::variables::host;
use crate::yaml::Path;

/// Shortest session key, in bytes.
const SHORTEST_KEY: usize = 32;

pub(super) fn server(raw: RawServer, flags: &Flags, site: &mut Site<'_>) -> ServerConfig {
    let path = Path::root().key("server");
    let flag_host = flags
        .host
        .as_deref()
        .and_then(|text| match host(text.trim()) {
            Ok(host) => Some(host),
            Err(problem) => {
                site.notes
                    .complain(Complaint::new(format!("--host {problem}")));
                None
            }
        });
    let allowed_hosts = raw.allowed_hosts.unwrap_or_default();
    each(
        &allowed_hosts,
        &path.key("allowed_hosts"),
        is_host,
        "must be a host name or address",
        site,
    );
    let allowed_origins = raw.allowed_origins.unwrap_or_default();
    each(
        &allowed_origins,
        &path.key("allowed_origins"),
        is_origin,
        "must look like https://host",
        site,
    );
    let keys = session_keys(raw.session_keys.unwrap_or_default(), &path, site);
    let said = site.said;
    let serve = raw.drain.and_then(|drain| seconds(drain.serve_seconds));
    ServerConfig {
        name: said
            .server_name
            .clone()
            .unwrap_or_else(|| "mcp-router".to_owned()),
        host: flag_host
            .or(said.host.clone())
            .unwrap_or_else(|| "127.0.0.1".to_owned()),
        port: flags.port.or(said.port).unwrap_or(8000),
        log_format: flags.log_format.or(said.log_format),
        allowed_hosts,
        allowed_origins,
        drain: seconds(raw.drain_seconds).unwrap_or(Duration::from_secs(13)),
        drain_serve: serve.unwrap_or_default(),
        stale_ttl: seconds(raw.stale_ttl_seconds).unwrap_or(Duration::from_secs(300)),
        session_keys: keys,
        ui: raw.ui.unwrap_or(true),
        limits: limits(&raw.limits.unwrap_or_default()),
        watch: said.watch.unwrap_or(true),
        allow_registration: said.allow_registration.unwrap_or(false),
    }
}

fn each(texts: &[String], path: &Path, good: fn(&str) -> bool, problem: &str, site: &mut Site<'_>) {
    for (at, _) in texts.iter().enumerate().filter(|(_, text)| !good(text)) {
        site.wrong(&path.item(at), problem);
    }
}

/// A host as it stands in a `Host` header, with or without a port.
fn is_host(text: &str) -> bool {
    let authority = text.parse::<Authority>();
    authority.is_ok_and(|host| !host.host().is_empty() && !text.contains(['@', '*']))
}

/// A scheme and a host, with or without a port, as browsers and editors send it.
fn is_origin(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, host)| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        !scheme.is_empty() && scheme.chars().all(allowed) && is_host(host)
    })
}

fn session_keys(raw: Vec<String>, path: &Path, site: &mut Site<'_>) -> Vec<SecretString> {
    let path = path.key("session_keys");
    for (at, _) in raw
        .iter()
        .enumerate()
        .filter(|(_, key)| key.len() < SHORTEST_KEY)
    {
        site.wrong(
            &path.item(at),
            format_args!("must have at least {SHORTEST_KEY} bytes"),
        );
    }
    raw.into_iter().map(SecretString::from).collect()
}

fn limits(raw: &RawLimits) -> Limits {
    Limits {
        max_connections: raw.max_connections,
        max_in_flight: raw.max_in_flight,
        max_in_flight_per_backend: raw.max_in_flight_per_backend,
        max_in_flight_per_child: raw.max_in_flight_per_child,
        max_client_processes: raw.max_client_processes,
        max_queue_per_backend: raw.max_queue_per_backend,
        max_parked_calls: raw.max_parked_calls,
        max_parked_calls_per_principal: raw.max_parked_calls_per_principal,
        parked_call_seconds: raw.parked_call_seconds,
        max_streams: raw.max_streams,
        max_streams_per_session: raw.max_streams_per_session,
        max_sessions: raw.max_sessions,
        max_request_bytes: raw.max_request_bytes,
        max_answer_bytes: raw.max_answer_bytes,
        max_header_bytes: raw.max_header_bytes,
        max_headers: raw.max_headers,
        max_batch_items: raw.max_batch_items,
        page_size: raw.page_size,
        max_items_per_backend: raw.max_items_per_backend,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_origins_are_told_from_urls() {
        for good in [
            "router.example",
            "router.example:8443",
            "10.0.0.1",
            "[::1]:80",
        ] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "http://x", "x/y", "*", "u@h", "a b"] {
            assert!(!is_host(bad), "{bad}");
        }
        for good in [
            "https://app.example",
            "http://localhost:3000",
            "vscode-webview://abc",
        ] {
            assert!(is_origin(good), "{good}");
        }
        for bad in ["null", "app.example", "https://", "https://x/", "://x", "*"] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
