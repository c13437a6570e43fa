//! The demo's `time` namespace.

use std::time::{SystemTime, UNIX_EPOCH};

use mcp_router_protocol::{Method, RawParams};
use serde_json::{Value, json};

use super::server::{Offer, Run, Tool};

pub(super) static CLOCK: Offer = Offer {
    role: "clock",
    instructions: "Tells the time and counts down.",
    tools: &[
        Tool {
            name: "now",
            description: "Tells the current time in seconds since 1970-01-01 UTC.",
            properties: || json!({}),
            run: Run::Now(|_, _| now()),
        },
        Tool {
            name: "countdown",
            description: "Counts down a step a second and reports progress.",
            properties: || json!({ "from": { "type": "integer", "minimum": 1, "maximum": 60 } }),
            run: Run::Countdown,
        },
    ],
    other,
};

fn now() -> Result<String, String> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since
        .map(|d| d.as_secs().to_string())
        .map_err(|_| "the clock stands before 1970".to_owned())
}

fn other(method: &Method, _: &RawParams) -> Option<Value> {
    match method {
        Method::PromptsList => Some(json!({ "prompts": [] })),
        Method::ResourcesList => Some(json!({ "resources": [] })),
        Method::ResourceTemplatesList => Some(json!({ "resourceTemplates": [] })),
        _ => None,
    }
}
