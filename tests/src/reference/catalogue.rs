//! What the server lists. The names are those that the suite's scenarios ask for.

use serde_json::{Value, json};

use super::server::Server;

/// The argument of the tool whose call mirrors it into a header, and the header's suffix.
pub(super) const HEADER_TOOL: &str = "test_custom_header";
pub(super) const HEADER_ARGUMENT: &str = "region";
pub(super) const HEADER_SUFFIX: &str = "Region";

/// Tools without arguments.
const PLAIN: [(&str, &str); 28] = [
    ("test_simple_text", "Gives one text"),
    ("test_image_content", "Gives an image"),
    ("test_audio_content", "Gives a sound"),
    ("test_embedded_resource", "Gives an embedded resource"),
    (
        "test_multiple_content_types",
        "Gives a text, an image and a resource",
    ),
    ("test_tool_with_logging", "Logs three times while it runs"),
    ("test_tool_with_progress", "Tells its progress three times"),
    ("test_error_handling", "Fails"),
    ("test_reconnection", "Ends its stream before it answers"),
    (
        "test_elicitation_sep1034_defaults",
        "Asks the user, with default values",
    ),
    ("test_elicitation_sep1330_enums", "Asks the user to choose"),
    (
        "test_missing_capability",
        "Asks for sampling whatever the client declared",
    ),
    (
        "test_streaming_elicitation",
        "Asks the user while a stream is open",
    ),
    ("test_logging_tool", "Logs once"),
    ("test_trigger_tool_change", "Adds a tool, or removes it"),
    ("test_trigger_prompt_change", "Adds a prompt, or removes it"),
    (
        "test_trigger_resource_update",
        "Tells that the watched resource changed",
    ),
    ("test_input_required_result_elicitation", "Asks for a name"),
    (
        "test_input_required_result_sampling",
        "Asks the model for a capital",
    ),
    (
        "test_input_required_result_list_roots",
        "Asks for the roots",
    ),
    (
        "test_input_required_result_request_state",
        "Asks for a confirmation",
    ),
    (
        "test_input_required_result_multiple_inputs",
        "Asks for three things at once",
    ),
    (
        "test_input_required_result_multi_round",
        "Asks for one thing after another",
    ),
    (
        "test_input_required_result_tampered_state",
        "Asks, and trusts no altered state",
    ),
    (
        "test_input_required_result_capabilities",
        "Asks what the client can answer",
    ),
    (
        "test_error_after_progress",
        "Tells its progress, then fails",
    ),
    ("test_slow", "Takes a quarter of a second"),
    ("test_resource_link", "Gives a link to a resource"),
];

/// The resource that changes.
pub(super) const WATCHED: &str = "test://watched-resource";

pub(super) fn tools(server: &Server) -> Value {
    let nothing = json!({"type": "object", "properties": {}});
    let mut tools: Vec<Value> = PLAIN
        .iter()
        .map(|(name, what)| tool(name, what, nothing.clone()))
        .collect();
    tools.push(tool(
        "test_sampling",
        "Asks the client's model",
        one_string("prompt"),
    ));
    tools.push(tool(
        "test_elicitation",
        "Asks the user",
        one_string("message"),
    ));
    tools.push(tool(
        "json_schema_2020_12_tool",
        "Has a schema of many keywords",
        rich_schema(),
    ));
    tools.push(tool(
        HEADER_TOOL,
        "Has an argument that travels as a header",
        header_schema(),
    ));
    tools.extend(task_tools());
    if server.has_extra_tool() {
        tools.push(tool("test_comes_and_goes", "Is there at times", nothing));
    }
    json!({"tools": tools})
}

/// The tools that may become tasks, and one that never does.
fn task_tools() -> [Value; 7] {
    let nothing = || json!({"type": "object", "properties": {}});
    let compute = json!({
        "type": "object",
        "properties": {"seconds": {"type": "number"}, "label": {"type": "string"}},
    });
    [
        tool("greet", "Greets at once", one_string("name")),
        tool("slow_compute", "Takes as long as it is told", compute),
        tool("failing_job", "Fails after a while", nothing()),
        tool("protocol_error_job", "Ends in an error", nothing()),
        tool("confirm_delete", "Asks while it runs", nothing()),
        tool(
            "multi_input",
            "Asks for two things while it runs",
            nothing(),
        ),
        tool(
            "test_tool_with_task",
            "Asks before it becomes a task",
            nothing(),
        ),
    ]
}

fn tool(name: &str, what: &str, schema: Value) -> Value {
    json!({"name": name, "description": what, "inputSchema": schema})
}

fn one_string(name: &str) -> Value {
    json!({"type": "object", "properties": {name: {"type": "string"}}, "required": [name]})
}

fn header_schema() -> Value {
    let argument = json!({"type": "string", "x-mcp-header": HEADER_SUFFIX});
    json!({
        "type": "object",
        "properties": {HEADER_ARGUMENT: argument},
        "required": [HEADER_ARGUMENT],
    })
}

fn rich_schema() -> Value {
    let string = json!({"type": "string"});
    let address = json!({
        "$anchor": "addressDef",
        "type": "object",
        "properties": {"street": string, "city": string},
    });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": address},
        "properties": {
            "name": string,
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": string,
            "email": string,
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": false,
    })
}

pub(super) fn prompts(server: &Server) -> Value {
    let prompt = |name: &str, what: &str, arguments: &[&str]| {
        let arguments: Vec<Value> = arguments
            .iter()
            .map(|name| json!({"name": name, "description": "An argument", "required": true}))
            .collect();
        json!({"name": name, "description": what, "arguments": arguments})
    };
    let mut prompts = vec![
        prompt("test_simple_prompt", "One message", &[]),
        prompt(
            "test_prompt_with_arguments",
            "Two arguments",
            &["arg1", "arg2"],
        ),
        prompt(
            "test_prompt_with_embedded_resource",
            "A resource",
            &["resourceUri"],
        ),
        prompt("test_prompt_with_image", "An image", &[]),
        prompt(
            "test_input_required_result_prompt",
            "Asks for its context",
            &[],
        ),
    ];
    if server.has_extra_prompt() {
        prompts.push(prompt(
            "test_prompt_comes_and_goes",
            "Is there at times",
            &[],
        ));
    }
    json!({"prompts": prompts})
}

pub(super) fn resources() -> Value {
    let resource = |uri: &str, name: &str, kind: &str| json!({"uri": uri, "name": name, "description": name, "mimeType": kind});
    json!({"resources": [
        resource("test://static-text", "Static text", "text/plain"),
        resource("test://static-binary", "Static image", "image/png"),
        resource(WATCHED, "Watched resource", "text/plain"),
    ]})
}

pub(super) fn templates() -> Value {
    json!({"resourceTemplates": [{
        "uriTemplate": "test://template/{id}/data",
        "name": "Template",
        "description": "Data for an id",
        "mimeType": "application/json",
    }]})
}

/// What the server can do, in both eras.
pub(super) fn capabilities() -> Value {
    json!({
        "tools": {"listChanged": true},
        "prompts": {"listChanged": true},
        "resources": {"listChanged": true, "subscribe": true},
        "completions": {},
        "logging": {},
    })
}

pub(super) fn identity() -> Value {
    json!({"name": "mcp-conformance-reference", "version": env!("CARGO_PKG_VERSION")})
}
