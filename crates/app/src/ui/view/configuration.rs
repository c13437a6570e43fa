//! What became of the last change of the configuration.

use super::super::html::Html;
use super::super::look::Look;
use super::{Mood, badge, moment};
use crate::reload::ReloadReport;

pub(super) fn configuration(html: &mut Html, look: &Look) {
    html.raw("<section id=\"configuration\" aria-labelledby=\"configuration-title\">")
        .raw("<h2 id=\"configuration-title\">Configuration</h2>");
    match &look.reload {
        Some(report) => reload(html, report),
        None if look.watched => {
            html.raw("<p class=\"none\">Not reloaded since the start; a change of the file will be taken at once.</p>");
        }
        None => {
            html.raw("<p class=\"none\">Not reloaded since the start.</p>");
        }
    }
    html.raw("</section>");
}

fn reload(html: &mut Html, report: &ReloadReport) {
    let mood = match report.outcome {
        "refused" => Mood::Bad,
        _ if !report.warnings.is_empty() => Mood::Doubtful,
        _ => Mood::Good,
    };
    html.raw("<p>Last reload: ");
    badge(html, mood, report.outcome);
    html.raw(" <span class=\"note\">at ");
    moment(html, &report.time);
    html.text(format_args!(", asked for by {}", asked_by(report.trigger)))
        .raw("</span></p><dl class=\"report\">");
    for (what, texts) in [
        ("Added", &report.added),
        ("Removed", &report.removed),
        ("Updated", &report.updated),
    ] {
        if !texts.is_empty() {
            html.raw("<dt>").raw(what).raw("</dt>");
            html.element("<dd>", texts.join(", "), "</dd>");
        }
    }
    for (what, texts) in [("Error", &report.errors), ("Warning", &report.warnings)] {
        for text in texts {
            html.raw("<dt>").raw(what).raw("</dt>");
            html.element("<dd><pre>", text, "</pre></dd>");
        }
    }
    html.raw("</dl>");
    if report.outcome == "refused" {
        html.raw("<p>Nothing has changed: the router goes on as before.</p>");
    }
}

fn asked_by(trigger: &'static str) -> &'static str {
    match trigger {
        "file" => "a change of the file",
        "signal" => "SIGHUP",
        "tool" => "the tool reload_backends_config",
        other => other,
    }
}
