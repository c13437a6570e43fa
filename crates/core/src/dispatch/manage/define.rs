//! What clients are told of the router's own tools.

use std::sync::LazyLock;

use mcp_router_protocol::RawJson;
use serde_json::{Value, json};

use crate::hub::Settings;

/// Those that look, change the configuration's part, and add or remove backends.
const LOOK: usize = 3;
const RELOAD: usize = 4;
const ALL: usize = 6;

/// The definitions of those that are there, in the order in which they are listed: last, and in this
/// order.
pub(crate) fn definitions(settings: &Settings) -> &'static [RawJson] {
    static DEFINITIONS: LazyLock<[RawJson; ALL]> = LazyLock::new(|| {
        let look = looking();
        let change = changing();
        let mut all = look.iter().chain(&change).map(RawJson::of);
        std::array::from_fn(|_| all.next().unwrap_or_else(|| RawJson::from_static("{}")))
    });
    let there = match &settings.manager {
        None => LOOK,
        Some(manager) if manager.registers() => ALL,
        Some(_) => RELOAD,
    };
    &DEFINITIONS[..there]
}

fn looking() -> [Value; LOOK] {
    let hints = json!({ "readOnlyHint": true, "idempotentHint": true, "openWorldHint": false });
    [
        json!({
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
        }),
        json!({
            "name": "get_backend_health",
            "title": "Health of one backend",
            "description": "Tells how one MCP server behind this router fares, with its last error.",
            "inputSchema": named("backend_name", "The backend's name, as list_backends shows it."),
            "outputSchema": { "type": "object" },
            "annotations": hints,
        }),
        json!({
            "name": "get_routing_info",
            "title": "Routing of one tool",
            "description": "Tells which MCP server would serve a tool now and why, and who comes next if it fails. Nothing is called.",
            "inputSchema": named("tool_name", "The tool's name as tools/list shows it."),
            "outputSchema": { "type": "object" },
            "annotations": hints,
        }),
    ]
}

fn changing() -> [Value; ALL - LOOK] {
    let names = json!({ "type": "array", "items": { "type": "string" } });
    [
        json!({
            "name": "reload_backends_config",
            "title": "Reload the configuration",
            "description": "Reads the router's configuration file again and changes to what it says. MCP servers that it says the same of are left alone; a file with errors changes nothing.",
            "inputSchema": { "type": "object", "properties": {} },
            "outputSchema": {
                "type": "object",
                "properties": { "added": names, "removed": names, "updated": names, "errors": names },
                "required": ["added", "removed", "updated", "errors"],
            },
            "annotations": { "readOnlyHint": false, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false },
        }),
        json!({
            "name": "register_backend",
            "title": "Add an MCP server",
            "description": "Puts another MCP server behind this router until it is unregistered or the router stops. Its tools can be called at once.",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "source": { "type": "string", "description": "The server's URL, or a command that the operator has allowed." },
                    "name": { "type": ["string", "null"], "description": "The backend's name. Made from the source if absent." },
                    "namespace": { "type": ["string", "null"], "description": "What its tools are prefixed with: a-z, 0-9, _ and -. The name if absent." },
                    "priority": { "type": "integer", "minimum": 0, "default": 10, "description": "Lower is tried first." },
                    "auto_start": { "type": "boolean", "default": true, "description": "Whether it is used; if not, it is only listed." },
                },
                "required": ["source"],
            },
            "outputSchema": { "type": "object" },
            "annotations": { "readOnlyHint": false, "destructiveHint": false, "idempotentHint": false, "openWorldHint": true },
        }),
        json!({
            "name": "unregister_backend",
            "title": "Remove an MCP server",
            "description": "Removes an MCP server that was added with register_backend.",
            "inputSchema": named("backend_name", "The backend's name, as list_backends shows it."),
            "outputSchema": { "type": "object" },
            "annotations": { "readOnlyHint": false, "destructiveHint": true, "idempotentHint": false, "openWorldHint": false },
        }),
    ]
}

/// The schema of a tool with one argument, which is a text.
fn named(argument: &str, description: &str) -> Value {
    json!({
        "type": "object",
        "properties": { argument: { "type": "string", "description": description } },
        "required": [argument],
    })
}
