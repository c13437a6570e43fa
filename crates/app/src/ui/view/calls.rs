//! The calls that ended last. What was in them is not known here, and never shown.

use mcp_router_observe::call::Ending;
use mcp_router_observe::recent::RecentCall;

use super::super::html::Html;
use super::super::look::{Look, Which};
use super::super::units::{Count, Length};
use super::{Mood, at, badge, cell};

const TABLE: &str = r#"<div class="wide tall" role="region" tabindex="0" aria-labelledby="calls-title"><table role="table"><thead role="rowgroup"><tr role="row"><th role="columnheader" scope="col">Ended</th><th role="columnheader" scope="col">Client</th><th role="columnheader" scope="col">Call</th><th role="columnheader" scope="col">Backend</th><th role="columnheader" scope="col">Outcome</th><th role="columnheader" scope="col">Latency</th><th role="columnheader" scope="col">Attempts</th></tr></thead><tbody role="rowgroup">"#;

pub(super) fn calls(html: &mut Html, look: &Look) {
    html.raw("<section id=\"calls\" aria-labelledby=\"calls-title\">")
        .raw("<h2 id=\"calls-title\">Recent calls</h2>")
        .raw("<p class=\"choice\">");
    html.raw(match look.which {
        Which::All => "<a href=\"?calls=all#calls\" aria-current=\"true\">All</a> <a href=\"?calls=failed#calls\">Failed only</a>",
        Which::Failed => "<a href=\"?calls=all#calls\">All</a> <a href=\"?calls=failed#calls\" aria-current=\"true\">Failed only</a>",
    });
    let (ended, missed) = look.ended;
    html.raw(" <span class=\"note\">")
        .text(Count(ended, "call"))
        .raw(" since the start");
    if missed > 0 {
        html.text(format_args!(", {missed} of them not noted here"));
    }
    html.raw("</span></p>");
    if look.calls.is_empty() {
        html.raw(match look.which {
            Which::All => "<p class=\"none\">No call has ended yet.</p>",
            Which::Failed => "<p class=\"none\">None of the recent calls failed.</p>",
        });
    } else {
        html.raw(TABLE);
        for call in &look.calls {
            row(html, call);
        }
        html.raw("</tbody></table></div>");
    }
    html.raw("</section>");
}

fn row(html: &mut Html, call: &RecentCall) {
    html.raw("<tr role=\"row\">");
    cell(html, "Ended");
    at(html, call.at);
    html.raw("</td>");
    cell(html, "Client");
    text(html, &call.client);
    cell(html, "Call");
    match call.tool.is_empty() {
        true => html.element("<code>", &call.method, "</code>"),
        false => html.element("<code>", &call.tool, "</code>"),
    };
    if !call.tool.is_empty() && call.method != "tools/call" {
        html.element("<small>", &call.method, "</small>");
    }
    html.raw("</td>");
    cell(html, "Backend");
    text(html, &call.backend);
    cell(html, "Outcome");
    badge(html, mood(call.outcome), Words(call.outcome));
    html.raw("</td>");
    cell(html, "Latency");
    html.text(Length(call.duration)).raw("</td>");
    cell(html, "Attempts");
    html.text(call.attempts).raw("</td></tr>");
}

fn text(html: &mut Html, text: &str) {
    match text {
        "" => html.raw("<span class=\"none\">–</span></td>"),
        text => html.text(text).raw("</td>"),
    };
}

fn mood(outcome: Ending) -> Mood {
    match outcome {
        Ending::Ok | Ending::InputRequired => Mood::Good,
        Ending::ToolError | Ending::Error => Mood::Doubtful,
        Ending::Cancelled => Mood::Idle,
        _ => Mood::Bad,
    }
}

/// The word of the log and the metrics, with spaces.
struct Words(Ending);

impl std::fmt::Display for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, word) in self.0.as_str().split('_').enumerate() {
            let space = if at > 0 { " " } else { "" };
            write!(f, "{space}{word}")?;
        }
        Ok(())
    }
}
