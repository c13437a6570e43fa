//! Where the parts of the dashboard are served, and how browsers are to treat them.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::request::Parts;
use http::{Response, StatusCode};
use mcp_router_transport::server::Page;

use super::assets::ASSETS;
use super::catalogue::Query;
use super::html::Html;
use super::look::{Look, Which};
use super::view::{self, Found, Frame};
use super::{Dashboard, Entrance};

const HTML: &str = "text/html; charset=utf-8";
/// Longest text that is looked for, in characters.
const LONGEST_QUERY: usize = 200;
/// Files of this server alone, no script or style in the page itself, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// The entrance, and the dashboard where there is one.
pub(crate) fn pages(entrance: Entrance, dashboard: Option<&Dashboard>) -> Vec<Page> {
    let mut pages = vec![page("/", move |head| entrance.get(head))];
    let Some(dashboard) = dashboard else {
        return pages;
    };
    let whole = dashboard.clone();
    let live = dashboard.clone();
    let found = dashboard.clone();
    pages.extend([
        page("/ui", move |head| respond(HTML, whole.whole(head))),
        // What the page loads is beside it, so there must be one address for it.
        page("/ui/", |_| moved("../ui")),
        page("/ui/live", move |head| respond(HTML, live.live(head))),
        page("/ui/catalogue", move |head| {
            respond(HTML, found.found(head))
        }),
    ]);
    let assets = ASSETS.iter();
    pages.extend(assets.map(|asset| page(asset.path, |_| asset.get())));
    pages
}

fn page(path: &str, get: impl Fn(&Parts) -> Response<Bytes> + Send + Sync + 'static) -> Page {
    Page {
        path: path.to_owned(),
        get: Arc::new(get),
        check_host: true,
    }
}

/// An answer that is not kept, not framed and not taken for anything else.
pub(super) fn respond(kind: &'static str, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(CONTENT_TYPE, kind);
    set(CACHE_CONTROL, "no-store");
    set(CONTENT_SECURITY_POLICY, POLICY);
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(X_FRAME_OPTIONS, "DENY");
    set(REFERRER_POLICY, "no-referrer");
    let isolated = HeaderName::from_static("cross-origin-resource-policy");
    set(isolated, "same-origin");
    response
}

fn moved(to: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    let mut headers = HeaderMap::new();
    headers.insert(LOCATION, HeaderValue::from_static(to));
    *response.headers_mut() = headers;
    response
}

impl Dashboard {
    fn whole(&self, head: &Parts) -> Bytes {
        let look = Look::at(self, which(head));
        let query = query(head);
        let listed = self.0.catalogue.listed(&self.0.sources.router);
        let frame = Frame {
            server: &self.0.sources.server,
            version: env!("CARGO_PKG_VERSION"),
        };
        let found = Found {
            rows: query.find(&listed.rows),
            query: &query,
            all: listed.rows.len(),
        };
        view::page(&frame, &look, &found).into_string().into()
    }

    fn live(&self, head: &Parts) -> Bytes {
        let which = which(head);
        let write = || view::live(&Look::at(self, which)).into_string().into();
        self.0.live.get(which, write)
    }

    fn found(&self, head: &Parts) -> Bytes {
        let query = query(head);
        let listed = self.0.catalogue.listed(&self.0.sources.router);
        let mut html = Html::default();
        let found = Found {
            rows: query.find(&listed.rows),
            query: &query,
            all: listed.rows.len(),
        };
        view::catalogue(&mut html, &found);
        html.into_string().into()
    }
}

/// Which calls the address asks for.
fn which(head: &Parts) -> Which {
    match parameter(head, "calls").as_deref() {
        Some("failed") => Which::Failed,
        _ => Which::All,
    }
}

/// What the address looks for.
fn query(head: &Parts) -> Query {
    let text = parameter(head, "q").unwrap_or_default();
    Query {
        text: text.chars().take(LONGEST_QUERY).collect(),
        kind: parameter(head, "kind").and_then(|kind| view::kind(&kind)),
    }
}

/// The first value of a name in the query of the address, as a form writes it.
fn parameter(head: &Parts, name: &str) -> Option<String> {
    let pairs = head.uri.query()?.split('&');
    let mut pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let (_, value) = pairs.find(|(known, _)| *known == name)?;
    Some(decoded(value))
}

/// Undoes percent encoding and `+`. What is no UTF-8 becomes replacement characters.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = |at: usize| char::from(*after.get(at)?).to_digit(16);
        let (byte, after) = match (first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => ((high * 16 + low) as u8, &after[2..]),
            (b'+', ..) => (b' ', after),
            (other, ..) => (*other, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(uri: &str) -> Parts {
        http::Request::get(uri).body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_address_is_read_as_a_form_writes_it() {
        let asked = query(&head("/ui?kind=prompt&q=a+b%20%C3%A9%26%zz&q=c"));
        assert_eq!(asked.text, "a b é&%zz");
        assert_eq!(asked.kind, Some(mcp_router_protocol::ItemKind::Prompt));
        let asked = query(&head("/ui?q&kind=nonsense"));
        assert_eq!((asked.text.as_str(), asked.kind), ("", None));
        assert_eq!(which(&head("/ui?calls=failed")), Which::Failed);
        assert_eq!(which(&head("/ui")), Which::All);
        let long = query(&head(&format!("/ui?q={}", "x".repeat(5_000))));
        assert_eq!(long.text.len(), LONGEST_QUERY);
    }
}
