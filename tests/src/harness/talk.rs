//! Clients that answer what they are asked in the middle of a call.

use serde_json::{Value, json};

use super::client::Streaming;
use super::legacy::LegacySession;
use super::modern::{ModernClient, modern_params};
use super::stdio::StdioRouter;

/// Everything that a client of 2025-11-25 or later can declare.
#[must_use]
pub fn everything() -> Value {
    json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}})
}

/// What an agreeable client answers to a server's request.
///
/// # Panics
/// If it is one that no client knows.
#[must_use]
pub fn agreeable(request: &Value) -> Value {
    match request["method"].as_str() {
        Some("elicitation/create") if request["params"]["mode"] == "url" => {
            json!({"action": "accept"})
        }
        Some("elicitation/create") => json!({"action": "accept", "content": {"name": "Ann"}}),
        Some("sampling/createMessage") => {
            json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": "42"}})
        }
        Some("roots/list") => json!({"roots": [{"uri": "file:///home"}]}),
        _ => panic!("asked what no client knows: {request}"),
    }
}

/// A call that ended, and what the client was asked on the way.
#[derive(Clone, Debug)]
pub struct Talk {
    /// The requests in the order they came, or the interim results.
    pub asked: Vec<Value>,
    /// The response message.
    pub response: Value,
}

impl Talk {
    /// What the asking tools of the fixture say: nonce, executions, answers.
    #[must_use]
    pub fn says(&self) -> Value {
        let result = &self.response["result"];
        let text = result["content"][0]["text"].as_str().unwrap_or_default();
        match &result["structuredContent"] {
            // Older revisions have none.
            Value::Null => serde_json::from_str(text).unwrap_or_default(),
            says => says.clone(),
        }
    }

    /// The code of an error answer.
    #[must_use]
    pub fn code(&self) -> Option<i64> {
        self.response["error"]["code"].as_i64()
    }
}

/// The parameters of a call again, with the answers to everything that `interim` asks.
///
/// # Panics
/// If it asks what no client knows.
#[must_use]
pub fn again(params: &Value, interim: &Value) -> Value {
    let mut next = params.clone();
    if let Some(requests) = interim["inputRequests"].as_object() {
        for (key, request) in requests {
            next["inputResponses"][key] = agreeable(request);
        }
    }
    if let Some(state) = interim.get("requestState") {
        next["requestState"] = state.clone();
    }
    next
}

impl LegacySession {
    /// Calls a tool and answers what the server asks meanwhile: `Ok` with a result, `Err` with an
    /// error.
    pub async fn talk(
        &self,
        tool: &str,
        arguments: Value,
        mut answer: impl FnMut(&Value) -> Result<Value, Value>,
    ) -> Talk {
        let params = json!({"name": tool, "arguments": arguments});
        let mut stream = self.open_request("tools/call", params).await;
        let mut asked = Vec::new();
        loop {
            let message = stream.next_message().await;
            if message.get("method").is_none() {
                let response = message;
                return Talk { asked, response };
            }
            if message.get("id").is_some() {
                let reply = answer(&message);
                asked.push(message.clone());
                self.reply(&message["id"], reply).await;
            }
        }
    }

    /// Answers a request of the server's.
    ///
    /// # Panics
    /// If the answer is not accepted.
    pub async fn reply(&self, id: &Value, answer: Result<Value, Value>) {
        let body = match answer {
            Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": error}),
        };
        let taken = self.client().post("/mcp", body.to_string()).await;
        assert_eq!(taken.status, 202, "{}", taken.text());
    }
}

impl ModernClient {
    /// Calls a tool as often as it wants, answering what it asks.
    pub async fn talk(&self, tool: &str, arguments: Value) -> Talk {
        let params = json!({"name": tool, "arguments": arguments});
        let mut next = params.clone();
        let mut asked = Vec::new();
        loop {
            let response = self.request("tools/call", next).await;
            let interim = &response["result"];
            if interim["resultType"] != "input_required" {
                return Talk { asked, response };
            }
            next = again(&params, interim);
            asked.push(interim.clone());
        }
    }
}

impl StdioRouter {
    /// As [`ModernClient::talk`], with everything declared.
    pub async fn modern_talk(&mut self, tool: &str, arguments: Value) -> Talk {
        let params = json!({"name": tool, "arguments": arguments});
        let mut next = params.clone();
        let mut asked = Vec::new();
        loop {
            let sent = modern_params(next, &everything());
            let response = self.request("tools/call", sent).await;
            let interim = &response["result"];
            if interim["resultType"] != "input_required" {
                return Talk { asked, response };
            }
            next = again(&params, interim);
            asked.push(interim.clone());
        }
    }

    /// As [`LegacySession::talk`], agreeably.
    pub async fn legacy_talk(&mut self, tool: &str, arguments: Value) -> Talk {
        let params = json!({"name": tool, "arguments": arguments});
        let call = self.post("tools/call", params).await;
        let mut asked = Vec::new();
        loop {
            let message = self.message().await;
            let Some(id) = message.get("id").cloned() else {
                continue;
            };
            if message.get("method").is_some() {
                let result = agreeable(&message);
                asked.push(message);
                let reply = json!({"jsonrpc": "2.0", "id": id, "result": result});
                self.send(&reply.to_string()).await;
            } else if id == call {
                let response = message;
                return Talk { asked, response };
            }
        }
    }
}

impl Streaming {
    /// The next message, whether the answer is a stream or that message alone.
    ///
    /// # Panics
    /// If none comes within 30 s.
    pub async fn next_message(&mut self) -> Value {
        let kind = self.headers.get("content-type");
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        match kind.starts_with("text/event-stream") {
            true => self.events.message().await,
            false => self.events.whole().await,
        }
    }
}
