//! One log line per call, written when the call has ended; and the same told to every
//! [`CallSink`] that wants to know.
//!
//! Without it nobody can tell afterwards who called what, where it went and how it ended. The
//! line carries client, tool, backend, outcome and latency, never arguments or results; nothing
//! is formatted, and no name is read, unless somebody listens. It stands at the front of the
//! router, around fallback and retries: one call, one line. A streamed answer is told at its
//! outcome, a call that was given up at its drop.
//!
//! Calls (tools, prompts, resources, completion) are told at `info`, lists and other requests
//! at `debug`, each with its own span at `debug`.
//!
//! Here, too, begins and ends the span of a call whose trace is recorded: what is told at its end
//! is what the log line tells. Whether it is recorded is decided before anything is made for it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::Stream;
use mcp_router_observe::traces::Tracer;
use mcp_router_observe::{CallSink, span};
use mcp_router_service::{
    CallError, Event, McpRequest, McpResponse, Outcome, ResponseStream, Trail,
};
use pin_project_lite::pin_project;
use tower::{Layer, Service};
use tracing::Level;
use tracing::Span;

mod line;

use line::{Line, Told};

use crate::spans;

/// Logs each call once. At the front of the whole router.
#[derive(Clone, Debug, Default)]
pub struct TraceLayer {
    sinks: Vec<Arc<dyn CallSink>>,
    tracer: Option<Tracer>,
}

/// A service whose calls are logged; see [`TraceLayer`].
#[derive(Clone, Debug)]
pub struct Trace<S> {
    inner: S,
    told: Arc<Told>,
}

pin_project! {
    /// The answer of a [`Trace`].
    #[derive(Debug)]
    pub struct TraceFuture<F> {
        #[pin]
        inner: F,
        line: Option<Line>,
        span: Span,
    }
}

struct Traced {
    inner: ResponseStream,
    line: Option<Line>,
    span: Span,
}

// === impl TraceLayer ===

impl TraceLayer {
    /// Logs under this crate's target.
    pub const fn new() -> Self {
        Self {
            sinks: Vec::new(),
            tracer: None,
        }
    }

    /// Records the calls that this tracer chooses. Each is told to those below as
    /// `context.trace`, for [`AttemptLayer`](crate::AttemptLayer) and for the backend.
    #[must_use]
    pub fn tracer(mut self, tracer: Option<Tracer>) -> Self {
        self.tracer = tracer;
        self
    }

    /// Tells these of every call too, before it is logged. They are told of calls alone: tools,
    /// prompts, resources and completion.
    #[must_use]
    pub fn sinks(mut self, sinks: impl IntoIterator<Item = Arc<dyn CallSink>>) -> Self {
        self.sinks = sinks.into_iter().collect();
        self
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        let told = Told {
            sinks: self.sinks.clone().into(),
            tracer: self.tracer.clone(),
        };
        Trace {
            inner,
            told: Arc::new(told),
        }
    }
}

// === impl Trace ===

impl<S> Service<McpRequest> for Trace<S>
where
    S: Service<McpRequest, Response = McpResponse>,
    S::Error: Into<CallError>,
{
    type Response = McpResponse;
    type Error = CallError;
    type Future = TraceFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: McpRequest) -> Self::Future {
        let is_call = line::is_call(&request.method);
        let tracer = self.told.tracer.as_ref().filter(|_| is_call);
        let traced = tracer.and_then(|tracer| spans::call(tracer, &request));
        let told = is_call && !self.told.sinks.is_empty();
        let line = (told || traced.is_some() || enabled(is_call)).then(|| {
            let context = &mut *request.context;
            context.trail = Trail::recording();
            context.trace = traced.as_deref().map(spans::context);
            Line::start(&request, self.told.clone(), traced)
        });
        let span = match &line {
            Some(line) if tracing::enabled!(target: "mcp_router_observe::span", Level::DEBUG) => {
                let (tool, client) = (line.tool(), line.client());
                let (tool, client) = (tool.unwrap_or_default(), client.unwrap_or_default());
                span::call(line.method(), tool, client)
            }
            _ => Span::none(),
        };
        let inner = span.in_scope(|| self.inner.call(request));
        TraceFuture { inner, line, span }
    }
}

/// Whether the line of a call, or of another request, would be written at all.
fn enabled(is_call: bool) -> bool {
    if is_call {
        tracing::enabled!(Level::INFO)
    } else {
        tracing::enabled!(Level::DEBUG)
    }
}

// === impl TraceFuture ===

impl<F, E> Future for TraceFuture<F>
where
    F: Future<Output = Result<McpResponse, E>>,
    E: Into<CallError>,
{
    type Output = Result<McpResponse, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let _entered = this.span.enter();
        let watched = Watched(this.line);
        let answer = ready!(this.inner.poll(cx)).map_err(Into::into);
        // Where it is: neither answer nor line is small.
        let end = match &answer {
            Ok(McpResponse::Ready(outcome)) => Ok(outcome),
            Ok(McpResponse::Stream(_)) => {
                let line = watched.0.take();
                return Poll::Ready(answer.map(|answer| followed(answer, line, this.span)));
            }
            Err(error) => Err(error),
        };
        if let Some(line) = watched.0 {
            line.ended(end);
        }
        Poll::Ready(answer)
    }
}

/// A streamed answer that is told of at its end.
fn followed(answer: McpResponse, line: Option<Line>, span: &Span) -> McpResponse {
    match (answer, line) {
        (McpResponse::Stream(inner), line @ Some(_)) => {
            let span = span.clone();
            McpResponse::Stream(ResponseStream::new(Traced { inner, line, span }))
        }
        (answer, _) => answer,
    }
}

/// Tells of a call in which somebody panics. Whoever catches that drops the call later, when it
/// would look as if its client had left.
struct Watched<'a>(&'a mut Option<Line>);

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(mut line) = self.0.take()
        {
            line.panicked();
        }
    }
}

// === impl Traced ===

impl Stream for Traced {
    type Item = Result<Event, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let _entered = this.span.enter();
        let watched = Watched(&mut this.line);
        let item = ready!(Pin::new(&mut this.inner).poll_next(cx));
        drop(watched);
        let end: Option<Result<&Outcome, &CallError>> = match &item {
            Some(Ok(Event::Outcome(outcome))) => Some(Ok(outcome)),
            Some(Err(error)) => Some(Err(error)),
            _ => None,
        };
        if let Some(end) = end
            && let Some(mut line) = this.line.take()
        {
            line.ended(end);
        }
        Poll::Ready(item)
    }
}

#[cfg(test)]
mod tests;
