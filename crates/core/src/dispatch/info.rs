//! `get_routing_info`: what would become of a call now. Nobody is called for it.

use mcp_router_observe::utc;
use mcp_router_protocol::ItemKind;
use mcp_router_routing::Fitness;
use mcp_router_service::{ClientProfile, RepeatAfter};
use serde::Serialize;

use super::call::find;
use super::failover::Candidates;
use super::manage;
use crate::catalogue::Choice;
use crate::hub::{Hub, Settings};

/// Where a call of a tool would go.
#[derive(Debug, Serialize)]
pub(super) struct RoutingInfo {
    /// As operators know it: `namespace.name`.
    tool_name: String,
    /// Who gets it first.
    #[serde(flatten)]
    first: Candidate,
    /// Who gets it next if that fails in a way that allows it, in order.
    alternatives: Vec<Candidate>,
    /// The call that ended last, while it is noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_call: Option<LastCall>,
}

/// How the last call of a tool ended. Whose it was is nobody else's business.
#[derive(Debug, Serialize)]
struct LastCall {
    /// As in the log and the metrics.
    outcome: &'static str,
    /// When it ended, in RFC 3339.
    at: String,
    /// Who got it last; empty if nobody did.
    backend: String,
    latency_ms: u64,
    /// How many times it was given to a backend.
    attempts: u32,
}

#[derive(Debug, Serialize)]
struct Candidate {
    backend: String,
    namespace: Option<String>,
    /// What the backend calls the tool.
    tool: String,
    strategy: String,
    /// The pattern of the route that decided.
    pattern: Option<String>,
    /// Whose `fallback_to` it is.
    fallback_of: Option<String>,
    priority: u32,
    /// Whether it lists the tool.
    listed: bool,
    /// `usable`, `doubtful`, `resting` or `circuit_open`.
    standing: &'static str,
    /// After which failures somebody else may be asked: `not_sent`, `refused` or `failed`.
    fails_over_after: &'static str,
    reason: String,
}

/// What would become of this client's call of `tool` now, in whatever spelling; `None` if nobody
/// would get it.
pub(super) fn of(hub: &Hub, tool: &str, client: &ClientProfile) -> Option<RoutingInfo> {
    let snapshot = hub.snapshot.load();
    if manage::is_offered(&snapshot.settings, tool) {
        return Some(own(hub, tool));
    }
    let found = find(hub, &snapshot, ItemKind::Tool, tool, client);
    let candidates = Candidates {
        choices: &found.choices,
        fixed: snapshot.settings.strategy.is_some(),
        counted: None,
    };
    let mut all = candidates
        .in_order()
        .map(|c| Candidate::of(&snapshot.settings, c));
    Some(RoutingInfo {
        tool_name: found.exposed.to_string(),
        first: all.next()?,
        alternatives: all.collect(),
        last_call: last_call(hub, &found.exposed),
    })
}

fn last_call(hub: &Hub, exposed: &str) -> Option<LastCall> {
    let call = hub.recent.as_ref()?.last_of(exposed)?;
    Some(LastCall {
        outcome: call.outcome.as_str(),
        at: utc(call.at),
        backend: call.backend,
        latency_ms: call.duration.as_millis() as u64,
        attempts: call.attempts,
    })
}

/// One of the router's own tools.
fn own(hub: &Hub, tool: &str) -> RoutingInfo {
    RoutingInfo {
        tool_name: tool.to_owned(),
        first: Candidate {
            backend: "mcp-router".to_owned(),
            namespace: None,
            tool: tool.to_owned(),
            strategy: "management".to_owned(),
            pattern: None,
            fallback_of: None,
            priority: 0,
            listed: true,
            standing: standing(Fitness::Usable),
            fails_over_after: repeat(RepeatAfter::NotSent),
            reason: "one of the router's own tools, which no backend can take over".to_owned(),
        },
        alternatives: Vec::new(),
        last_call: last_call(hub, tool),
    }
}

impl Candidate {
    fn of(settings: &Settings, choice: &Choice) -> Self {
        let meta = &choice.cell.meta;
        let fitness = choice.cell.fitness();
        let strategy = settings.strategy_name(choice);
        let pattern = choice.pattern().map(ToString::to_string);
        let mut reason = format!("strategy {strategy}");
        if let Some(pattern) = &pattern {
            reason += &format!(" by the route `{pattern}`");
        }
        if let Some(backend) = &choice.named_by {
            reason += &format!(", named as fallback of {backend}");
        }
        reason += match choice.lists() {
            true => "; lists the tool",
            false => "; does not list the tool",
        };
        reason += &format!("; priority {}", meta.priority);
        reason += match fitness {
            Fitness::Usable => "",
            Fitness::Doubtful => "; after all others, because it looks down",
            Fitness::Resting => "; after all others, because it asked to be left alone",
            Fitness::Out => "; last, because its circuit is open",
        };
        Self {
            backend: meta.name.to_string(),
            namespace: meta.namespace.as_ref().map(ToString::to_string),
            tool: choice.own().to_owned(),
            strategy,
            pattern,
            fallback_of: choice.named_by.as_ref().map(ToString::to_string),
            priority: meta.priority,
            listed: choice.lists(),
            standing: standing(fitness),
            fails_over_after: repeat(choice.repeat),
            reason,
        }
    }
}

const fn standing(fitness: Fitness) -> &'static str {
    match fitness {
        Fitness::Usable => "usable",
        Fitness::Doubtful => "doubtful",
        Fitness::Resting => "resting",
        Fitness::Out => "circuit_open",
    }
}

const fn repeat(after: RepeatAfter) -> &'static str {
    match after {
        RepeatAfter::NotSent => "not_sent",
        RepeatAfter::Refused => "refused",
        RepeatAfter::Failed => "failed",
    }
}
