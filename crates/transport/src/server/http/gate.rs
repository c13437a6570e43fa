//! Who may ask at all: `Origin`, `Host` and the size of the head.
//!
//! A page of any web site can make its reader's browser send requests to `localhost`. The browser
//! says which site it is (`Origin`), and which name it resolved (`Host`): a site that lets its own
//! name point to 127.0.0.1 still cannot make that name one of ours.

use std::borrow::Cow;
use std::net::IpAddr;

use http::header::{self, HeaderValue};
use http::uri::Authority;
use http::{Method, Response, StatusCode, Version};
use mcp_router_observe::dropped::{self, Reason};

use super::body::Body;
use super::front::{Front, Seen};
use super::reply;
use crate::server::params::HttpParams;
use crate::server::serve::LocalAddr;

type Refusal = Box<Response<Body>>;

/// The rules, prepared once.
#[derive(Debug)]
pub(super) struct Gate {
    hosts: Vec<HostRule>,
    origins: Vec<String>,
    header_bytes: usize,
    headers: usize,
    uri: usize,
}

#[derive(Debug)]
enum HostRule {
    /// A name, with any port or with this one.
    Name(String, Option<u16>),
    /// Any name below this domain (with its leading dot).
    Below(String),
}

impl Gate {
    pub(super) fn new(params: &HttpParams) -> Self {
        Self {
            hosts: params.allowed_hosts.iter().map(|h| rule(h)).collect(),
            origins: params
                .allowed_origins
                .iter()
                .map(|o| o.trim_end_matches('/').to_ascii_lowercase())
                .collect(),
            header_bytes: params.limits.header_bytes,
            headers: params.limits.headers,
            uri: params.limits.uri,
        }
    }

    /// Lets a request in, or says why not. Gives the origin that answers may be shared with.
    pub(super) fn admit(
        &self,
        front: &Front<'_>,
        check_host: bool,
    ) -> Result<Option<HeaderValue>, Refusal> {
        self.small(front)?;
        framed(front)?;
        if matches!(front.head.method, Method::CONNECT | Method::TRACE) {
            return Err(Box::new(reply::not_allowed("POST, GET, DELETE")));
        }
        let origin = self.origin(front)?;
        if check_host {
            self.host(front)?;
        }
        Ok(origin)
    }

    /// B13.
    fn small(&self, front: &Front<'_>) -> Result<(), Refusal> {
        let (uri, headers) = (&front.head.uri, &front.head.headers);
        let length = uri.path().len() + uri.query().map_or(0, |q| q.len() + 1);
        if length > self.uri {
            return refuse(StatusCode::URI_TOO_LONG, "the URI is too long");
        }
        if front.size > self.header_bytes || headers.len() > self.headers {
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            return refuse(status, "too many or too large headers");
        }
        Ok(())
    }

    /// R49, B15.
    fn origin(&self, front: &Front<'_>) -> Result<Option<HeaderValue>, Refusal> {
        let known = |origin: &HeaderValue| {
            let text = origin.to_str().unwrap_or_default().to_ascii_lowercase();
            self.origins.contains(&text) || is_loopback_origin(&text)
        };
        match front.origin {
            Seen::Not => Ok(None),
            Seen::Once(origin) if known(origin) => Ok(Some(origin.clone())),
            Seen::Once(_) | Seen::Often => {
                dropped::count(Reason::OriginRefused);
                refuse(StatusCode::FORBIDDEN, "this Origin is not allowed")
            }
        }
    }

    /// B16, B38.
    fn host(&self, front: &Front<'_>) -> Result<(), Refusal> {
        let bad = |text| refuse(StatusCode::BAD_REQUEST, text);
        let target = front.head.uri.authority().map(Authority::as_str);
        let named = match front.host {
            Seen::Once(host) => host.to_str().ok(),
            Seen::Not if front.head.version >= Version::HTTP_2 => target,
            Seen::Not => return bad("Host is missing"),
            Seen::Often => return bad("Host is there twice"),
        };
        let Some((text, host)) = named.and_then(|text| Some((text, Host::read(text)?))) else {
            return bad("Host is not readable");
        };
        if target.is_some_and(|target| !target.eq_ignore_ascii_case(text)) {
            return bad("Host and request target differ");
        }
        if self.knows(&host, front.caller.local) {
            return Ok(());
        }
        dropped::count(Reason::HostRefused);
        refuse(StatusCode::FORBIDDEN, "this Host is not allowed")
    }

    fn knows(&self, host: &Host<'_>, own: Option<LocalAddr>) -> bool {
        let name = host.name.trim_end_matches('.');
        let address = address(name);
        if is_loopback(name, address) {
            return true;
        }
        let own = own.map(|own| own.0.ip().to_canonical());
        if own.is_some() && own == address {
            return true;
        }
        let name = name.to_ascii_lowercase();
        self.hosts.iter().any(|rule| match rule {
            HostRule::Name(known, port) => {
                *known == name && port.is_none_or(|p| host.port == Some(p))
            }
            HostRule::Below(domain) => name.ends_with(domain),
        })
    }
}

/// What a client calls the router.
struct Host<'a> {
    name: Cow<'a, str>,
    port: Option<u16>,
}

