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

const VERSION: &str = env!("CARGO_PKG_VERSION");
const DOCS: &str = "How to configure and run it: mcp-router-http --help, and docs/ in its source.";
const HEAD: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
"#;
/// The dashboard's own clothes.
const DRESSED: &str = r#"<link rel="icon" type="image/svg+xml" href="ui/icon.svg">
<link rel="stylesheet" href="ui/app.css">
"#;

/// One thing to find.
struct Row {
    path: &'static str,
    what: &'static str,
    /// Whether a browser can show it.
    page: bool,
}

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
            version: VERSION,
            mcp: "/mcp",
            sse: "/sse",
            ui: self.ui.then_some("/ui"),
            metrics: "/metrics",
            ready: "/ready",
            health: "/health",
        }
    }

    fn rows(&self) -> Vec<Row> {
        let row = |path, what, page| Row { path, what, page };
        let mut rows = vec![
            row(
                "/mcp",
                "MCP over streamable HTTP: the address for clients",
                false,
            ),
            row(
                "/sse",
                "MCP for clients that know HTTP+SSE (2024-11-05) alone",
                false,
            ),
        ];
        if self.ui {
            rows.push(row("/ui", "the dashboard", true));
        }
        rows.extend([
            row("/metrics", "metrics for Prometheus", true),
            row(
                "/ready",
                "whether it should get traffic, and how each backend fares",
                true,
            ),
            row("/health", "whether it is alive", true),
        ]);
        rows
    }

    fn text(&self) -> String {
        let mut text = format!("{} (mcp-router {VERSION})\n\n", self.server);
        for Row { path, what, .. } in self.rows() {
            text.push_str(&format!("{path:<10}{what}\n"));
        }
        text.push_str(&format!("\n{DOCS}\n"));
        text
    }

    fn html(&self) -> String {
        let mut html = Html::default();
        html.raw(HEAD);
        html.raw(match self.ui {
            true => DRESSED,
            false => "<link rel=\"icon\" href=\"data:,\">\n",
        });
        html.element("<title>", &self.server, "</title>\n</head>\n<body>\n")
            .element("<main class=\"entrance\">\n<h1>", &self.server, "</h1>\n")
            .element(
                "<p>mcp-router ",
                VERSION,
                ": one MCP endpoint in front of many MCP servers.</p>\n<dl>\n",
            );
        for Row { path, what, page } in self.rows() {
            html.raw("<dt>");
            match page {
                true => html
                    .raw("<a href=\"")
                    .raw(&path[1..])
                    .raw("\">")
                    .raw(path)
                    .raw("</a>"),
                false => html.raw("<code>").raw(path).raw("</code>"),
            };
            html.raw("</dt><dd>").raw(what).raw("</dd>\n");
        }
        html.element("</dl>\n<p>", DOCS, "</p>\n</main>\n</body>\n</html>\n");
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
