//! The revision without sessions.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::call::{Call, Client, Round};
use super::catalogue;
use super::dispatch;
use super::events::{Out, Outs, Stop, error, result};
use super::legacy::REVISIONS;
use super::listen;
use super::server::Server;
use super::tasks;

pub(super) const MODERN: &str = "2026-07-28";

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// How long lists and contents may be kept, in milliseconds.
const FRESH: u32 = 300_000;

/// Whether the message is of this era.
pub(super) fn is_modern(message: &Value) -> bool {
    version(message).is_some()
}

/// Whether it says what each request has to say.
pub(super) fn has_envelope(message: &Value) -> bool {
    is_modern(message) && message["params"]["_meta"][CAPABILITIES].is_object()
}

/// The version that the message names in its body.
pub(super) fn version(message: &Value) -> Option<&str> {
    message["params"]["_meta"][VERSION].as_str()
}

pub(super) fn supported(server: &Server) -> Vec<&'static str> {
    let legacy = REVISIONS.into_iter().filter(|_| server.era.has_legacy());
    std::iter::once(MODERN).chain(legacy).collect()
}

/// Why a request is not looked at any further: status and error.
pub(super) fn refusal(
    server: &Server,
    message: &Value,
    headers: impl FnOnce() -> Option<String>,
) -> Option<(u16, Value)> {
    let id = &message["id"];
    let meta = &message["params"]["_meta"];
    let (Some(version), true) = (version(message), meta[CAPABILITIES].is_object()) else {
        let text = "Required fields are missing in _meta";
        return Some((400, error(id, -32602, text, None)));
    };
    if let Some(why) = headers() {
        return Some((400, error(id, -32020, &why, None)));
    }
    if version != MODERN {
        let data = json!({"supported": supported(server), "requested": version});
        return Some((
            400,
            error(id, -32022, "Unsupported protocol version", Some(data)),
        ));
    }
    let method = message["method"].as_str().unwrap_or_default();
    let own = matches!(method, "server/discover" | "subscriptions/listen");
    if !own && !is_of_tasks(method) && !dispatch::knows(method) {
        let text = format!("Method not found: {method}");
        return Some((404, error(id, -32601, &text, None)));
    }
    None
}

/// Serves a request that was not refused; its answer is the last thing on `out`.
pub(super) async fn answer(server: Arc<Server>, mut message: Value, out: Outs) {
    let id = message["id"].take();
    let method = message["method"].as_str().unwrap_or_default().to_owned();
    let mut params = message["params"].take();
    if method == "subscriptions/listen" {
        listen::until_gone(&server, &id, &params["notifications"], &out).await;
        return;
    }
    let served = match round(&server, &mut params) {
        Ok(round) => serve(server, round, &method, params, &out).await,
        Err(stop) => Err(stop),
    };
    let (status, body) = match served {
        Ok(served) => (200, result(&id, served)),
        Err(Stop::Input(input)) => (200, result(&id, identified(input))),
        Err(Stop::Refused(why)) => (200, error(&id, -32603, &why, None)),
        Err(Stop::Error { code, text, data }) => {
            let status = if code == -32021 { 400 } else { 200 };
            (status, error(&id, code, &text, data))
        }
    };
    let _ = out.send(Out::Final { status, body });
}

fn is_of_tasks(method: &str) -> bool {
    matches!(method, "tasks/get" | "tasks/update" | "tasks/cancel")
}

async fn serve(
    server: Arc<Server>,
    round: Round,
    method: &str,
    mut params: Value,
    out: &Outs,
) -> Result<Value, Stop> {
    let mut served = if method == "server/discover" {
        json!({
            "supportedVersions": supported(&server),
            "capabilities": capabilities(),
        })
    } else if is_of_tasks(method) {
        if !knows_tasks(&round) {
            return Err(tasks::not_known());
        }
        server.tasks.serve(method, &params, round.answers)?
    } else {
        let call = Call {
            server,
            arguments: params["arguments"].clone(),
            meta: params["_meta"].take(),
            out: out.clone(),
            client: Client::Modern(round),
        };
        route(call, method, &params).await?
    };
    if served["resultType"].is_null() {
        served["resultType"] = json!("complete");
    }
    if matches!(method, "server/discover" | "resources/read") || method.ends_with("/list") {
        served["ttlMs"] = json!(FRESH);
        served["cacheScope"] = json!("public");
    }
    Ok(identified(served))
}

/// Calls what is called, as a task if it is one and the client knows tasks.
async fn route(call: Call, method: &str, params: &Value) -> Result<Value, Stop> {
    let name = params["name"].as_str().unwrap_or_default();
    let as_task = method == "tools/call" && tasks::is_for(name, &call.arguments);
    let Client::Modern(round) = &call.client else {
        return dispatch::serve(&call, method, params).await;
    };
    if !as_task || !knows_tasks(round) {
        return match name {
            "failing_job" if as_task => Err(tasks::not_known()),
            _ => dispatch::serve(&call, method, params).await,
        };
    }
    if name == "test_tool_with_task" {
        // It asks in the call itself: this ends the round while something is missing.
        let _ = dispatch::serve(&call, method, params).await?;
    }
    let server = call.server.clone();
    Ok(server.tasks.start(call, name))
}

fn knows_tasks(round: &Round) -> bool {
    round.capabilities["extensions"]
        .get(tasks::EXTENSION)
        .is_some()
}

fn capabilities() -> Value {
    let mut capabilities = catalogue::capabilities();
    capabilities["extensions"] = json!({tasks::EXTENSION: {}});
    capabilities
}

fn identified(mut result: Value) -> Value {
    result["_meta"] = json!({"io.modelcontextprotocol/serverInfo": catalogue::identity()});
    result
}

/// The answers that came with the request, added to those that its state stands for.
fn round(server: &Server, params: &mut Value) -> Result<Round, Stop> {
    let mut answers = match &params["requestState"] {
        Value::Null => Map::new(),
        state => state
            .as_str()
            .and_then(|state| server.kept(state))
            .ok_or_else(|| Stop::error(-32602, "This requestState was not given out here"))?,
    };
    match params.get_mut("inputResponses").map(Value::take) {
        None => {}
        Some(Value::Object(given)) => answers.extend(given),
        Some(_) => return Err(Stop::error(-32602, "inputResponses is not an object")),
    }
    Ok(Round {
        capabilities: params["_meta"][CAPABILITIES].clone(),
        answers,
    })
}