impl<'a> Host<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        };
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
        let is_number = |port: &str| port.bytes().all(|b| b.is_ascii_digit());
        // As nearly all are. What else an authority can be, its parser knows.
        if !name.is_empty() && name.bytes().all(is_plain) && port.is_none_or(is_number) {
            return Some(Self {
                name: Cow::Borrowed(name),
                port: port.and_then(|port| port.parse().ok()),
            });
        }
        let authority: Authority = text.parse().ok()?;
        (!text.contains('@')).then(|| Self {
            name: Cow::Owned(authority.host().to_owned()),
            port: authority.port_u16(),
        })
    }
}

/// B12. What two transfer codings mean together, servers disagree upon: hyper acts on the last one
/// alone. Whoever does not know where a body ends must not serve what comes behind it.
fn framed(front: &Front<'_>) -> Result<(), Refusal> {
    match front.transfer_encoding {
        Seen::Not => Ok(()),
        Seen::Once(one) if one.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        Seen::Once(_) | Seen::Often => {
            let text = "Transfer-Encoding can be `chunked`, once";
            refuse(StatusCode::BAD_REQUEST, text)
        }
    }
}

fn refuse<T>(status: StatusCode, text: &str) -> Result<T, Refusal> {
    Err(Box::new(reply::refused_unread(status, text)))
}

fn rule(text: &str) -> HostRule {
    let text = text.trim().to_ascii_lowercase();
    if let Some(domain) = text.strip_prefix('*') {
        return HostRule::Below(domain.to_owned());
    }
    match text.parse::<Authority>() {
        Ok(authority) => HostRule::Name(authority.host().to_owned(), authority.port_u16()),
        Err(_) => HostRule::Name(text, None),
    }
}

fn address(name: &str) -> Option<IpAddr> {
    let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    let address: IpAddr = bare.unwrap_or(name).parse().ok()?;
    Some(address.to_canonical())
}

/// Whether a name or its address is one that no other machine answers to.
fn is_loopback(name: &str, address: Option<IpAddr>) -> bool {
    let below = name.len().checked_sub(".localhost".len());
    let tail = below.and_then(|at| name.get(at..));
    name.eq_ignore_ascii_case("localhost")
        || tail.is_some_and(|tail| tail.eq_ignore_ascii_case(".localhost"))
        || address.is_some_and(|a| a.is_loopback())
}

fn is_loopback_origin(origin: &str) -> bool {
    let rest = origin.strip_prefix("http://");
    let Some(rest) = rest.or_else(|| origin.strip_prefix("https://")) else {
        return false;
    };
    rest.parse::<Authority>()
        .is_ok_and(|a| !a.as_str().contains('@') && is_loopback(a.host(), address(a.host())))
}

/// Answers a browser that asks first. An origin that is here was admitted; without one it is no
/// preflight.
pub(super) fn preflight(origin: Option<&HeaderValue>) -> Response<Body> {
    if origin.is_none() {
        return reply::not_allowed("POST, GET, DELETE");
    }
    let mut answer = reply::gone();
    let headers = answer.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("POST, GET, DELETE"),
    );
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "Content-Type, Accept, Authorization, Last-Event-ID, Mcp-Session-Id, \
             MCP-Protocol-Version, Mcp-Method, Mcp-Name",
        ),
    );
    let day = HeaderValue::from_static("86400");
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, day);
    answer
}

/// Lets pages of an admitted origin read the answer: that origin, never everybody, and without
/// the browser's credentials (B17).
pub(super) fn share(answer: &mut Response<Body>, origin: HeaderValue) {
    let headers = answer.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Mcp-Session-Id, Retry-After"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r49_loopback_names_and_listed_hosts_are_known_and_nothing_else() {
        let params = HttpParams {
            allowed_hosts: ["mcp.example", "fixed.example:8000", "*.inner.example"]
                .map(String::from)
                .to_vec(),
            ..HttpParams::default()
        };
        let gate = Gate::new(&params);
        let own = LocalAddr("10.1.2.3:8000".parse().unwrap());
        for (host, known) in [
            ("localhost", true),
            ("LOCALHOST:8000", true),
            ("127.0.0.1:8000", true),
            ("127.9.9.9", true),
            ("[::1]:8000", true),
            ("[::ffff:127.0.0.1]", true),
            ("localhost.", true),
            ("10.1.2.3:8000", true),
            ("mcp.example", true),
            ("mcp.example:99", true),
            ("fixed.example:8000", true),
            ("fixed.example:8001", false),
            ("a.inner.example", true),
            ("inner.example", false),
            ("evilinner.example", false),
            ("10.1.2.4", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("0.0.0.0", false),
        ] {
            let named = Host::read(host).unwrap();
            assert_eq!(gate.knows(&named, Some(own)), known, "{host}");
        }
    }

    #[test]
    fn r49_origins_on_loopback_are_ours_and_lookalikes_are_not() {
        for (origin, ours) in [
            ("http://localhost:6274", true),
            ("https://127.0.0.1", true),
            ("http://[::1]:3000", true),
            ("null", false),
            ("", false),
            ("http://evil.example", false),
            ("http://localhost.evil.example", false),
            ("http://localhost@evil.example", false),
            ("file://localhost", false),
        ] {
            assert_eq!(is_loopback_origin(origin), ours, "{origin}");
        }
    }
}
