//! The line itself.

use std::borrow::Cow;

use mcp_router_observe::{field, printable};
use mcp_router_protocol::Method;
use mcp_router_service::{CallError, McpRequest, Outcome, Sent, Trail};
use tokio::time::Instant;

/// Whether a method is a call in the sense of the access log.
pub(super) fn is_call(method: &Method) -> bool {
    matches!(
        method,
        Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead | Method::Complete
    )
}

/// What is known at the start of a call; written once, at its end or when dropped before.
#[derive(Debug)]
pub(super) struct Line {
    method: Method,
    tool: Option<String>,
    client: Option<String>,
    trail: Trail,
    start: Instant,
    written: bool,
}

/// How a call ended, as a word and an optional explanation.
struct End<'a> {
    outcome: &'static str,
    /// A JSON-RPC error's code.
    code: Option<i64>,
    /// A failure of the backend or router.
    error: Option<&'a CallError>,
}

impl Line {
    /// Reads the names for the line. A resource's URI is an argument like others: it stays out.
    pub(super) fn start(request: &McpRequest) -> Self {
        let safe = |text: String| match printable(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(safe) => safe,
        };
        Self {
            method: request.method.clone(),
            tool: request.params.name().map(safe),
            client: request.context.client.name().map(safe),
            trail: request.context.trail.clone(),
            start: Instant::now(),
            written: false,
        }
    }

    pub(super) fn method(&self) -> Cow<'_, str> {
        printable(self.method.as_str())
    }

    pub(super) fn tool(&self) -> &str {
        self.tool.as_deref().unwrap_or_default()
    }

    pub(super) fn client(&self) -> &str {
        self.client.as_deref().unwrap_or_default()
    }

    /// Writes the line.
    pub(super) fn ended(&mut self, answer: Result<&Outcome, &CallError>) {
        let (outcome, code, error) = match answer {
            Ok(Outcome::Complete(_) | Outcome::Accepted) => ("ok", None, None),
            Ok(Outcome::InputRequired(_)) => ("input_required", None, None),
            Ok(Outcome::Error(error)) => ("error", Some(error.code()), None),
            Err(error) => (error.reason.as_str(), None, Some(error)),
        };
        self.write(&End {
            outcome,
            code,
            error,
        });
    }

    fn write(&mut self, end: &End<'_>) {
        self.written = true;
        let (visited, attempts) = self.trail.last();
        let backend = end.error.and_then(|e| e.backend.clone()).or(visited);
        let backend = backend.as_ref().map(|b| b.as_str());
        let latency_ms = self.start.elapsed().as_micros() as f64 / 1000.0;
        let sent = end.error.map(|e| match e.sent {
            Sent::Unknown => "unknown",
            Sent::No | Sent::RejectedUnexecuted => "no",
        });
        let earlier = self.trail.earlier();
        let earlier: Vec<_> = earlier.iter().map(|b| b.as_str()).collect();
        let moved_from = (!earlier.is_empty()).then(|| earlier.join(","));
        let error = end.error.map(tracing::field::display);
        let named = self.trail.named();
        let named = named.as_deref().map(printable);
        let (tool, client) = (
            named.as_deref().or(self.tool.as_deref()),
            self.client.as_deref(),
        );
        let method = &*self.method();
        macro_rules! line {
            ($log:ident) => {
                tracing::$log!(
                    { field::CLIENT } = client,
                    { field::METHOD } = method,
                    { field::TOOL } = tool,
                    { field::BACKEND } = backend,
                    { field::OUTCOME } = end.outcome,
                    { field::LATENCY_MS } = latency_ms,
                    { field::ATTEMPTS } = attempts,
                    moved_from,
                    code = end.code,
                    sent,
                    error,
                    "call"
                )
            };
        }
        if is_call(&self.method) {
            line!(info);
        } else {
            line!(debug);
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.written {
            self.write(&End {
                outcome: "cancelled",
                code: None,
                error: None,
            });
        }
    }
}
