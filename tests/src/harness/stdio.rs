//! `mcp-router-stdio` as a child of the test.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::checked::assert_children_content;
use super::logs::Logs;
use super::modern::modern_params;
use super::router::RouterBuilder;
use crate::schema::Conversation;

/// How long a message may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `mcp-router-stdio` and both its pipes. Dropping it kills it.
#[derive(Debug)]
pub struct StdioRouter {
    child: Child,
    pid: u32,
    stdin: Option<ChildStdin>,
    stdout: Lines<BufReader<ChildStdout>>,
    logs: Logs,
    next: u64,
    conversation: Conversation,
    _folder: TempDir,
}

impl Drop for StdioRouter {
    fn drop(&mut self) {
        assert_children_content();
    }
}

impl StdioRouter {
    /// Starts it with this configuration file.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(config: &str) -> Self {
        Self::start_with(&RouterBuilder::default().config(config))
    }

    /// Starts it with everything that `builder` says.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start_with(builder: &RouterBuilder) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let mut command = builder.command("mcp-router-stdio", &folder);
        command.stdin(Stdio::piped());
        let mut child = command.spawn().expect("the router starts");
        let stdout = child.stdout.take().expect("piped");
        Self {
            pid: child.id().expect("it was not waited for"),
            stdin: child.stdin.take(),
            stdout: BufReader::new(stdout).lines(),
            logs: Logs::collect(child.stderr.take().expect("piped")),
            child,
            next: 0,
            conversation: Conversation::default(),
            _folder: folder,
        }
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What it logs.
    #[must_use]
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// Writes one line.
    ///
    /// # Panics
    /// If stdin is closed.
    pub async fn send(&mut self, line: &str) {
        self.conversation.sent(line.as_bytes());
        let stdin = self.stdin.as_mut().expect("stdin is open");
        stdin.write_all(line.as_bytes()).await.expect("written");
        stdin.write_all(b"\n").await.expect("written");
        stdin.flush().await.expect("written");
    }

    /// The next line of stdout; `None` at its end.
    ///
    /// # Panics
    /// If none comes within 60 s.
    pub async fn line(&mut self) -> Option<String> {
        let line = match tokio::time::timeout(PATIENCE, self.stdout.next_line()).await {
            Ok(line) => line.expect("UTF-8 on stdout")?,
            Err(_) => panic!("nothing on stdout; the log:\n{}", self.logs.text()),
        };
        if let Ok(message) = serde_json::from_str(&line) {
            self.conversation.received(&message);
        }
        Some(line)
    }

    /// The next message.
    ///
    /// # Panics
    /// If stdout ends or carries anything but one JSON message a line.
    pub async fn message(&mut self) -> Value {
        let line = self.line().await;
        let line = line.unwrap_or_else(|| panic!("stdout ended; the log:\n{}", self.logs.text()));
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON on stdout: {line}"))
    }

    /// The next message that announces no change of a list: those come whenever a backend does.
    ///
    /// # Panics
    /// As [`StdioRouter::message`].
    pub async fn reply(&mut self) -> Value {
        loop {
            let message = self.message().await;
            let method = message["method"].as_str().unwrap_or_default();
            if !method.ends_with("/list_changed") {
                return message;
            }
        }
    }

    /// Reads on until the response to `id`; what comes before is dropped.
    pub async fn response(&mut self, id: &Value) -> Value {
        loop {
            let message = self.message().await;
            if message["id"] == *id && message.get("method").is_none() {
                return message;
            }
        }
    }

    /// Sends a legacy request and gives its response message.
    pub async fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.post(method, params).await;
        self.response(&id).await
    }

    /// Sends a stateless request and gives its response message.
    pub async fn modern(&mut self, method: &str, params: Value) -> Value {
        self.request(method, modern_params(params, &json!({})))
            .await
    }

    /// Sends a request without waiting; its id.
    pub async fn post(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = Value::from(self.next);
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.send(&message.to_string()).await;
        id
    }

    /// Sends a notification.
    pub async fn notify(&mut self, method: &str, params: Value) {
        let message = json!({"jsonrpc": "2.0", "method": method, "params": params});
        self.send(&message.to_string()).await;
    }

    /// Initializes with `revision`; the response message.
    pub async fn initialize(&mut self, revision: &str) -> Value {
        let params = json!({
            "protocolVersion": revision,
            "capabilities": {},
            "clientInfo": {"name": "harness", "version": "1"},
        });
        let answer = self.request("initialize", params).await;
        self.notify("notifications/initialized", json!({})).await;
        answer
    }

    /// Calls a tool as a legacy client.
    pub async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        self.request("tools/call", params).await
    }

    /// Closes its stdin.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it has not ended within `limit`.
    pub async fn wait(&mut self, limit: Duration) -> ExitStatus {
        match tokio::time::timeout(limit, self.child.wait()).await {
            Ok(status) => {
                self.logs.ended().await;
                status.expect("a child can be waited for")
            }
            Err(_) => panic!(
                "still running after {limit:?}; the log:\n{}",
                self.logs.text()
            ),
        }
    }
}
