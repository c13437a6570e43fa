//! The router's own tools. Never prefixed; a backend cannot shadow them.

use std::sync::LazyLock;

use mcp_router_protocol::RawJson;
use mcp_router_service::{McpRequest, McpResponse};
use serde::Serialize;
use serde_json::json;

use super::{info, invalid_params};
use crate::hub::Hub;

/// Every name that is ours, those of tools to come included: a backend that took one now would
/// lose it later.
const RESERVED: [&str; 6] = [
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
pub(super) fn is_offered(name: &str) -> bool {
    RESERVED[..definitions().len()].contains(&name)
}

/// The definitions, in the order in which they are listed: last, and in this order.
pub(crate) fn definitions() -> &'static [RawJson] {
    static DEFINITIONS: LazyLock<[RawJson; 3]> = LazyLock::new(|| {
        let hints = json!({ "readOnlyHint": true, "idempotentHint": true, "openWorldHint": false });
        [
            RawJson::of(&json!({
                "name": "list_backends",
                "title": "List backends",
                "description": "Lists the MCP servers behind this router with their state.",
                "inputSchema": { "type": "object", "properties": {} },
                "outputSchema": {
                    "type": "object",
                    "properties": { "result": { "type": "array", "items": { "type": "object" } } },
                    "required": ["result"],
                },
                "annotations": hints,
            })),
            RawJson::of(&json!({
                "name": "get_backend_health",
                "title": "Health of one backend",
                "description": "Tells how one MCP server behind this router fares, with its last error.",
                "inputSchema": {
                    "type": "object",
                    "properties": { "backend_name": {
                        "type": "string", "description": "The backend's name, as list_backends shows it.",
                    } },
                    "required": ["backend_name"],
                },
                "outputSchema": { "type": "object" },
                "annotations": hints,
            })),
            RawJson::of(&json!({
                "name": "get_routing_info",
                "title": "Routing of one tool",
                "description": "Tells which MCP server would serve a tool now and why, and who comes next if it fails. Nothing is called.",
                "inputSchema": {
                    "type": "object",
                    "properties": { "tool_name": {
                        "type": "string", "description": "The tool's name as tools/list shows it.",
                    } },
                    "required": ["tool_name"],
                },
                "outputSchema": { "type": "object" },
                "annotations": hints,
            })),
        ]
    });
    &*DEFINITIONS
}

/// Answers a call of one of the router's own tools.
pub(super) fn call(hub: &Hub, name: &str, request: &McpRequest) -> McpResponse {
    let params = &request.params;
    match name {
        "list_backends" => {
            let all = hub.statuses();
            result(&all, &json!({ "result": all }))
        }
        "get_backend_health" => {
            let wanted = params.arguments().and_then(|a| a.get_str("backend_name"));
            let Some(wanted) = wanted else {
                return invalid_params("arguments.backend_name must be a string");
            };
            match hub.statuses().into_iter().find(|s| s.name == wanted) {
                Some(status) => result(&status, &status),
                None => failure(&format!("Backend not found: {wanted}")),
            }
        }
        "get_routing_info" => {
            let wanted = params.arguments().and_then(|a| a.get_str("tool_name"));
            let Some(wanted) = wanted else {
                return invalid_params("arguments.tool_name must be a string");
            };
            match info::of(hub, &wanted, &request.context.client) {
                Some(info) => result(&info, &info),
                None => failure(&format!("Tool not found: {wanted}")),
            }
        }
        other => invalid_params(format!("Unknown tool: {other}")),
    }
}

fn result(text: &impl Serialize, structured: &impl Serialize) -> McpResponse {
    let text = RawJson::of(RawJson::of(text).as_str());
    let structured = RawJson::of(structured);
    McpResponse::complete(RawJson::from_checked(
        format!(
            r#"{{"content":[{{"type":"text","text":{}}}],"structuredContent":{}}}"#,
            text.as_str(),
            structured.as_str()
        )
        .into(),
    ))
}

fn failure(text: &str) -> McpResponse {
    let content = json!([{ "type": "text", "text": text }]);
    McpResponse::complete(RawJson::of(&json!({ "content": content, "isError": true })))
}
