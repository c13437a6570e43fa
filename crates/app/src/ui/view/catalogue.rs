//! What is offered, and by whom.

use mcp_router_protocol::ItemKind;

use super::super::catalogue::{Hints, Query, Row};
use super::super::html::Html;
use super::cell;

/// How many items are shown at once; who wants others searches.
const SHOWN: usize = 200;

const TABLE: &str = r#"<div class="wide tall" role="region" tabindex="0" aria-labelledby="catalogue-title"><table role="table" class="items"><thead role="rowgroup"><tr role="row"><th role="columnheader" scope="col">Name</th><th role="columnheader" scope="col">Kind</th><th role="columnheader" scope="col">Backend</th><th role="columnheader" scope="col">Description</th></tr></thead><tbody role="rowgroup">"#;

/// What was looked for and found.
#[derive(Debug)]
pub(in super::super) struct Found<'a> {
    pub(in super::super) query: &'a Query,
    pub(in super::super) rows: Vec<&'a Row>,
    /// How many items there are.
    pub(in super::super) all: usize,
}

/// The items that were found.
pub(in super::super) fn catalogue(html: &mut Html, found: &Found<'_>) {
    html.raw("<div id=\"found\"><p role=\"status\">");
    said(html, found);
    html.raw("</p>");
    if !found.rows.is_empty() {
        html.raw(TABLE);
        for item in found.rows.iter().take(SHOWN) {
            row(html, item);
        }
        html.raw("</tbody></table></div>");
    }
    html.raw("</div>");
}

fn said(html: &mut Html, found: &Found<'_>) {
    let (here, all) = (found.rows.len(), found.all);
    match (here, all) {
        (_, 0) => html.raw("Nothing is offered yet."),
        (0, _) => html.raw("Nothing fits."),
        (here, _) if here > SHOWN => html.text(format_args!(
            "The first {SHOWN} of {here} items; search to see others."
        )),
        (here, all) if here == all => html.text(format_args!("All {all} items.")),
        (here, all) => html.text(format_args!("{here} of {all} items.")),
    };
}

fn row(html: &mut Html, item: &Row) {
    html.raw("<tr role=\"row\"><th role=\"rowheader\" scope=\"row\"><code>")
        .text(&item.name)
        .raw("</code>");
    if !item.title.is_empty() && *item.title != *item.name {
        html.element("<small>", &item.title, "</small>");
    }
    html.raw("</th>");
    cell(html, "Kind");
    html.raw(word(item.kind));
    hints(html, item.hints);
    html.raw("</td>");
    cell(html, "Backend");
    let mut names = item.backends.iter();
    html.text(names.next().map_or("", |name| name));
    for other in names {
        html.element("<small>then ", other, "</small>");
    }
    html.raw("</td>");
    cell(html, "Description");
    html.element("<p>", &item.description, "</p>")
        .raw("</td></tr>");
}

fn hints(html: &mut Html, hints: Hints) {
    for (hint, word) in [
        (hints.read_only, "<small>read-only</small>"),
        (hints.destructive, "<small>destructive</small>"),
        (hints.idempotent, "<small>idempotent</small>"),
    ] {
        if hint == Some(true) {
            html.raw(word);
        }
    }
}

/// The kinds as they are chosen and shown.
pub(super) const fn word(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Tool => "tool",
        ItemKind::Prompt => "prompt",
        ItemKind::Resource => "resource",
        ItemKind::Template => "template",
    }
}

/// The kind of a word.
pub(in super::super) fn kind(text: &str) -> Option<ItemKind> {
    ItemKind::ALL.into_iter().find(|kind| word(*kind) == text)
}
