//! What an HTTP backend is reached with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, Uri, header};
use mcp_router_health::ProbeMethod;
use mcp_router_protocol::BackendName;

use super::dial::Dial;
use crate::client::Identity;
use crate::client::backoff::BackoffParams;

/// Which transport a URL speaks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum HttpTransport {
    /// Found by asking, and remembered.
    #[default]
    Auto,
    /// Streamable HTTP, 2025-03-26 or later, any era.
    Streamable,
    /// HTTP+SSE of 2024-11-05.
    Sse,
}

/// Whether clients with a session of their own get one at the backend.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SessionMode {
    /// One upstream session per client session where a legacy backend mints session ids, one
    /// for all otherwise.
    #[default]
    Auto,
    /// One upstream session for all clients.
    Shared,
    /// One upstream session per client session on every legacy backend, which keeps something in
    /// it: client sessions carry it, and its loss is told to the client instead of being healed.
    PerClient,
}

/// How to reach one HTTP backend, and within which limits. Take [`new`](Self::new) and change
/// what differs.
#[derive(Clone)]
pub struct HttpBackendParams {
    /// The backend, for logs and for keeping sessions apart.
    pub name: BackendName,
    /// Where it is. An empty path or `/` is a base: `/mcp` is tried, then `/sse`.
    pub url: Uri,
    /// How it is spoken to.
    pub transport: HttpTransport,
    /// Whose upstream session a call uses.
    pub session: SessionMode,
    /// What it is called among the endpoints of the backend, as [`Pin`](mcp_router_service::Pin)
    /// has it; empty if it is the only one. The same in every replica of the router: client
    /// sessions carry upstream ones under the names of backend and endpoint.
    pub endpoint: Arc<str>,
    /// Sent with every request, as secrets. Those that the transport itself needs are left out.
    pub headers: HeaderMap,
    /// Requests in flight at most; further ones wait for `queue_timeout`. Streams that wait for
    /// changes are not counted.
    pub max_connections: usize,
    /// How long a request waits for its turn before it is refused as overloaded.
    pub queue_timeout: Duration,
    /// How long an unused connection is kept. Servers close theirs after 5 s.
    pub idle_timeout: Duration,
    /// For name resolution and TCP together.
    pub connect_timeout: Duration,
    /// For TLS, after the connection.
    pub tls_timeout: Duration,
    /// Largest answer, and largest event of a stream, in bytes.
    pub answer_limit: usize,
    /// How long a backend may keep silent to `server/discover` before it is taken for a legacy
    /// one.
    pub probe_timeout: Duration,
    /// How long each further step of a handshake may take.
    pub handshake_timeout: Duration,
    /// How long a stream that stands open for what the backend tells may be silent before the
    /// backend is asked whether it is still there.
    pub quiet_after: Duration,
    /// Waits between attempts to connect.
    pub backoff: BackoffParams,
    /// The longest that a connection is used again and again. Names are looked up for new ones.
    pub connection_age: Duration,
    /// How a probe asks the backend whether it is well.
    pub health_method: ProbeMethod,
    /// A page that must answer a probe with 2xx: a path, or a URL, which gets no credentials if it
    /// is of another origin. Without one, `health` beside the MCP endpoint is asked, and where
    /// there is no such page an MCP request.
    pub health_page: Option<String>,
    /// Connect at the first call, not at once.
    pub lazy: bool,
    /// Makes the connections; TCP and the system's name service if absent.
    pub dial: Option<Arc<dyn Dial>>,
    /// TLS roots and client certificates; the platform's roots if absent.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// Who the router says it is.
    pub identity: Identity,
}

/// A URL that no HTTP backend can have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidUrl {
    /// It does not parse.
    #[error("not a URL")]
    Syntax,
    /// Neither `http` nor `https`.
    #[error("not an http or https URL")]
    Scheme,
}

impl HttpBackendParams {
    /// Parameters for `url` with every limit at its default. User and password in the URL become
    /// an `Authorization` header and leave the URL.
    ///
    /// # Errors
    /// If `url` is no absolute HTTP URL.
    pub fn new(name: BackendName, url: &str) -> Result<Self, InvalidUrl> {
        let mut headers = HeaderMap::new();
        let url = without_credentials(url, &mut headers)?;
        Ok(Self {
            name,
            url,
            transport: HttpTransport::Auto,
            session: SessionMode::Auto,
            endpoint: Arc::from(""),
            headers,
            max_connections: 256,
            queue_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(4),
            connect_timeout: Duration::from_secs(2),
            tls_timeout: Duration::from_secs(3),
            answer_limit: 16 << 20,
            probe_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(10),
            quiet_after: Duration::from_secs(30),
            backoff: BackoffParams::RECONNECT.capped(Duration::from_secs(20)),
            connection_age: Duration::from_secs(300),
            health_method: ProbeMethod::Auto,
            health_page: None,
            lazy: false,
            dial: None,
            tls: None,
            identity: Identity::default(),
        })
    }
}

impl fmt::Debug for HttpBackendParams {
    /// Without header values and queries: they hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpBackendParams")
            .field("name", &self.name)
            .field("authority", &self.url.authority())
            .field("path", &self.url.path())
            .field("transport", &self.transport)
            .field("session", &self.session)
            .field("headers", &self.headers.keys())
            .finish_non_exhaustive()
    }
}

fn without_credentials(url: &str, headers: &mut HeaderMap) -> Result<Uri, InvalidUrl> {
    let uri: Uri = url.parse().map_err(|_| InvalidUrl::Syntax)?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(InvalidUrl::Scheme);
    }
    let Some(authority) = uri.authority().map(http::uri::Authority::as_str) else {
        return Err(InvalidUrl::Syntax);
    };
    let Some((credentials, host)) = authority.rsplit_once('@') else {
        return Ok(uri);
    };
    let basic = format!("Basic {}", STANDARD.encode(unescape(credentials)));
    let mut value = HeaderValue::from_str(&basic).map_err(|_| InvalidUrl::Syntax)?;
    value.set_sensitive(true);
    headers.insert(header::AUTHORIZATION, value);
    let host = host.to_owned();
    let mut parts = uri.into_parts();
    parts.authority = Some(host.parse().map_err(|_| InvalidUrl::Syntax)?);
    Uri::from_parts(parts).map_err(|_| InvalidUrl::Syntax)
}

/// Percent-decoded bytes; a lone `%` stays as it is.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = |at: usize| tail.get(at).and_then(|b| char::from(*b).to_digit(16));
        match (first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
                rest = &tail[2..];
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(url: &str) -> Result<HttpBackendParams, InvalidUrl> {
        HttpBackendParams::new("x".parse().unwrap(), url)
    }

    #[test]
    fn credentials_leave_the_url_and_are_never_shown() {
        let params = params("https://me:p%40ss@host:1/mcp?k=secret").unwrap();
        assert_eq!(params.url, "https://host:1/mcp?k=secret");
        assert_eq!(params.headers["authorization"], "Basic bWU6cEBzcw==");
        let shown = format!("{params:?}");
        assert!(
            !shown.contains("secret") && !shown.contains("bWU6"),
            "{shown}"
        );
    }

    #[test]
    fn only_absolute_http_urls_are_taken() {
        assert_eq!(params("ftp://x/").unwrap_err(), InvalidUrl::Scheme);
        assert_eq!(params("/mcp").unwrap_err(), InvalidUrl::Scheme);
        assert_eq!(params("http://a b/").unwrap_err(), InvalidUrl::Syntax);
        assert_eq!(params("http://[::1]:8/").unwrap().url.port_u16(), Some(8));
    }
}
