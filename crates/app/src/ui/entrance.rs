//! `GET /`: where everything is.
//!
//! Who is given an address without a path, a person with a browser or a client whose documentation
//! says so, must find the way.

use bytes::Bytes;
use http::header::{ACCEPT, HeaderValue, VARY};
use http::request::Parts;
use http::{Response, StatusCode};
use mcp_router_protocol::RawJson;
use serde::Serialize;

use super::html::Html;
use super::pages::respond;

/// What the page tells.
#[derive(Clone, Debug)]
pub(crate) struct Entrance {
    /// The name that clients are told.
    pub(crate) server: String,
    /// Whether there is a dashboard.
    pub(crate) ui: bool,
}

/// The same for programs.
#[derive(Serialize)]
struct Index<'a> {
    name: &'a str,
    version: &'static str,
    mcp: &'static str,
    sse: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ui: Option<&'static str>,
    metrics: &'static str,
    ready: &'static str,
    health: &'static str,
}

impl Entrance {
    /// The page in the form that is asked for.
    pub(crate) fn get(&self, head: &Parts) -> Response<Bytes> {
        let mut answer = match Form::of(head) {
            Form::Html => respond("text/html; charset=utf-8", self.html()),
            Form::Json => respond("application/json", RawJson::of(&self.index()).into_bytes()),
            Form::Text => respond("text/plain; charset=utf-8", self.text()),
            Form::Events => lost(),
        };
        let accept = HeaderValue::from_static("Accept");
        answer.headers_mut().insert(VARY, accept);
        answer
    }

    fn index(&self) -> Index<'_> {
        Index {
            name: &self.server,
            version: env!("CARGO_PKG_VERSION"),
            mcp: "/mcp",
            sse: "/sse",
            ui: self.ui.then_some("/ui"),
            metrics: "/metrics",
            ready: "/ready",
            health: "/health",
        }
    }

    fn rows(&self) -> Vec<(&'static str, &'static str)> {
        let mut rows = vec![
            (
                "/mcp",
                "MCP over streamable HTTP: give this address to clients",
            ),
            (
                "/sse",
                "MCP for clients that only know HTTP+SSE (2024-11-05)",
            ),
        ];
        if self.ui {
            rows.push(("/ui", "dashboard"));
        }
        rows.extend([
            ("/metrics", "metrics for Prometheus"),
            (
                "/ready",
                "whether it should get traffic, and how each backend fares",
            ),
            ("/health", "whether it is alive"),
        ]);
        rows
    }

    fn text(&self) -> String {
        let index = self.index();
        let mut text = format!("{} (mcp-router {})\n\n", index.name, index.version);
        for (path, what) in self.rows() {
            text.push_str(&format!("{path:<10}{what}\n"));
        }
        text
    }

    fn html(&self) -> String {
        let mut html = Html::default();
        html.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n");
        if self.ui {
            html.raw("<link rel=\"icon\" type=\"image/svg+xml\" href=\"ui/icon.svg\">\n<link rel=\"stylesheet\" href=\"ui/app.css\">\n");
        } else {
            html.raw("<link rel=\"icon\" href=\"data:,\">\n");
        }
        html.element(
            "<title>",
            &self.server,
            "</title>\n</head>\n<body>\n<main>\n",
        )
        .element("<h1>", &self.server, "</h1>\n")
        .element(
            "<p>mcp-router ",
            env!("CARGO_PKG_VERSION"),
            ": one MCP endpoint in front of many MCP servers.</p>\n",
        )
        .raw("<ul>\n");
        for (path, what) in self.rows() {
            html.raw("<li><a href=\"").raw(path).raw("\">").raw(path);
            html.element("</a>: ", what, "</li>\n");
        }
        html.raw("</ul>\n</main>\n</body>\n</html>\n");
        html.into_string()
    }
}

/// A form of the page.
enum Form {
    Html,
    Json,
    Text,
    Events,
}

impl Form {
    fn of(head: &Parts) -> Self {
        let all = head.headers.get_all(ACCEPT).iter();
        let accepts: Vec<_> = all.filter_map(|value| value.to_str().ok()).collect();
        let takes = |kind: &str| accepts.iter().any(|accept| accept.contains(kind));
        match () {
            () if takes("text/html") => Self::Html,
            () if takes("application/json") => Self::Json,
            () if takes("text/event-stream") && !takes("*/*") => Self::Events,
            () => Self::Text,
        }
    }
}

/// A client of HTTP+SSE at the wrong address must not wait for events.
fn lost() -> Response<Bytes> {
    let text = r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"no events here: MCP is served at /mcp, HTTP+SSE at /sse"}}"#;
    let mut answer = respond("application/json", text);
    *answer.status_mut() = StatusCode::NOT_ACCEPTABLE;
    answer
}
