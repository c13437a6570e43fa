//! The suite's common kit: four tools, a prompt, two resources, a template, completions.

use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams, CompleteResult,
    ContentBlock, GetPromptRequestParams, GetPromptResponse, GetPromptResult, Implementation,
    ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ProgressNotificationParam, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The kit.
#[derive(Clone, Debug)]
pub(crate) struct Kit;

/// Results are written as the JSON they become, which reads better than a dozen builders.
pub(crate) fn shape<T: DeserializeOwned>(mut value: Value) -> Result<T, ErrorData> {
    // Required in the modern era; rmcp takes it off again for older clients.
    value["resultType"] = json!("complete");
    serde_json::from_value(value).map_err(|e| ErrorData::internal_error(e.to_string(), None))
}

pub(crate) fn schema(fields: &[(&str, &str)]) -> Value {
    let properties: serde_json::Map<String, Value> = fields
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), json!({ "type": kind })))
        .collect();
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

/// Counts, reporting progress to who wants it.
pub(crate) async fn count(
    to: u64,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResult, ErrorData> {
    for step in 1..=to {
        progress(context, step, to).await?;
        // Some clients forget who waits for progress the moment the answer arrives.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(text(format!("counted to {to}")))
}

/// Reports one step, if progress is wanted.
pub(crate) async fn progress(
    context: &RequestContext<RoleServer>,
    step: u64,
    total: u64,
) -> Result<(), ErrorData> {
    let Some(token) = context.meta.get_progress_token() else {
        return Ok(());
    };
    let note = ProgressNotificationParam::new(token, step as f64).with_total(total as f64);
    let sent = context.peer.notify_progress(note).await;
    sent.map_err(|e| ErrorData::internal_error(e.to_string(), None))
}

pub(crate) fn text(text: impl Into<String>) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

impl ServerHandler for Kit {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_prompts()
            .enable_resources()
            .enable_completions()
            .build();
        ServerConfig::new(capabilities).with_server_info(Implementation::new("rmcp-kit", "1.0.0"))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        shape(json!({ "tools": [
            { "name": "echo", "description": "Returns the message.", "inputSchema": schema(&[("message", "string")]) },
            { "name": "add", "description": "Adds two integers.", "inputSchema": schema(&[("a", "integer"), ("b", "integer")]) },
            { "name": "fail", "description": "Fails with the reason.", "inputSchema": schema(&[("reason", "string")]) },
            { "name": "count", "description": "Counts, reporting progress.", "inputSchema": schema(&[("to", "integer")]) },
        ]}))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let string = |name: &str| {
            let value = arguments.get(name).and_then(Value::as_str);
            value.ok_or_else(|| ErrorData::invalid_params(format!("`{name}` is missing"), None))
        };
        let integer = |name: &str| {
            let value = arguments.get(name).and_then(Value::as_i64);
            value.ok_or_else(|| ErrorData::invalid_params(format!("`{name}` is missing"), None))
        };
        let result = match request.name.as_ref() {
            "echo" => text(string("message")?),
            "add" => text((integer("a")? + integer("b")?).to_string()),
            "fail" => CallToolResult::error(vec![ContentBlock::text(string("reason")?)]),
            "count" => count(integer("to")?.unsigned_abs(), &context).await?,
            _ => return Err(ErrorData::invalid_params("unknown tool", None)),
        };
        Ok(result.into())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        shape(
            json!({ "prompts": [{ "name": "greet", "arguments": [{ "name": "name", "required": true }] }] }),
        )
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        if request.name != "greet" {
            return Err(ErrorData::invalid_params("unknown prompt", None));
        }
        let arguments = serde_json::to_value(&request.arguments).unwrap_or_default();
        let name = arguments["name"].as_str().unwrap_or("nobody");
        let result: GetPromptResult = shape(json!({ "messages": [
            { "role": "user", "content": { "type": "text", "text": format!("Hello, {name}!") } }
        ]}))?;
        Ok(result.into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        shape(json!({ "resources": [
            { "uri": "config://server", "name": "config" },
            { "uri": "urn:demo:readme", "name": "readme" },
        ]}))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        shape(
            json!({ "resourceTemplates": [{ "uriTemplate": "note://item/{id}", "name": "note" }] }),
        )
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri.as_str();
        let body = match uri {
            "config://server" => "kit configuration".to_owned(),
            "urn:demo:readme" => "read me".to_owned(),
            _ => match uri.strip_prefix("note://item/") {
                Some(id) => format!("note {id}"),
                None => return Err(ErrorData::resource_not_found("no such resource", None)),
            },
        };
        let result: ReadResourceResult =
            shape(json!({ "contents": [{ "uri": uri, "text": body }] }))?;
        Ok(result.into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let started = &request.argument.value;
        let values: Vec<&str> = ["ada", "alan", "grace"]
            .into_iter()
            .filter(|name| name.starts_with(started.as_str()))
            .collect();
        shape(json!({ "completion": { "values": values, "hasMore": false } }))
    }
}
