//! Asking a router: the one that runs, or one of our own.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use mcp_router_core::Router;
use mcp_router_protocol::{BackendName, Method, RawJson, RawParams};
use mcp_router_service::{BackendEvent, EventStream, McpRequest, McpService, Outcome};
use mcp_router_transport::client::{self, Connected, HttpBackendParams};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::outcomes;

/// How long a router on the same machine may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a router says about a tool.
#[derive(Debug)]
pub(super) struct Answer {
    /// The result of `get_routing_info`.
    pub(super) routing: Value,
    /// That of `get_backend_health` for the first in line, unless the tool is the router's own.
    pub(super) health: Option<Value>,
    /// How calls of the tool have ended so far, if the router counts them.
    pub(super) outcomes: Option<BTreeMap<String, u64>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskFailure {
    /// Nobody who speaks MCP is there, or it is no router of ours.
    #[error("no router answers: {0}")]
    Nobody(String),
    /// The router says that it cannot tell.
    #[error("{0}")]
    Refused(String),
}

/// Asks the router at `url`, and leaves it again.
pub(super) async fn running(url: &str, tool: &str) -> Result<Answer, AskFailure> {
    let nobody = |error: &dyn std::error::Error| AskFailure::Nobody(crate::report(error));
    let name: BackendName = "router".parse().map_err(|error| nobody(&error))?;
    let params = HttpBackendParams::new(name, url).map_err(|error| nobody(&error))?;
    let Connected {
        service,
        events,
        close,
        ..
    } = client::http(params);
    let asked = async {
        connected(events).await?;
        let mut answer = about(&service, tool).await?;
        if let Some(exposed) = answer.routing["tool_name"].as_str() {
            answer.outcomes = outcomes::of(url, exposed).await;
        }
        Ok(answer)
    };
    let answer = tokio::time::timeout(PATIENCE, asked).await;
    // A session is ended with the router, if it gave one.
    let _ = tokio::time::timeout(PATIENCE, close()).await;
    answer.unwrap_or_else(|_| Err(AskFailure::Nobody("it takes too long".to_owned())))
}

/// Asks a router in this process.
pub(super) async fn ourselves(router: &Router, tool: &str) -> Result<Answer, AskFailure> {
    about(&router.clone().into_service(), tool).await
}

async fn connected(mut events: EventStream) -> Result<(), AskFailure> {
    while let Some(event) = events.next().await {
        match event {
            BackendEvent::Connected(_) => {
                // What it tells from now on is nobody's business, but must not fill up.
                tokio::spawn(events.for_each(|_| std::future::ready(())));
                return Ok(());
            }
            BackendEvent::Lost { error, .. } => {
                return Err(AskFailure::Nobody(crate::report(&error)));
            }
            _ => {}
        }
    }
    Err(AskFailure::Nobody("it went away".to_owned()))
}

async fn about(service: &McpService, tool: &str) -> Result<Answer, AskFailure> {
    let arguments = json!({ "tool_name": tool });
    let routing = call(service, "get_routing_info", &arguments).await?;
    let health = match routing["backend"].as_str() {
        Some(backend) if routing["strategy"] != "management" => {
            let arguments = json!({ "backend_name": backend });
            Some(call(service, "get_backend_health", &arguments).await?)
        }
        _ => None,
    };
    Ok(Answer {
        routing,
        health,
        outcomes: None,
    })
}

/// The structured result of one of the router's own tools.
async fn call(service: &McpService, tool: &str, arguments: &Value) -> Result<Value, AskFailure> {
    let params = RawParams::of(&json!({ "name": tool, "arguments": arguments }));
    let request = McpRequest::new(Method::ToolsCall, params);
    let failed = |error| AskFailure::Nobody(crate::report(&error));
    let answer = service.clone().oneshot(request).await.map_err(failed)?;
    match answer.outcome().await.map_err(failed)? {
        Outcome::Complete(result) => structured(&result),
        Outcome::Error(error) => {
            let why = format!("it is no mcp-router: {}", error.message());
            Err(AskFailure::Nobody(why))
        }
        Outcome::InputRequired(_) | Outcome::Accepted => {
            Err(AskFailure::Nobody("it is no mcp-router".to_owned()))
        }
    }
}

fn structured(result: &RawJson) -> Result<Value, AskFailure> {
    let result: Value = serde_json::from_str(result.as_str()).unwrap_or_default();
    let text = result["content"][0]["text"].as_str().unwrap_or_default();
    match result.get("structuredContent") {
        Some(content) if result["isError"] != true => Ok(content.clone()),
        _ => Err(AskFailure::Refused(text.to_owned())),
    }
}
