//! The dashboard as HTML.
//!
//! Every part is written here and nowhere else: the page as it is first served, and the parts that
//! the script asks for to put in their place, are the same markup. So the page without a script is
//! the whole page.

mod backends;
mod calls;
mod catalogue;
mod configuration;
mod page;
mod summary;

pub(super) use catalogue::{Found, catalogue, kind};
pub(super) use page::{Frame, page};

use std::fmt;
use std::time::SystemTime;

use mcp_router_observe::utc;

use super::html::Html;
use super::look::Look;

/// Everything that changes by itself.
pub(super) fn live(look: &Look) -> Html {
    let mut html = Html::default();
    html.raw("<div id=\"live\" data-catalogue=\"")
        .text(look.catalogue)
        .raw("\" data-title=\"")
        .text(Title(look))
        .raw("\">");
    summary::summary(&mut html, look);
    backends::backends(&mut html, look);
    calls::calls(&mut html, look);
    configuration::configuration(&mut html, look);
    html.raw("</div>");
    html
}

/// What the tab says: how many are not well comes first, as tabs are narrow.
pub(super) struct Title<'a>(pub(super) &'a Look);

impl fmt::Display for Title<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.backends().filter(|(b, _)| is_sick(b)).count() {
            0 => f.write_str("mcp-router"),
            sick => write!(f, "({sick}) mcp-router"),
        }
    }
}

/// Whether somebody should look after a backend.
fn is_sick(backend: &mcp_router_core::BackendStatus) -> bool {
    use mcp_router_core::State;
    let expected = matches!(backend.state, State::Disabled | State::Starting);
    !backend.healthy && !expected
}

/// How something fares. Each word has a sign of its own: colour alone tells nothing to many.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mood {
    Good,
    Doubtful,
    Bad,
    Idle,
}

/// A word about how something fares.
fn badge(html: &mut Html, mood: Mood, word: impl fmt::Display) {
    let (open, sign) = match mood {
        Mood::Good => ("<span class=\"badge good\">", "✓"),
        Mood::Doubtful => ("<span class=\"badge doubtful\">", "!"),
        Mood::Bad => ("<span class=\"badge bad\">", "✕"),
        Mood::Idle => ("<span class=\"badge idle\">", "–"),
    };
    html.raw(open)
        .raw("<span class=\"sign\" aria-hidden=\"true\">")
        .raw(sign)
        .raw("</span>")
        .text(word)
        .raw("</span>");
}

/// A moment, written in RFC 3339: people see the time of day. The script makes it their own.
fn moment(html: &mut Html, rfc3339: &str) {
    let time = rfc3339.get(11..19).unwrap_or(rfc3339);
    html.raw("<time datetime=\"")
        .text(rfc3339)
        .raw("\" title=\"")
        .text(rfc3339)
        .raw("\">")
        .text(time)
        .raw(" UTC</time>");
}

/// The same for a moment on the wall's clock.
fn at(html: &mut Html, at: SystemTime) {
    moment(html, &utc(at));
}

/// The start of a cell whose column narrow screens name beside it.
fn cell(html: &mut Html, column: &'static str) {
    html.raw("<td role=\"cell\" data-column=\"")
        .raw(column)
        .raw("\">");
}
