//! What the spans of calls and attempts say, in one place.
//!
//! Names follow OpenTelemetry's conventions for MCP where there is one. What those would also have
//! (arguments, results, resource URIs, session and request ids) is somebody's business and not the
//! collector's: it stays out.

use mcp_router_observe::traces::{Parent, Span, SpanIds, Tracer};
use mcp_router_observe::{CallEnd, Ending, printable};
use mcp_router_protocol::result::is_tool_error;
use mcp_router_protocol::{Method, TraceContext};
use mcp_router_service::{CallError, McpRequest, Outcome, Sent};

pub(crate) const BACKEND: &str = "mcp_router.backend";
pub(crate) const ENDPOINT: &str = "mcp_router.endpoint";
const OUTCOME: &str = "mcp_router.outcome";
const SENT: &str = "mcp_router.sent";
const ATTEMPTS: &str = "mcp_router.attempts";
const MOVED_FROM: &str = "mcp_router.moved_from";
const CLIENT: &str = "mcp_router.client";
const STATUS_CODE: &str = "rpc.response.status_code";

/// The span of a call, if it is recorded.
pub(crate) fn call(tracer: &Tracer, request: &McpRequest) -> Option<Box<Span>> {
    let parent = request.params.trace().map(|trace| Parent {
        ids: ids(trace),
        sampled: trace.sampled,
    });
    let mut span = tracer.call(parent, || name(request))?;
    describe(&mut span, request);
    Some(Box::new(span))
}

/// The span of an attempt, if its call has one.
pub(crate) fn attempt(tracer: &Tracer, request: &McpRequest) -> Option<Span> {
    let call = ids(request.context.trace?);
    let mut span = tracer.attempt(call, name(request));
    describe(&mut span, request);
    Some(span)
}

/// The span as those below it take it.
pub(crate) fn context(span: &Span) -> TraceContext {
    let SpanIds { trace_id, span_id } = span.ids();
    TraceContext {
        trace_id,
        span_id,
        sampled: true,
    }
}

fn ids(trace: TraceContext) -> SpanIds {
    SpanIds {
        trace_id: trace.trace_id,
        span_id: trace.span_id,
    }
}

/// `tools/call search.query`: of tools and prompts there are few.
fn name(request: &McpRequest) -> String {
    let method = printable(request.method.as_str()).into_owned();
    match request.params.name() {
        Some(target) => format!("{method} {}", printable(&target)),
        None => method,
    }
}

fn describe(span: &mut Span, request: &McpRequest) {
    span.set("mcp.method.name", request.method.as_str());
    let name = request.params.name();
    match (&request.method, name) {
        (Method::ToolsCall, Some(name)) => {
            span.set("gen_ai.operation.name", "execute_tool");
            span.set("gen_ai.tool.name", &name);
        }
        (Method::PromptsGet, Some(name)) => span.set("gen_ai.prompt.name", &name),
        _ => {}
    }
}

/// What is known at the end of a call. The span ends when it is dropped.
pub(crate) fn finish(span: &mut Span, end: &CallEnd<'_>) {
    for (key, value) in [(CLIENT, end.client), (BACKEND, end.backend)] {
        if let Some(value) = value {
            span.set(key, value);
        }
    }
    span.set_number(ATTEMPTS, end.attempts.into());
    if !end.earlier.is_empty() {
        let earlier: Vec<_> = end.earlier.iter().map(|visit| visit.backend).collect();
        span.set(MOVED_FROM, &earlier.join(","));
    }
    ended(span, end.outcome, end.code, end.sent);
}

/// What is known at the end of an attempt.
pub(crate) fn outcome(span: &mut Span, answer: Result<&Outcome, &CallError>) {
    match answer {
        Ok(Outcome::Complete(result)) if is_tool_error(result) => {
            ended(span, Ending::ToolError, None, None);
        }
        Ok(Outcome::Complete(_) | Outcome::Accepted) => ended(span, Ending::Ok, None, None),
        Ok(Outcome::InputRequired(_)) => ended(span, Ending::InputRequired, None, None),
        Ok(Outcome::Error(error)) => ended(span, Ending::Error, Some(error.code()), None),
        Err(error) => {
            let sent = match error.sent {
                Sent::Unknown => "unknown",
                Sent::No | Sent::RejectedUnexecuted => "no",
            };
            if let Some(status) = error.status {
                span.set_number("http.response.status_code", status.into());
            }
            ended(span, Ending::of(error.reason.as_str()), None, Some(sent));
        }
    }
}

/// It was given up.
pub(crate) fn cancelled(span: &mut Span) {
    ended(span, Ending::Cancelled, None, None);
}

fn ended(span: &mut Span, how: Ending, code: Option<i64>, sent: Option<&str>) {
    span.set(OUTCOME, how.as_str());
    if let Some(sent) = sent {
        span.set(SENT, sent);
    }
    match (how, code) {
        (Ending::Ok | Ending::InputRequired | Ending::Cancelled, _) => {}
        (Ending::Error, Some(code)) => {
            let code = code.to_string();
            span.set(STATUS_CODE, &code);
            span.fail(&code);
        }
        (how, _) => span.fail(how.as_str()),
    }
}
