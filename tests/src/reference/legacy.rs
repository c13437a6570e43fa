//! The revisions with a handshake.

use std::sync::Arc;

use serde_json::{Value, json};

use super::call::{Call, Client};
use super::catalogue;
use super::dispatch;
use super::events::{Out, Outs, Stop, error, result};
use super::server::Server;
use super::session::{LEVELS, Session, severity};

pub(super) const REVISIONS: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// Takes one message of a session. An answer, if there is one, comes as the last thing on `out`.
pub(super) fn take(server: &Arc<Server>, session: &Arc<Session>, message: Value, out: Outs) {
    let Some(method) = message["method"].as_str().map(str::to_owned) else {
        session.answered(message);
        return;
    };
    if message.get("id").is_none() {
        if method == "notifications/cancelled" {
            session.running.cancel(&message["params"]["requestId"]);
        }
        return;
    }
    let (server, owner) = (server.clone(), session.clone());
    let id = message["id"].clone();
    let task = tokio::spawn(async move { answer(server, owner, &method, message, out).await });
    session.running.note(&id, task.abort_handle());
}

async fn answer(
    server: Arc<Server>,
    session: Arc<Session>,
    method: &str,
    mut message: Value,
    out: Outs,
) {
    let id = message["id"].take();
    let mut params = message["params"].take();
    let served = match local(&session, method, &params) {
        Some(served) => served,
        None => {
            let call = Call {
                server,
                arguments: params["arguments"].clone(),
                meta: params["_meta"].take(),
                out: out.clone(),
                client: Client::Legacy(session),
            };
            dispatch::serve(&call, method, &params).await
        }
    };
    let body = match served {
        Ok(served) => result(&id, served),
        Err(Stop::Error { code, text, data }) => error(&id, code, &text, data),
        Err(Stop::Refused(why)) => error(&id, -32603, &why, None),
        // A legacy client is asked by requests.
        Err(Stop::Input(_)) => error(&id, -32603, "input required", None),
    };
    let _ = out.send(Out::Final { status: 200, body });
}

/// The methods of these revisions alone.
fn local(session: &Session, method: &str, params: &Value) -> Option<Result<Value, Stop>> {
    Some(Ok(match method {
        "initialize" => initialize(session, params),
        "ping" => json!({}),
        "logging/setLevel" => {
            let Some(level) = params["level"].as_str().and_then(severity) else {
                let known = LEVELS.join(", ");
                return Some(Err(Stop::error(-32602, format!("Levels are {known}"))));
            };
            session.set_level(level);
            json!({})
        }
        "resources/subscribe" => {
            session.subscribe(params["uri"].as_str().unwrap_or_default());
            json!({})
        }
        "resources/unsubscribe" => {
            session.unsubscribe(params["uri"].as_str().unwrap_or_default());
            json!({})
        }
        _ => return None,
    }))
}

fn initialize(session: &Session, params: &Value) -> Value {
    let asked = params["protocolVersion"].as_str().unwrap_or_default();
    let revision = if REVISIONS.contains(&asked) {
        asked
    } else {
        REVISIONS[0]
    };
    session.open(revision, params["capabilities"].clone());
    let mut capabilities = catalogue::capabilities();
    if revision == "2024-11-05"
        && let Some(known) = capabilities.as_object_mut()
    {
        known.remove("completions");
    }
    json!({
        "protocolVersion": revision,
        "capabilities": capabilities,
        "serverInfo": catalogue::identity(),
    })
}
