//! The table of backends: how each fares, since when, and when the router tries again.

use std::time::Duration;

use mcp_router_core::{BackendStatus, EndpointStatus, LastFailure, State};

use super::super::chart;
use super::super::history::{Totals, Track};
use super::super::html::Html;
use super::super::look::Look;
use super::super::units::{Count, Length};
use super::{Mood, badge, cell, is_sick, moment};

const TABLE: &str = r#"<div class="wide"><table role="table"><thead role="rowgroup"><tr role="row"><th role="columnheader" scope="col">Backend</th><th role="columnheader" scope="col">State</th><th role="columnheader" scope="col">Circuit</th><th role="columnheader" scope="col">Calls, 5 min</th><th role="columnheader" scope="col">Latency</th><th role="columnheader" scope="col">In flight</th><th role="columnheader" scope="col">Offers</th><th role="columnheader" scope="col">Last failure</th></tr></thead><tbody role="rowgroup">"#;

pub(super) fn backends(html: &mut Html, look: &Look) {
    html.raw("<section id=\"backends\" aria-labelledby=\"backends-title\">")
        .raw("<h2 id=\"backends-title\">Backends</h2>");
    if look.readiness.backends.is_empty() {
        html.raw("<p class=\"none\">The configuration names no backend.</p></section>");
        return;
    }
    html.raw(TABLE);
    // Who comes because something is wrong wants to see that first.
    let (sick, well): (Vec<_>, Vec<_>) = look.backends().partition(|(b, _)| is_sick(b));
    for (backend, track) in sick.into_iter().chain(well) {
        row(html, backend, track);
        for endpoint in &backend.endpoints {
            endpoint_row(html, backend, endpoint);
        }
    }
    html.raw("</tbody></table></div></section>");
}

fn row(html: &mut Html, backend: &BackendStatus, track: &Track) {
    html.raw("<tr role=\"row\" data-key=\"b-")
        .text(&backend.name)
        .raw(if is_sick(backend) {
            "\" class=\"sick\">"
        } else {
            "\">"
        })
        .raw("<th role=\"rowheader\" scope=\"row\">")
        .element("<strong>", &backend.name, "</strong>");
    if let Some(namespace) = &backend.namespace {
        let tag = format_args!("{namespace} · priority {}", backend.priority);
        html.element("<small>", tag, "</small>");
    }
    if backend.endpoints.is_empty() {
        html.element("<small>", &backend.url, "</small>");
    }
    html.raw("</th>");

    cell(html, "State");
    state(html, backend);
    html.raw("</td>");
    cell(html, "Circuit");
    match backend.state {
        State::Disabled => nothing(html, "–"),
        _ => circuit(html, backend.circuit_state, backend.next_trial_seconds),
    }
    html.raw("</td>");
    charts(html, backend, track);
    cell(html, "In flight");
    html.text(backend.in_flight).raw("</td>");
    cell(html, "Offers");
    offers(html, backend);
    html.raw("</td>");
    cell(html, "Last failure");
    trouble(html, backend);
    html.raw("</td></tr>");
}

fn state(html: &mut Html, backend: &BackendStatus) {
    let (mood, word) = match backend.state {
        State::Starting => (Mood::Idle, "starting"),
        State::Asleep => (Mood::Idle, "asleep"),
        State::Disabled => (Mood::Idle, "switched off"),
        State::Ready if backend.healthy => (Mood::Good, "healthy"),
        State::Ready => (Mood::Doubtful, "unwell"),
        State::Down => (Mood::Bad, "down"),
    };
    badge(html, mood, word);
    if let Some(down) = backend.down_seconds {
        let down = Length(Duration::from_secs(down));
        html.element("<small>", format_args!("for {down}"), "</small>");
    }
    if !backend.protocol.is_empty() {
        html.element("<small>", &backend.protocol, "</small>");
    }
    if backend.is_managed {
        let running = match backend.is_running {
            true => "<small>process runs</small>",
            false => "<small>no process</small>",
        };
        html.raw(running);
    }
}

fn circuit(html: &mut Html, state: &'static str, next: Option<u64>) {
    let (mood, word) = match state {
        "CLOSED" => (Mood::Good, "closed"),
        "HALF_OPEN" => (Mood::Doubtful, "on trial"),
        _ => (Mood::Bad, "open"),
    };
    badge(html, mood, word);
    if let Some(next) = next {
        let next = Length(Duration::from_secs(next));
        html.element("<small>", format_args!("trial in {next}"), "</small>");
    }
}

