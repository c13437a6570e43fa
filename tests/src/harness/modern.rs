//! A client of 2026-07-28.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use super::client::{HttpClient, Reply, Streaming};
use crate::fixture::MODERN;

/// Sends stateless requests with the headers and `_meta` that the revision wants.
#[derive(Debug)]
pub struct ModernClient {
    client: HttpClient,
    capabilities: Value,
    next: AtomicU64,
}

impl ModernClient {
    /// A client without capabilities.
    #[must_use]
    pub fn new(addr: SocketAddr) -> Self {
        Self::with_capabilities(addr, json!({}))
    }

    /// A client with these capabilities.
    #[must_use]
    pub fn with_capabilities(addr: SocketAddr, capabilities: Value) -> Self {
        Self {
            client: HttpClient::new(addr),
            capabilities,
            next: AtomicU64::new(1),
        }
    }

    /// The HTTP request for a call of `method`, whole and correct, to be spoiled by tests.
    ///
    /// # Panics
    /// If the name in `params` cannot be a header.
    #[must_use]
    pub fn prepare(&self, method: &str, params: Value) -> Request<Full<Bytes>> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let keys = ["name", "uri", "taskId"];
        let name = keys.iter().find_map(|key| params[*key].as_str());
        let mut client = self
            .client
            .clone()
            .with("mcp-protocol-version", MODERN)
            .with("mcp-method", method);
        if let Some(name) = name {
            client = client.with("mcp-name", name);
        }
        let params = modern_params(params, &self.capabilities);
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        client.request(Method::POST, "/mcp", body.to_string())
    }

    /// Sends a request and gives the whole HTTP answer.
    pub async fn post(&self, method: &str, params: Value) -> Reply {
        self.client.send(self.prepare(method, params)).await
    }

    /// Sends a prepared request as it is.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Reply {
        self.client.send(request).await
    }

    /// Sends a request and gives its response message.
    pub async fn request(&self, method: &str, params: Value) -> Value {
        self.post(method, params).await.json()
    }

    /// Calls a tool and gives the response message.
    pub async fn call(&self, tool: &str, arguments: Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        self.request("tools/call", params).await
    }

    /// Sends a request and gives its answer as events, while they come.
    pub async fn open(&self, method: &str, params: Value) -> Streaming {
        self.client.open(self.prepare(method, params)).await
    }

    /// Opens a listen stream for all three kinds of list changes.
    pub async fn listen(&self) -> Streaming {
        let all = json!({
            "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true,
        });
        self.open("subscriptions/listen", json!({"notifications": all}))
            .await
    }
}

/// `params` with the `_meta` that every stateless request carries; what is there already stays.
#[must_use]
pub fn modern_params(mut params: Value, capabilities: &Value) -> Value {
    let wanted = [
        ("protocolVersion", json!(MODERN)),
        ("clientCapabilities", capabilities.clone()),
        ("clientInfo", json!({"name": "harness", "version": "1"})),
    ];
    for (key, value) in wanted {
        let slot = &mut params["_meta"][format!("io.modelcontextprotocol/{key}")];
        if slot.is_null() {
            *slot = value;
        }
    }
    params
}
