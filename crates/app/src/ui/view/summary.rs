//! How everything fares, in a line of tiles.

use mcp_router_core::State;

use super::super::history::{POINTS, STEP};
use super::super::html::Html;
use super::super::look::Look;
use super::super::units::{Count, Length, Percent};
use super::{Mood, badge, is_sick};

pub(super) fn summary(html: &mut Html, look: &Look) {
    html.raw("<section id=\"summary\" aria-label=\"Summary\"><dl class=\"tiles\">");
    tile(html, "Router", |html| {
        let (mood, word) = match (look.readiness.draining, look.readiness.ready) {
            (true, _) => (Mood::Doubtful, "stopping"),
            (false, true) => (Mood::Good, "ready"),
            (false, false) => (Mood::Doubtful, "starting"),
        };
        badge(html, mood, word);
        html.raw("<small>up ").text(Length(look.up)).raw("</small>");
    });
    tile(html, "Backends", |html| backends(html, look));
    let sum = look.sum();
    let minutes = STEP.as_secs() * POINTS as u64 / 60;
    tile(html, "Calls", |html| {
        html.text(sum.calls);
        let note = format_args!("in the last {minutes} min");
        html.element("<small>", note, "</small>");
    });
    tile(html, "Failed", |html| {
        html.text(sum.failed);
        let percent = Percent {
            part: sum.failed,
            whole: sum.calls,
        };
        html.element("<small>", percent, "</small>");
    });
    tile(html, "Mean latency", |html| {
        match sum.mean() {
            Some(mean) => html.text(Length(mean)),
            None => html.raw("–"),
        };
        let running: usize = look.backends().map(|(b, _)| b.in_flight).sum();
        let running = format_args!("{running} in flight");
        html.element("<small>", running, "</small>");
    });
    tile(html, "Catalogue", |html| catalogue(html, look));
    html.raw("</dl></section>");
}

fn tile(html: &mut Html, name: &'static str, value: impl FnOnce(&mut Html)) {
    html.raw("<div><dt>").raw(name).raw("</dt><dd>");
    value(html);
    html.raw("</dd></div>");
}

fn backends(html: &mut Html, look: &Look) {
    let count = |of: fn(&mcp_router_core::BackendStatus) -> bool| {
        look.backends().filter(|(b, _)| of(b)).count()
    };
    let off = count(|b| b.state == State::Disabled);
    let (healthy, sick) = (count(|b| b.healthy), count(is_sick));
    let wanted = look.readiness.backends.len() - off;
    let (mood, healthy) = match (healthy, sick) {
        (0, 0) if wanted == 0 => (Mood::Idle, 0),
        (healthy, 0) if healthy == wanted => (Mood::Good, healthy),
        (0, _) => (Mood::Bad, 0),
        (healthy, _) => (Mood::Doubtful, healthy),
    };
    badge(html, mood, format_args!("{healthy} of {wanted} healthy"));
    if off > 0 {
        html.element("<small>", format_args!("{off} switched off"), "</small>");
    }
}

fn catalogue(html: &mut Html, look: &Look) {
    let count = |of: fn(&mcp_router_core::BackendStatus) -> usize| {
        look.backends().map(|(b, _)| of(b) as u64).sum()
    };
    html.text(Count(count(|b| b.tools), "tool"));
    html.raw("<small>")
        .text(Count(count(|b| b.prompts), "prompt"))
        .raw(", ")
        .text(Count(count(|b| b.resources), "resource"))
        .raw("</small>");
}
