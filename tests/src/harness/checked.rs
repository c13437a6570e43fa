//! Answers over HTTP, and what children receive, held against the schema of the revision spoken.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use super::client::Reply;
use crate::fixture::MODERN;
use crate::schema::{self, Conversation, enabled};

/// What makes a fixture check what it receives as a child, and tell us.
pub(super) fn child_args() -> Vec<String> {
    let Some(folder) = schema::folder() else {
        return Vec::new();
    };
    let folder = folder.canonicalize().expect("the folder of the schemas");
    let (folder, complaints) = (folder.to_string_lossy(), complaints());
    vec![
        format!("--schemas={folder}"),
        format!("--complaints={}", complaints.to_string_lossy()),
    ]
}

/// Where the children of all routers of this process complain.
fn complaints() -> PathBuf {
    let name = format!("mcp-router-tests-{}.complaints", std::process::id());
    std::env::temp_dir().join(name)
}

/// Fails if a child was sent what does not fit, whichever router's child it was.
pub(super) fn assert_children_content() {
    if std::thread::panicking() {
        return;
    }
    let path = complaints();
    if let Ok(wrong) = std::fs::read_to_string(&path) {
        let _ = std::fs::remove_file(&path);
        panic!("the router sent what is {wrong}");
    }
}

/// One request on its way.
#[derive(Debug)]
pub(super) struct Exchange {
    conversation: Arc<Conversation>,
}

impl Exchange {
    /// Notes what `request` asks.
    pub(super) fn begin(request: &Request<Full<Bytes>>) -> Self {
        let body = if enabled() {
            body_of(request)
        } else {
            Bytes::new()
        };
        let header = |name: &str| request.headers().get(name)?.to_str().ok();
        let version = header("mcp-protocol-version").unwrap_or_default();
        let uri = request.uri();
        let conversation = if version >= MODERN || says_stateless(&body) {
            Conversation::stateless()
        } else if let Some(session) = header("mcp-session-id") {
            Conversation::at(session)
        } else if let (Some(_), Some(whole)) = (uri.query(), uri.path_and_query()) {
            // HTTP+SSE has the session in the URL.
            Conversation::at(whole.as_str())
        } else {
            Arc::default()
        };
        conversation.sent(&body);
        Self { conversation }
    }

    /// Checks the whole answer, where it is one of MCP.
    pub(super) fn whole(&self, reply: &Reply) {
        if !enabled() {
            return;
        }
        self.opened(&reply.headers);
        let kind = reply.header("content-type").unwrap_or_default();
        if kind.starts_with("text/event-stream") {
            for line in reply.text().lines() {
                let data = line.strip_prefix("data:").map(str::trim);
                self.check(data.unwrap_or_default().as_bytes());
            }
        } else {
            self.check(&reply.body);
        }
    }

    /// The conversation to check the events with that come.
    pub(super) fn stream(self, headers: &HeaderMap) -> Arc<Conversation> {
        self.opened(headers);
        self.conversation
    }

    /// A session that the answer mints is this conversation.
    fn opened(&self, headers: &HeaderMap) {
        let session = headers.get("mcp-session-id");
        if let Some(session) = session.and_then(|id| id.to_str().ok()) {
            self.conversation.known_as(session);
        }
    }

    fn check(&self, body: &[u8]) {
        match serde_json::from_slice::<Value>(body) {
            // The pages for operators are JSON too, and no MCP.
            Ok(message) if message.is_array() || message.get("jsonrpc").is_some() => {
                self.conversation.received(&message);
            }
            _ => {}
        }
    }
}

/// A body that is whole is there at once.
fn body_of(request: &Request<Full<Bytes>>) -> Bytes {
    let collected = request.body().clone().collect().now_or_never();
    collected
        .and_then(Result::ok)
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default()
}

fn says_stateless(body: &[u8]) -> bool {
    serde_json::from_slice(body).is_ok_and(|message| schema::is_stateless(&message))
}
