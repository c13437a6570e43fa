//! What is known of a call, and the telling of it once it has ended.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use mcp_router_observe::traces::{Span, Tracer};
use mcp_router_observe::{CallEnd, CallSink, Ending, call, printable};
use mcp_router_protocol::result::is_tool_error;
use mcp_router_protocol::{Method, RawParams};
use mcp_router_service::{CallError, McpRequest, Notes, Outcome, Sent, SharedContext, Visit};
use tokio::time::Instant;
use tracing::Level;

use crate::spans;

/// Those who are told of every call, beside the log.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) sinks: Box<[Arc<dyn CallSink>]>,
    pub(super) tracer: Option<Tracer>,
}

/// Whether a method is a call in the sense of the access log.
pub(super) fn is_call(method: &Method) -> bool {
    matches!(
        method,
        Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead | Method::Complete
    )
}

/// What is known at the start of a call; told once, at its end or when dropped before.
#[derive(Debug)]
pub(super) struct Line {
    method: Method,
    /// With the name as the client wrote it; mostly the [`Trail`] knows a better one in the end.
    params: RawParams,
    /// Tells the client, and where the call has been.
    context: SharedContext,
    told_to: Arc<Told>,
    /// Where the call is recorded.
    traced: Option<Box<Span>>,
    told: bool,
}

/// How a call ended, as a word and an optional explanation.
struct End<'a> {
    outcome: Ending,
    /// A JSON-RPC error's code.
    code: Option<i64>,
    /// A failure of the backend or router.
    error: Option<&'a CallError>,
}

impl Line {
    /// Reads the names for the line. A resource's URI is an argument like others: it stays out.
    pub(super) fn start(
        request: &McpRequest,
        told_to: Arc<Told>,
        traced: Option<Box<Span>>,
    ) -> Self {
        Self {
            method: request.method.clone(),
            params: request.params.clone(),
            context: request.context.clone(),
            told_to,
            traced,
            told: false,
        }
    }

    pub(super) fn method(&self) -> Cow<'_, str> {
        match &self.method {
            Method::Other(name) => printable(name),
            known => Cow::Borrowed(known.as_str()),
        }
    }

    pub(super) fn tool(&self) -> Option<String> {
        self.params.name().map(safe)
    }

    pub(super) fn client(&self) -> Option<Cow<'_, str>> {
        self.context.client.name().map(printable)
    }

    /// Tells how it ended.
    pub(super) fn ended(&mut self, answer: Result<&Outcome, &CallError>) {
        let plain = |outcome| End {
            outcome,
            code: None,
            error: None,
        };
        self.tell(&match answer {
            Ok(Outcome::Complete(result))
                if self.method == Method::ToolsCall && is_tool_error(result) =>
            {
                plain(Ending::ToolError)
            }
            Ok(Outcome::Complete(_) | Outcome::Accepted) => plain(Ending::Ok),
            Ok(Outcome::InputRequired(_)) => plain(Ending::InputRequired),
            Ok(Outcome::Error(error)) => End {
                code: Some(error.code()),
                ..plain(Ending::Error)
            },
            Err(error) => End {
                error: Some(error),
                ..plain(Ending::of(error.reason.as_str()))
            },
        });
    }

    /// Tells that somebody panicked on the way.
    pub(super) fn panicked(&mut self) {
        self.tell(&End {
            outcome: Ending::Internal,
            code: None,
            error: None,
        });
    }

    fn tell(&mut self, end: &End<'_>) {
        self.told = true;
        let traced = self.traced.take();
        let trail = &self.context.trail;
        trail.read(|notes| self.tell_of(end, notes, traced));
    }

    fn tell_of(&self, end: &End<'_>, notes: &Notes, mut traced: Option<Box<Span>>) {
        let ended = Instant::now();
        let asked = notes.name.is_none().then(|| self.tool()).flatten();
        let named = notes.name.as_deref().map(printable);
        let client = self.client();
        let last = notes.last.as_ref().map(visit);
        // Hardly any call has been elsewhere.
        let earlier = match notes.earlier.is_empty() {
            true => Vec::new(),
            false => notes.earlier.iter().map(visit).collect(),
        };
        let blamed = end.error.and_then(|e| e.backend.as_ref());
        let end = CallEnd {
            method: &self.method(),
            client: client.as_deref(),
            tool: named.as_deref().or(asked.as_deref()),
            backend: blamed.map(|b| b.as_str()).or(last.map(|v| v.backend)),
            outcome: end.outcome,
            code: end.code,
            error: end.error.map(|error| error as &dyn fmt::Display),
            sent: end.error.map(|e| match e.sent {
                Sent::Unknown => "unknown",
                Sent::No | Sent::RejectedUnexecuted => "no",
            }),
            attempts: notes.attempts,
            ended: ended.into_std(),
            duration: ended.saturating_duration_since(self.context.deadline.began()),
            last,
            earlier: &earlier,
        };
        let trace_id = traced.as_deref().map(Span::trace_id);
        if is_call(&self.method) {
            self.told_to.sinks.iter().for_each(|sink| sink.ended(&end));
            end.log(Level::INFO, trace_id.as_deref());
        } else {
            end.log(Level::DEBUG, trace_id.as_deref());
        }
        if let Some(span) = &mut traced {
            spans::finish(span, &end);
        }
    }
}

fn safe(text: String) -> String {
    match printable(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(safe) => safe,
    }
}

fn visit(visit: &Visit) -> call::Visit<'_> {
    call::Visit {
        backend: visit.backend.as_str(),
        attempts: visit.attempts,
        mark: visit.mark.as_deref(),
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.told {
            self.tell(&End {
                outcome: Ending::Cancelled,
                code: None,
                error: None,
            });
        }
    }
}
