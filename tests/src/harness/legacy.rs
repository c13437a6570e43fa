//! A client of the revisions with a handshake.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Method;
use serde_json::{Value, json};

use super::client::{HttpClient, Reply, Streaming};

/// An open session over streamable HTTP.
#[derive(Debug)]
pub struct LegacySession {
    client: HttpClient,
    id: String,
    /// The result of `initialize`.
    pub initialized: Value,
    next: AtomicU64,
}

impl LegacySession {
    /// Initializes with `revision` and no capabilities.
    ///
    /// # Panics
    /// If the server does not answer as it should.
    pub async fn open(addr: SocketAddr, revision: &str) -> Self {
        Self::open_with(HttpClient::new(addr), revision, json!({})).await
    }

    /// Initializes with these capabilities over this client.
    ///
    /// # Panics
    /// As [`LegacySession::open`].
    pub async fn open_with(client: HttpClient, revision: &str, capabilities: Value) -> Self {
        let params = json!({
            "protocolVersion": revision,
            "capabilities": capabilities,
            "clientInfo": {"name": "harness", "version": "1"},
        });
        let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        let reply = client.post("/mcp", body.to_string()).await;
        let answer = reply.json();
        assert_eq!(reply.status, 200, "initialize failed: {answer}");
        let id = reply
            .header("mcp-session-id")
            .expect("a session id")
            .to_owned();
        let agreed = answer["result"]["protocolVersion"]
            .as_str()
            .expect("a revision");
        let client = client.with("mcp-session-id", &id);
        // The header came with 2025-06-18.
        let client = if agreed < "2025-06-18" {
            client
        } else {
            client.with("mcp-protocol-version", agreed)
        };
        let session = Self {
            client,
            id,
            initialized: answer["result"].clone(),
            next: AtomicU64::new(1),
        };
        let accepted = session.notify("notifications/initialized", json!({})).await;
        assert_eq!(accepted.status, 202);
        session
    }

    /// The same session at another address: of the same router started again, or of a replica.
    #[must_use]
    pub fn at(&self, addr: SocketAddr) -> Self {
        let mut client = HttpClient::new(addr).with("mcp-session-id", &self.id);
        let agreed = self.initialized["protocolVersion"].as_str();
        if let Some(agreed) = agreed.filter(|agreed| *agreed >= "2025-06-18") {
            client = client.with("mcp-protocol-version", agreed);
        }
        Self {
            client,
            id: self.id.clone(),
            initialized: self.initialized.clone(),
            next: AtomicU64::new(1_000_000),
        }
    }

    /// The value of `Mcp-Session-Id`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The client with this session's headers.
    #[must_use]
    pub fn client(&self) -> &HttpClient {
        &self.client
    }

    /// Sends a request and gives the whole HTTP answer.
    pub async fn post(&self, method: &str, params: Value) -> Reply {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.client.post("/mcp", body.to_string()).await
    }

    /// Sends a request and gives its answer while it comes.
    pub async fn open_request(&self, method: &str, params: Value) -> Streaming {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let request = self.client.request(Method::POST, "/mcp", body.to_string());
        self.client.open(request).await
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

    /// Sends a notification.
    pub async fn notify(&self, method: &str, params: Value) -> Reply {
        let body = json!({"jsonrpc": "2.0", "method": method, "params": params});
        self.client.post("/mcp", body.to_string()).await
    }

    /// All items of a list, page by page; `key` is `tools`, `resources`, ….
    ///
    /// # Panics
    /// If a page is an error.
    pub async fn list(&self, method: &str, key: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut params = json!({});
        loop {
            let answer = self.request(method, params).await;
            let page = answer["result"][key].as_array();
            items.extend(
                page.unwrap_or_else(|| panic!("no {key} in {answer}"))
                    .clone(),
            );
            match answer["result"]["nextCursor"].as_str() {
                Some(cursor) => params = json!({"cursor": cursor}),
                None => return items,
            }
        }
    }

    /// The names of all tools, in the order listed.
    pub async fn tool_names(&self) -> Vec<String> {
        let tools = self.list("tools/list", "tools").await;
        let names = tools.iter().filter_map(|tool| tool["name"].as_str());
        names.map(str::to_owned).collect()
    }

    /// Opens the standing GET stream.
    pub async fn stream(&self) -> Streaming {
        let request = self.client.request(Method::GET, "/mcp", "");
        self.client.open(request).await
    }

    /// Ends the session with DELETE.
    pub async fn close(&self) -> Reply {
        self.client.delete("/mcp").await
    }
}
