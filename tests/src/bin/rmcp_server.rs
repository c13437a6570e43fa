//! A small MCP server on rmcp, a peer that nobody here wrote, for the interop suite.
//!
//! `rmcp_server http` binds a free port of the loopback, prints its URL on stdout and serves both
//! eras; `rmcp_server stdio` serves its stdin and stdout. It offers the suite's common kit.

use std::process::ExitCode;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams, CompleteResult,
    ContentBlock, GetPromptRequestParams, GetPromptResponse, GetPromptResult, Implementation,
    ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ProgressNotificationParam, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The kit: four tools, a prompt, two resources, a template, completions.
#[derive(Clone, Debug)]
struct Kit;

/// Results are written as the JSON they become, which reads better than a dozen builders.
fn shape<T: DeserializeOwned>(mut value: Value) -> Result<T, ErrorData> {
    // Required in the modern era; rmcp takes it off again for older clients.
    value["resultType"] = json!("complete");
    serde_json::from_value(value).map_err(|e| ErrorData::internal_error(e.to_string(), None))
}

fn schema(fields: &[(&str, &str)]) -> Value {
    let properties: serde_json::Map<String, Value> = fields
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), json!({ "type": kind })))
        .collect();
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

impl Kit {
    async fn count(
        to: u64,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        if let Some(token) = context.meta.get_progress_token() {
            for step in 1..=to {
                let note = ProgressNotificationParam::new(token.clone(), step as f64)
                    .with_total(to as f64);
                context
                    .peer
                    .notify_progress(note)
                    .await
                    .map_err(|e| ErrorData::internal_error(e.to_string(), None))?;
                // Some clients forget who waits for progress the moment the answer arrives.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(text(format!("counted to {to}")))
    }
}

fn text(text: impl Into<String>) -> CallToolResult {
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
            "count" => Self::count(integer("to")?.unsigned_abs(), &context).await?,
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

#[expect(clippy::print_stdout, reason = "the driver reads the URL there")]
async fn http() -> Result<(), Failure> {
    let service: StreamableHttpService<Kit, LocalSessionManager> = StreamableHttpService::new(
        || Ok(Kit),
        Default::default(),
        StreamableHttpServerConfig::default(),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}/mcp", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            // A client that goes away mid-stream is not this server's failure.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection_with_upgrades(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn stdio() -> Result<(), Failure> {
    Kit.serve(rmcp::transport::stdio()).await?.waiting().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let served = match std::env::args().nth(1).as_deref() {
        Some("http") => http().await,
        Some("stdio") => stdio().await,
        _ => Err("usage: rmcp_server http|stdio".into()),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
