//! Those of the router's own tools that change something.

use std::sync::Arc;

use mcp_router_protocol::RawJson;
use mcp_router_service::{McpRequest, McpResponse};
use serde::{Deserialize, Serialize};

use super::{failure, result, text_argument};
use crate::dispatch::invalid_params;
use crate::manager::{Manager, Registered, Registration};

/// `reload_backends_config`.
pub(super) async fn reload(manager: &Arc<dyn Manager>) -> McpResponse {
    match manager.reload().await {
        Ok(reloaded) => result(&reloaded, &reloaded),
        Err(error) => failure(&error.0),
    }
}

/// What `register_backend` takes, as in the Python router.
#[derive(Deserialize)]
struct Arguments {
    source: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    priority: Option<u32>,
    #[serde(default)]
    auto_start: Option<bool>,
}

/// What it answers.
#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    registered: Registered,
    message: String,
}

/// `register_backend`.
pub(super) async fn register(manager: &Arc<dyn Manager>, request: &McpRequest) -> McpResponse {
    let arguments = request.params.arguments();
    let arguments = arguments.unwrap_or_else(|| RawJson::from_static("{}"));
    let arguments: Arguments = match arguments.read_owned() {
        Ok(arguments) => arguments,
        Err(wrong) => return invalid_params(format!("arguments: {wrong}")),
    };
    let wanted = Registration {
        source: arguments.source,
        name: arguments.name.filter(|name| !name.is_empty()),
        namespace: arguments.namespace.filter(|name| !name.is_empty()),
        priority: arguments.priority.unwrap_or(10),
        auto_start: arguments.auto_start.unwrap_or(true),
    };
    match manager.register(wanted).await {
        Ok(registered) => {
            let name = &registered.backend_name;
            let message = format!("Backend '{name}' registered successfully");
            let answer = Answer {
                registered,
                message,
            };
            result(&answer, &answer)
        }
        Err(error) => failure(&error.0),
    }
}

/// `unregister_backend`.
pub(super) async fn unregister(manager: &Arc<dyn Manager>, request: &McpRequest) -> McpResponse {
    let Some(name) = text_argument(request, "backend_name") else {
        return invalid_params("arguments.backend_name must be a string");
    };
    match manager.unregister(name.clone()).await {
        Ok(()) => {
            let message = format!("Backend '{name}' unregistered successfully");
            let answer = serde_json::json!({ "message": message });
            result(&answer, &answer)
        }
        Err(error) => failure(&error.0),
    }
}
