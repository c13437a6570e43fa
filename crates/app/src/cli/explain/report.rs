//! The explanation, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write;

use mcp_router_config::Config;
use serde::Serialize;
use serde_json::Value;

use super::super::table::{bold, line as safe};
use super::ask::Answer;
use crate::build::{self, LayerText};

/// What becomes of a call.
#[derive(Debug, Serialize)]
pub(super) struct Explanation {
    /// As it was asked for.
    asked: String,
    /// The router that answered; absent if the backends were asked for this.
    router: Option<String>,
    routing: Value,
    health: Option<Value>,
    /// How the last call of the tool ended; absent if nothing is known of the past.
    last_outcome: Option<String>,
    /// What the backend failed at last, while it matters; absent as above.
    trouble: Option<String>,
    /// How many calls of the tool have ended in which way since the router started.
    outcomes: Option<BTreeMap<String, u64>>,
    /// Outermost first; absent if the configuration does not name the backend.
    layers: Option<Vec<LayerText>>,
}

impl Explanation {
    pub(super) fn of(
        asked: &str,
        router: Option<&str>,
        answer: Answer,
        config: Option<&Config>,
    ) -> Self {
        let Answer {
            routing,
            health,
            outcomes,
        } = answer;
        let backend = routing["backend"].as_str().unwrap_or_default();
        let tool = routing["tool"].as_str().unwrap_or_default();
        let layers = config.and_then(|config| {
            let mut all = config.backends.iter();
            let found = all.find(|b| b.name.as_str() == backend)?;
            Some(build::layers(found, config, tool))
        });
        let past = router.and(health.as_ref());
        Self {
            asked: asked.to_owned(),
            router: router.map(str::to_owned),
            last_outcome: router.map(|_| last_outcome(&routing["last_call"])),
            trouble: past.map(trouble),
            outcomes,
            layers,
            routing,
            health,
        }
    }

    pub(super) fn render(&self, colour: bool) -> String {
        let mut out = self.facts();
        let title = |out: &mut String, text: &str| {
            let text = match colour {
                true => bold(text),
                false => text.to_owned(),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(out, "\n{text}");
        };
        let next = self.routing["alternatives"].as_array();
        if let Some(next @ [_, ..]) = next.map(Vec::as_slice) {
            title(&mut out, "If that fails, and may be asked elsewhere");
            for (at, other) in next.iter().enumerate() {
                let line = format!(
                    "{}. {}: {}",
                    at + 1,
                    text(&other["backend"]),
                    text(&other["reason"])
                );
                let _ = writeln!(out, "  {}", safe(&line));
            }
        }
        if let Some(layers) = &self.layers {
            title(&mut out, "On the way there, outermost first");
            for layer in layers {
                let _ = writeln!(
                    out,
                    "  {:8} {}",
                    layer.layer,
                    safe(&settings(&layer.settings))
                );
            }
        }
        out
    }

    fn facts(&self) -> String {
        let routing = &self.routing;
        let mut facts = vec![
            ("tool", text(&routing["tool_name"])),
            (
                "told by",
                match &self.router {
                    Some(url) => format!("the router at {url}"),
                    None => {
                        "the backends, asked just now; of earlier calls nothing is known".to_owned()
                    }
                },
            ),
            (
                "backend",
                format!(
                    "{} (there: {})",
                    text(&routing["backend"]),
                    text(&routing["tool"])
                ),
            ),
            ("why", text(&routing["reason"])),
            ("standing", text(&routing["standing"])),
            (
                "asked again",
                asked_again(&routing["fails_over_after"]).to_owned(),
            ),
        ];
        if let Some(health) = &self.health {
            let circuit = text(&health["circuit_state"]);
            let healthy = match health["healthy"] == true {
                true => "well",
                false => "not well",
            };
            let failures = text(&health["error_count"]);
            facts.push((
                "health",
                format!("{healthy}, circuit {circuit}, {failures} failures in a row"),
            ));
        }
        if let Some(outcomes) = &self.outcomes {
            facts.push(("calls", calls(outcomes)));
        }
        if let Some(last) = &self.last_outcome {
            facts.push(("last call", last.clone()));
        }
        if let Some(trouble) = &self.trouble {
            facts.push(("trouble", trouble.clone()));
        }
        let mut out = String::new();
        for (name, fact) in facts {
            // As above.
            let _ = writeln!(out, "{name:12} {}", safe(&fact));
        }
        out
    }
}

/// After which failures somebody else may be asked, or the same one again.
fn asked_again(after: &Value) -> &'static str {
    match after.as_str() {
        Some("failed") => "after any failure: calling it twice does no harm",
        Some("refused") => "only if it certainly did not run: not sent, or refused",
        _ => "only if it was not sent",
    }
}

fn last_outcome(call: &Value) -> String {
    let Some(outcome) = call["outcome"].as_str() else {
        return "none among the last that the router noted".to_owned();
    };
    let at = match call["backend"].as_str() {
        Some("") | None => String::new(),
        Some(backend) => format!(", by {backend}"),
    };
    format!(
        "{outcome} at {}{at}, {} ms, attempts {}",
        text(&call["at"]),
        call["latency_ms"],
        call["attempts"]
    )
}

fn trouble(health: &Value) -> String {
    let failure = &health["last_failure"];
    match failure["error"].as_str() {
        Some(error) => format!(
            "failed at {} since {}: {error}",
            text(&failure["stage"]),
            text(&failure["since"])
        ),
        None => "no failure since it was reached".to_owned(),
    }
}

fn calls(outcomes: &BTreeMap<String, u64>) -> String {
    if outcomes.is_empty() {
        return "none has ended since the router started".to_owned();
    }
    let each = outcomes
        .iter()
        .map(|(outcome, count)| format!("{count} {outcome}"));
    let each: Vec<_> = each.collect();
    format!("{} since the router started", each.join(", "))
}

fn settings(settings: &Value) -> String {
    let members = settings.as_object().into_iter().flatten();
    let shown = members.filter(|(_, value)| !value.is_null());
    let shown: Vec<_> = shown
        .map(|(key, value)| format!("{key} {}", text(value)))
        .collect();
    shown.join(", ")
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
