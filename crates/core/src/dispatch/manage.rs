//! The router's own tools. Never prefixed; a backend cannot shadow them.

mod change;
mod define;

use std::sync::Arc;

use futures::FutureExt;
use mcp_router_protocol::RawJson;
use mcp_router_service::{McpRequest, McpResponse};
use serde::Serialize;
use serde_json::json;

use super::{info, invalid_params};
use crate::hub::{Hub, Settings};

pub(crate) use define::definitions;

/// Every name that is ours, those of tools that are not there now included: a backend that took one
/// now would lose it later. In the order of the definitions.
pub const RESERVED: [&str; 6] = [
    "list_backends",
    "get_backend_health",
    "get_routing_info",
    "reload_backends_config",
    "register_backend",
    "unregister_backend",
];

pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// Whether a name is one of those that are there now.
pub(super) fn is_offered(settings: &Settings, name: &str) -> bool {
    RESERVED[..definitions(settings).len()].contains(&name)
}

/// Answers a call of one of the router's own tools.
pub(super) async fn call(hub: &Arc<Hub>, name: &str, request: &McpRequest) -> McpResponse {
    let settings = hub.settings();
    let unknown = || invalid_params(format!("Unknown tool: {name}"));
    if !is_offered(&settings, name) {
        return unknown();
    }
    match (name, &settings.manager) {
        ("list_backends", _) => list_backends(hub, &settings),
        ("get_backend_health", _) => health(hub, request),
        ("get_routing_info", _) => routing(hub, request),
        // Boxed: other calls need not carry the room for these.
        ("reload_backends_config", Some(manager)) => change::reload(manager).boxed().await,
        ("register_backend", Some(manager)) => change::register(manager, request).boxed().await,
        ("unregister_backend", Some(manager)) => change::unregister(manager, request).boxed().await,
        _ => unknown(),
    }
}

fn list_backends(hub: &Hub, settings: &Settings) -> McpResponse {
    let all = hub.statuses();
    let manager = settings.manager.as_ref();
    let problems = manager.map(|m| m.problems()).unwrap_or_default();
    if problems.is_empty() {
        return result(&all, &json!({ "result": all }));
    }
    // The list itself stays what it always is; what is wrong comes beside it.
    let told = format!(
        "The configuration file has errors, so the router goes on with the one before: {}",
        problems.join("; ")
    );
    let structured = json!({ "result": all, "config_errors": problems });
    results(&[&text(&all), &told], &structured)
}

fn health(hub: &Hub, request: &McpRequest) -> McpResponse {
    let Some(wanted) = text_argument(request, "backend_name") else {
        return invalid_params("arguments.backend_name must be a string");
    };
    match hub.statuses().into_iter().find(|s| s.name == wanted) {
        Some(status) => result(&status, &status),
        None => failure(&format!("Backend not found: {wanted}")),
    }
}

fn routing(hub: &Arc<Hub>, request: &McpRequest) -> McpResponse {
    let Some(wanted) = text_argument(request, "tool_name") else {
        return invalid_params("arguments.tool_name must be a string");
    };
    match info::of(hub, &wanted, &request.context.client) {
        Some(info) => result(&info, &info),
        None => failure(&format!("Tool not found: {wanted}")),
    }
}

fn text_argument(request: &McpRequest, name: &str) -> Option<String> {
    request.params.arguments()?.get_str(name)
}

fn text(shown: &impl Serialize) -> String {
    RawJson::of(shown).as_str().to_owned()
}

fn result(shown: &impl Serialize, structured: &impl Serialize) -> McpResponse {
    results(&[&text(shown)], structured)
}

/// A result with several texts.
fn results(texts: &[&str], structured: &impl Serialize) -> McpResponse {
    let block = |text: &&str| {
        format!(
            r#"{{"type":"text","text":{}}}"#,
            RawJson::of(*text).as_str()
        )
    };
    let content: Vec<_> = texts.iter().map(block).collect();
    McpResponse::complete(RawJson::from_checked(
        format!(
            r#"{{"content":[{}],"structuredContent":{}}}"#,
            content.join(","),
            RawJson::of(structured).as_str()
        )
        .into(),
    ))
}

fn failure(text: &str) -> McpResponse {
    let content = json!([{ "type": "text", "text": text }]);
    McpResponse::complete(RawJson::of(&json!({ "content": content, "isError": true })))
}
