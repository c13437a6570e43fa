//! Where a backend is: URLs or a command, and the keys that go with the one or the other.

mod command;
mod http;
mod package;

use super::Site;
use crate::model::EndpointConfig;
use crate::raw::{RawBackend, RawReplicas, RawTransport};
use crate::yaml::Path;

pub(super) use http::{headers, url};
pub(crate) use package::RUNNER;

/// The endpoint, or `None` when there is none that could be built: then a complaint says why.
pub(super) fn endpoint(
    raw: &RawBackend,
    path: &Path,
    is_host: bool,
    site: &mut Site<'_>,
) -> Option<EndpointConfig> {
    if !has_one_way(raw, path, site) {
        return None;
    }
    foreign_keys(raw, path, is_host, site);
    if raw.is_process() {
        return command::command(raw, path, site);
    }
    if matches!(raw.replicas, Some(RawReplicas::Processes(_))) {
        site.wrong(&path.key("replicas"), "can be a number only with `command`");
    }
    http::http(raw, path, site)
}

/// Whether it is said where the backend is; that it is said once, is another matter.
fn has_one_way(raw: &RawBackend, path: &Path, site: &mut Site<'_>) -> bool {
    let ways = [
        ("url", raw.url.is_some()),
        ("source", raw.source.is_some()),
        ("urls", raw.urls.is_some()),
        ("command", raw.command.is_some()),
        (
            "replicas",
            matches!(raw.replicas, Some(RawReplicas::Servers(_))),
        ),
    ];
    let ways: Vec<&str> = ways
        .into_iter()
        .filter(|(_, there)| *there)
        .map(|(way, _)| way)
        .collect();
    match ways.as_slice() {
        [] => {
            let gone = ["url", "source", "urls", "command", "replicas"];
            if !gone
                .iter()
                .any(|key| site.notes.bad.contains(&path.key(key)))
            {
                site.wrong(path, "has neither `url` nor `command`");
            }
            return false;
        }
        [_] => {}
        [first, other, ..] => {
            site.wrong_key(
                &path.key(other),
                format_args!("cannot be set beside `{first}`"),
            );
        }
    }
    true
}

/// Keys that go with the other kind of endpoint would do nothing.
fn foreign_keys(raw: &RawBackend, path: &Path, is_host: bool, site: &mut Site<'_>) {
    let (keys, way) = if raw.is_process() {
        let http = [
            ("headers", raw.headers.is_some()),
            ("connection_pool", raw.connection_pool.is_some()),
        ];
        (http.to_vec(), "a process")
    } else {
        let command = [
            ("args", raw.args.is_some()),
            ("env", raw.env.is_some()),
            ("cwd", raw.cwd.is_some()),
        ];
        (command.to_vec(), "a URL")
    };
    for (key, _) in keys.into_iter().filter(|(_, there)| *there) {
        let at = path.key(key);
        // Hosts write empty ones without being asked.
        if is_host {
            let place = site.places.key_place(&at);
            site.notes
                .warn(format!("{at} has no effect with {way}"), place);
        } else {
            site.wrong_key(&at, format_args!("has no effect with {way}"));
        }
    }
    let at = path.key("transport");
    match raw.transport {
        Some(RawTransport::Stdio) if !raw.is_process() => {
            site.wrong(&at, "cannot be stdio with a URL");
        }
        Some(RawTransport::StreamableHttp | RawTransport::Sse) if raw.is_process() => {
            site.wrong(&at, "can only be stdio or auto with a process");
        }
        _ => {}
    }
}
