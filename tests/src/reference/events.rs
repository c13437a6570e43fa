//! What a call says on its way, and how it ends.

use serde_json::{Value, json};
use tokio::sync::mpsc;

/// One thing said to a client.
#[derive(Debug)]
pub(super) enum Out {
    /// A notification or a request.
    Message(Value),
    /// The stream ends here although the call goes on: the client is to come back for the rest.
    Pause,
    /// The answer, with the status it has over HTTP if nothing was said before it.
    Final { status: u16, body: Value },
}

/// Where a call speaks. Unbounded: this server talks to test clients, and a call says a dozen things.
pub(super) type Outs = mpsc::UnboundedSender<Out>;

/// Why a call ends without its result.
#[derive(Debug)]
pub(super) enum Stop {
    /// It needs input first: the result that says so.
    Input(Value),
    /// A JSON-RPC error.
    Error {
        code: i64,
        text: String,
        data: Option<Value>,
    },
    /// The client would not give what was asked for.
    Refused(String),
}

impl Stop {
    pub(super) fn error(code: i64, text: impl Into<String>) -> Self {
        Self::Error {
            code,
            text: text.into(),
            data: None,
        }
    }
}

/// A JSON-RPC error, with its id.
pub(super) fn error(id: &Value, code: i64, text: &str, data: Option<Value>) -> Value {
    let mut error = json!({"code": code, "message": text});
    if let Some(data) = data {
        error["data"] = data;
    }
    let mut body = json!({"jsonrpc": "2.0", "error": error});
    // 2025-11-25 and later have no null id: what cannot be told is left out.
    if !id.is_null() {
        body["id"] = id.clone();
    }
    body
}

pub(super) fn result(id: &Value, result: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": result})
}

pub(super) fn notification(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "method": method, "params": params})
}
