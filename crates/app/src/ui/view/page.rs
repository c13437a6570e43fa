//! The whole page.

use mcp_router_protocol::ItemKind;

use super::super::html::Html;
use super::super::look::Look;
use super::catalogue::{Found, catalogue, word};
use super::{Title, live};

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<link rel="icon" type="image/svg+xml" href="ui/icon.svg">
<link rel="stylesheet" href="ui/app.css">
<script src="ui/app.js" defer></script>
<title>"#;

const NAV: &str = r##"<nav aria-label="Sections"><a href="#backends">Backends</a><a href="#calls">Calls</a><a href="#configuration">Configuration</a><a href="#catalogue">Catalogue</a></nav>"##;

/// What stands around the parts that change.
#[derive(Debug)]
pub(in super::super) struct Frame<'a> {
    /// The name that clients are told.
    pub(in super::super) server: &'a str,
    pub(in super::super) version: &'a str,
}

pub(in super::super) fn page(frame: &Frame<'_>, look: &Look, found: &Found<'_>) -> Html {
    let mut html = Html::default();
    html.raw(HEAD)
        .text(Title(look))
        .raw("</title>\n</head>\n<body>\n")
        .raw("<a class=\"skip\" href=\"#backends\">Skip to the backends</a>\n<header><div>")
        .element("<h1>", frame.server, "</h1>")
        .element("<p>mcp-router ", frame.version, "</p></div>")
        .raw(NAV)
        .raw("<p id=\"freshness\" role=\"status\"><noscript>As of the moment it was loaded; <a href=\"ui\">load again</a></noscript></p></header>\n<main>")
        .part(&live(look))
        .raw("\n<section id=\"catalogue\" aria-labelledby=\"catalogue-title\"><h2 id=\"catalogue-title\">Catalogue</h2>");
    search(&mut html, found);
    catalogue(&mut html, found);
    html.raw("</section></main>\n<footer><p>MCP is served at <code>/mcp</code> · <a href=\"metrics\">metrics</a> · <a href=\"ready\">readiness</a> · <a href=\"health\">health</a></p></footer>\n</body>\n</html>\n");
    html
}

fn search(html: &mut Html, found: &Found<'_>) {
    let query = found.query;
    html.raw("<form id=\"search\" role=\"search\" method=\"get\" action=\"ui#catalogue\"><label for=\"q\">Search</label><input id=\"q\" name=\"q\" type=\"search\" maxlength=\"200\" autocomplete=\"off\" placeholder=\"name, description or backend\" value=\"")
        .text(&query.text)
        .raw("\"><label for=\"kind\">Kind</label><select id=\"kind\" name=\"kind\"><option value=\"\">all</option>");
    for kind in ItemKind::ALL {
        html.raw("<option value=\"").raw(word(kind));
        html.raw(if query.kind == Some(kind) {
            "\" selected>"
        } else {
            "\">"
        });
        html.raw(word(kind)).raw("s</option>");
    }
    html.raw("</select><button>Search</button></form>");
}
