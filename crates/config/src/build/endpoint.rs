//! Where a backend is: a URL or a command, and the keys that go with the one or the other.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, Uri};
use secrecy::SecretString;

use super::{Site, seconds};
use crate::model::{CommandEndpoint, EndpointConfig, HttpEndpoint, HttpTransport, PoolConfig};
use crate::raw::{RawBackend, RawReplicas, RawTransport};
use crate::yaml::Path;

/// Headers that the router itself sets on every request, or that belong to one connection.
const OWN_HEADERS: [&str; 17] = [
    "accept",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The endpoint, or `None` when there is none that could be built: then a complaint or a finding
/// says why.
pub(super) fn endpoint(
    raw: &RawBackend,
    path: &Path,
    name: &str,
    is_host: bool,
    site: &mut Site<'_>,
) -> Option<EndpointConfig> {
    if !has_one_way(raw, path, site) {
        return None;
    }
    if matches!(raw.replicas, Some(RawReplicas::Processes(_))) && raw.command.is_none() {
        site.wrong(&path.key("replicas"), "can be a number only with `command`");
    }
    foreign_keys(raw, path, is_host, site);
    for (key, at, text) in raw.replica_urls() {
        let at = path.key(key).item(at);
        let at = if key == "replicas" { at.key("url") } else { at };
        if let Err(problem) = url(text) {
            site.wrong(&at, problem);
        }
    }
    if raw.command.is_some() {
        return command(raw, path, site);
    }
    let (key, text) = match (&raw.url, &raw.source) {
        (Some(url), _) => ("url", url),
        (None, Some(source)) => ("source", source),
        (None, None) => return None,
    };
    if key == "source" && !text.contains("://") {
        // A repository or the name of a package.
        site.not_implemented(&path.key(key), Some((path, name)));
        return None;
    }
    http(text, key, raw, path, site)
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
    let (keys, way) = if raw.command.is_some() {
        let http = [
            ("headers", raw.headers.is_some()),
            ("connection_pool", raw.connection_pool.is_some()),
        ];
        (http.to_vec(), "command")
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
    let stdio = raw.transport == Some(RawTransport::Stdio);
    let at = path.key("transport");
    match raw.transport {
        Some(_) if stdio && raw.command.is_none() => {
            site.wrong(&at, "cannot be stdio with a URL");
        }
        Some(RawTransport::StreamableHttp | RawTransport::Sse) if raw.command.is_some() => {
            site.wrong(&at, "can only be stdio or auto with `command`");
        }
        _ => {}
    }
}

fn http(
    text: &str,
    key: &str,
    raw: &RawBackend,
    path: &Path,
    site: &mut Site<'_>,
) -> Option<EndpointConfig> {
    let url = url(text)
        .map_err(|problem| site.wrong(&path.key(key), problem))
        .ok();
    let headers = headers(raw.headers.as_ref(), path, site);
    let pool = raw.connection_pool.as_ref();
    Some(EndpointConfig::Http(HttpEndpoint {
        url: url?,
        transport: match raw.transport {
            Some(RawTransport::StreamableHttp) => HttpTransport::StreamableHttp,
            Some(RawTransport::Sse) => HttpTransport::Sse,
            Some(RawTransport::Auto | RawTransport::Stdio) | None => HttpTransport::Auto,
        },
        headers,
        pool: PoolConfig {
            max_connections: pool.and_then(|pool| pool.max_connections),
            idle_timeout: pool.and_then(|pool| seconds(pool.idle_timeout_seconds)),
        },
    }))
}

/// An http or https URL with a host. No message repeats it: it may hold a secret.
pub(super) fn url(text: &str) -> Result<Uri, &'static str> {
    let uri: Uri = text.parse().map_err(|_| "is not a valid URL")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("must start with http:// or https://");
    }
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        return Err("must not carry a user or password: use `headers`");
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err("has no host");
    }
    let port = &authority[uri.host().map_or(0, str::len)..];
    if !port.is_empty() && uri.port_u16().is_none_or(|port| port == 0) {
        return Err("must have a port between 1 and 65535, or none");
    }
    if text.contains('#') {
        return Err("must not have a fragment (`#…`)");
    }
    Ok(uri)
}

fn headers(
    raw: Option<&BTreeMap<String, String>>,
    path: &Path,
    site: &mut Site<'_>,
) -> Vec<(HeaderName, SecretString)> {
    let mut headers: Vec<(HeaderName, SecretString)> = Vec::new();
    for (name, value) in raw.into_iter().flatten() {
        let at = path.key("headers").key(name);
        if HeaderValue::from_str(value).is_err() {
            site.wrong(&at, "has a character that a header cannot carry");
            continue;
        }
        match HeaderName::from_bytes(name.as_bytes()) {
            Err(_) => site.wrong_key(&at, "is not the name of a header"),
            Ok(name) if OWN_HEADERS.contains(&name.as_str()) => {
                site.wrong_key(&at, "is set by the router itself");
            }
            Ok(name) if headers.iter().any(|(other, _)| *other == name) => {
                site.wrong_key(&at, "appears twice, in different case");
            }
            Ok(name) => headers.push((name, value.clone().into())),
        }
    }
    headers
}

fn command(raw: &RawBackend, path: &Path, site: &mut Site<'_>) -> Option<EndpointConfig> {
    let program = raw.command.as_deref()?;
    let args = raw.args.clone().unwrap_or_default();
    let nul = |text: &str| text.contains('\0');
    if nul(program) {
        site.wrong(&path.key("command"), "has a NUL character");
    }
    if program.contains(' ') && !program.contains(['/', '\\']) {
        let place = site.places.place(&path.key("command"));
        let at = path.key("command");
        site.notes.warn(
            format!("{at} has spaces: arguments belong into `args`"),
            place,
        );
    }
    let at = path.key("args");
    for (item, _) in args.iter().enumerate().filter(|(_, arg)| nul(arg)) {
        site.wrong(&at.item(item), "has a NUL character");
    }
    let hidden_args = (0..args.len())
        .map(|item| site.filled.contains(&at.item(item)))
        .collect();
    let mut env = Vec::new();
    for (name, value) in raw.env.iter().flatten() {
        let at = path.key("env").key(name);
        if name.is_empty() || nul(name) || name.contains('=') {
            site.wrong_key(&at, "is not the name of a variable");
        } else if nul(value) {
            site.wrong(&at, "has a NUL character");
        } else {
            env.push((name.clone(), value.clone().into()));
        }
    }
    Some(EndpointConfig::Command(CommandEndpoint {
        program: site.env.expand_home(program).to_string_lossy().into_owned(),
        args,
        env,
        cwd: raw.cwd.as_deref().map(|cwd| site.env.expand_home(cwd)),
        hidden_args,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_are_http_with_a_host_and_nothing_secret() {
        for good in [
            "http://h",
            "https://h:8443/mcp?x=1",
            "http://[::1]:80/",
            "HTTP://h",
        ] {
            assert!(url(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "h",
            "/mcp",
            "ftp://h",
            "http://",
            "http://:80",
            "http://u:p@h",
            "http://h:99999",
            "http://h:0",
            "http://h/#x",
            "http://h h",
            "http:h",
            "http://h:",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_url_or_is_not(text in any::<String>()) {
            if let Ok(uri) = url(&text) {
                prop_assert!(uri.host().is_some_and(|host| !host.is_empty()));
            }
        }
    }
}
