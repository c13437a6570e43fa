//! The methods that both eras have.

use serde_json::{Value, json};

use super::call::{Call, Client};
use super::catalogue;
use super::content::resource;
use super::events::Stop;
use super::tools;

/// Whether both eras know this method.
pub(super) fn knows(method: &str) -> bool {
    matches!(
        method,
        "tools/list"
            | "tools/call"
            | "prompts/list"
            | "prompts/get"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
            | "completion/complete"
    )
}

/// Serves one of them.
pub(super) async fn serve(call: &Call, method: &str, params: &Value) -> Result<Value, Stop> {
    let name = params["name"].as_str().unwrap_or_default();
    match method {
        "tools/list" => Ok(catalogue::tools(&call.server)),
        "prompts/list" => Ok(catalogue::prompts(&call.server)),
        "resources/list" => Ok(catalogue::resources()),
        "resources/templates/list" => Ok(catalogue::templates()),
        "tools/call" => tools::call(call, name).await,
        "prompts/get" => tools::prompt(call, name).await,
        "resources/read" => read(call, params["uri"].as_str().unwrap_or_default()),
        "completion/complete" => Ok(complete(params)),
        _ => Err(Stop::error(-32601, format!("Method not found: {method}"))),
    }
}

fn read(call: &Call, uri: &str) -> Result<Value, Stop> {
    resource(uri).ok_or_else(|| Stop::Error {
        code: match call.client {
            Client::Legacy(_) => -32002,
            Client::Modern(_) | Client::Task(_) => -32602,
        },
        text: "Resource not found".to_owned(),
        data: Some(json!({"uri": uri})),
    })
}

fn complete(params: &Value) -> Value {
    let begun = params["argument"]["value"].as_str().unwrap_or_default();
    let values: Vec<&str> = ["paris", "park", "party", "test"]
        .into_iter()
        .filter(|value| value.starts_with(begun))
        .collect();
    json!({"completion": {"total": values.len(), "values": values, "hasMore": false}})
}