fn charts(html: &mut Html, backend: &BackendStatus, track: &Track) {
    let points: Vec<Totals> = track.points.iter().copied().collect();
    let sum = track.sum();
    let name = &backend.name;
    if sum.calls == 0 {
        for column in ["Calls, 5 min", "Latency"] {
            cell(html, column);
            nothing(html, "no calls");
            html.raw("</td>");
        }
        return;
    }
    cell(html, "Calls, 5 min");
    let said = format_args!("{name}: {} calls, {} failed", sum.calls, sum.failed);
    chart::calls(html, &points, said);
    html.raw("<small>").text(Count(sum.calls, "call"));
    if sum.failed > 0 {
        html.raw(", <b class=\"failed\">")
            .text(sum.failed)
            .raw(" failed</b>");
    }
    html.raw("</small></td>");

    cell(html, "Latency");
    let mean = sum.mean().unwrap_or_default();
    let worst = points.iter().filter_map(Totals::mean).max();
    let (mean, worst) = (Length(mean), Length(worst.unwrap_or(mean)));
    let said = format_args!("{name}: mean latency {mean}");
    chart::latency(html, &points, said);
    let line = format_args!("mean {mean}, max {worst}");
    html.element("<small>", line, "</small>").raw("</td>");
}

/// Where there is nothing to show.
fn nothing(html: &mut Html, word: &'static str) {
    html.element("<span class=\"none\">", word, "</span>");
}

fn offers(html: &mut Html, backend: &BackendStatus) {
    html.text(Count(backend.tools as u64, "tool"));
    for (count, what) in [(backend.prompts, "prompt"), (backend.resources, "resource")] {
        if count > 0 {
            let line = Count(count as u64, what);
            html.element("<small>", line, "</small>");
        }
    }
    let lists = [
        (&backend.left_out, "left out"),
        (&backend.collisions, "hidden by others"),
    ];
    for (texts, what) in lists {
        if texts.is_empty() {
            continue;
        }
        html.raw("<details><summary>")
            .text(format_args!("{} {what}", texts.len()))
            .raw("</summary><ul>");
        for text in texts {
            html.element("<li>", text, "</li>");
        }
        html.raw("</ul></details>");
    }
}

fn trouble(html: &mut Html, backend: &BackendStatus) {
    match (&backend.last_failure, &backend.last_error) {
        (Some(failure), _) => failed(html, failure),
        (None, Some(error)) => {
            html.text(error);
        }
        (None, None) => nothing(html, "none"),
    }
    if backend.error_count > 0 {
        let run = format_args!("{} in a row", backend.error_count);
        html.element("<small>", run, "</small>");
    }
}

fn failed(html: &mut Html, failure: &LastFailure) {
    html.element("<b>", failure.stage, "</b>: ")
        .element("<span class=\"error\">", &failure.error, "</span>")
        .raw("<small>since ");
    moment(html, &failure.since);
    if let Some(next) = &failure.next_retry {
        html.raw(", next try ");
        moment(html, next);
    }
    html.raw("</small>");
}

fn endpoint_row(html: &mut Html, backend: &BackendStatus, endpoint: &EndpointStatus) {
    html.raw("<tr role=\"row\" class=\"endpoint\" data-key=\"e-")
        .text(format_args!("{} {}", backend.name, endpoint.endpoint))
        .raw("\"><th role=\"rowheader\" scope=\"row\"><span class=\"small\">")
        .text(&endpoint.endpoint)
        .raw("</span></th>");
    cell(html, "State");
    let (mood, word) = match endpoint.usable {
        true => (Mood::Good, "in use"),
        false => (Mood::Bad, "not in use"),
    };
    badge(html, mood, word);
    html.raw("</td>");
    cell(html, "Circuit");
    circuit(html, endpoint.circuit_state, None);
    html.raw("</td><td role=\"cell\" class=\"empty\"></td><td role=\"cell\" class=\"empty\"></td>");
    cell(html, "In flight");
    html.text(endpoint.in_flight)
        .raw("</td><td role=\"cell\" class=\"empty\"></td>");
    cell(html, "Last failure");
    match &endpoint.last_failure {
        Some(failure) => failed(html, failure),
        None => nothing(html, "none"),
    }
    html.raw("</td></tr>");
}
