//! Servers at URLs, and what is sent to all of them.

use std::collections::{BTreeMap, HashMap};

use http::{HeaderName, HeaderValue, Uri};
use secrecy::SecretString;

use super::super::backend::PRIORITY;
use super::super::{Site, seconds};
use crate::model::{EndpointConfig, HttpEndpoint, HttpServer, HttpTransport, PoolConfig};
use crate::raw::{RawBackend, RawReplicas, RawTransport};
use crate::report::Complaint;
use crate::yaml::Path;

/// Most equal servers of one backend.
const MOST_SERVERS: usize = 1000;

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

/// One server, or several equal ones.
pub(super) fn http(raw: &RawBackend, path: &Path, site: &mut Site<'_>) -> Option<EndpointConfig> {
    let written = written(raw, path, site);
    let servers: Vec<_> = written
        .iter()
        .map(|written| server(written, site))
        .collect();
    let headers = headers(raw.headers.as_ref(), path, site);
    let pool = raw.connection_pool.as_ref();
    unique(&written, site);
    let servers = servers.into_iter().collect::<Option<Vec<_>>>()?;
    // Empty only where each entry was complained about.
    (!servers.is_empty()).then_some(EndpointConfig::Http(HttpEndpoint {
        servers,
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

/// A URL as the file has it.
struct Written<'a> {
    at: Path,
    url: &'a str,
    priority: Option<u32>,
}

/// Every URL of the backend, whichever key it stands under.
fn written<'a>(raw: &'a RawBackend, path: &Path, site: &mut Site<'_>) -> Vec<Written<'a>> {
    let one = |key: &str, url: &'a String| Written {
        at: path.key(key),
        url,
        priority: None,
    };
    let mut found: Vec<_> = raw.url.iter().map(|url| one("url", url)).collect();
    found.extend(raw.source.iter().map(|source| one("source", source)));
    let list = path.key("urls");
    for (item, url) in raw.urls.iter().flatten().enumerate() {
        found.push(Written {
            at: list.item(item),
            url,
            priority: None,
        });
    }
    count(raw.urls.as_ref().map(Vec::len), &list, site);
    let Some(RawReplicas::Servers(replicas)) = &raw.replicas else {
        return found;
    };
    let list = path.key("replicas");
    count(Some(replicas.len()), &list, site);
    for (item, replica) in replicas.iter().enumerate() {
        let at = list.item(item);
        let Some(replica) = replica else {
            site.missing(&at, "is empty");
            continue;
        };
        let Some(url) = &replica.url else {
            site.missing(&at.key("url"), "is missing: every replica has a URL");
            continue;
        };
        found.push(Written {
            at: at.key("url"),
            url,
            priority: replica.priority,
        });
    }
    found
}

/// How many equal servers are listed under `at`.
fn count(servers: Option<usize>, at: &Path, site: &mut Site<'_>) {
    match servers {
        Some(0) => site.wrong(at, "must not be empty"),
        Some(many) if many > MOST_SERVERS => {
            site.wrong(at, format_args!("has more than {MOST_SERVERS} entries"));
        }
        _ => {}
    }
}

fn server(written: &Written<'_>, site: &mut Site<'_>) -> Option<HttpServer> {
    match url(written.url) {
        Ok(url) => Some(HttpServer {
            url,
            priority: written.priority.unwrap_or(PRIORITY),
        }),
        Err(problem) => {
            site.wrong(&written.at, problem);
            None
        }
    }
}

/// Twice the same server would look like two that can stand in for each other.
fn unique(servers: &[Written<'_>], site: &mut Site<'_>) {
    let mut seen: HashMap<&str, &Path> = HashMap::new();
    for server in servers {
        if let Some(first) = seen.get(server.url) {
            let complaint = Complaint::new(format!("{} repeats {first}", server.at))
                .at(site.places.place(&server.at))
                .related(site.places.place(first), "the first");
            site.notes.complain(complaint);
        } else {
            seen.insert(server.url, &server.at);
        }
    }
}

/// An http or https URL with a host. No message repeats it: it may hold a secret.
pub(in super::super) fn url(text: &str) -> Result<Uri, &'static str> {
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

/// Headers under the key `headers` at `path`.
pub(in super::super) fn headers(
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
