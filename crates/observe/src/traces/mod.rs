//! Traces over OTLP/HTTP: which calls are recorded, and how their spans reach a collector.
//!
//! A log line tells how one call ended here. It cannot show that the agent's ten seconds were two
//! at a replica that was dead and eight in a database behind the next one. For that the spans of
//! everybody on the way must come together, so the router joins the client's trace, and its
//! backends the router's.
//!
//! Whether a call is recorded is decided before anything is made for it: one that is not costs a
//! look at two numbers. A span is built as the message that the collector gets, without a tracing
//! SDK in between, and goes into a bounded queue when it ends. Nobody who serves a call ever waits
//! for the collector: what the queue cannot take is dropped and counted, and a dead collector costs
//! what is in the queue.
//!
//! Arguments, results, resource URIs and session ids are never in a span.

mod export;
mod queue;
mod sampler;
mod settings;
mod span;

use std::sync::Arc;

pub use export::{Collector, CollectorError, Reply};
pub use queue::{Exporter, SpanCounts};
pub use sampler::Sampler;
pub use settings::TraceSettings;
pub use span::{Span, SpanKind, SpanName};

use queue::Shared;

/// A span as others name it: the trace, the span in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SpanIds {
    /// Of all spans of the trace; never zero.
    pub trace_id: [u8; 16],
    /// Of the span; never zero.
    pub span_id: [u8; 8],
}

/// What the client said of its own span.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Parent {
    /// Which one.
    pub ids: SpanIds,
    /// Whether the client records it.
    pub sampled: bool,
}

/// Makes spans of calls, as far as they are to be recorded. Clones are one.
#[derive(Clone, Debug)]
pub struct Tracer {
    sampler: Sampler,
    shared: Arc<Shared>,
}

impl Tracer {
    /// Starts to export to the collector at `settings`, which `collector` reaches. Call it inside
    /// a tokio runtime.
    pub fn start(settings: TraceSettings, collector: Collector) -> (Self, Exporter) {
        let sampler = settings.sampler;
        let (shared, exporter) = queue::start(settings, collector);
        (Self { sampler, shared }, exporter)
    }

    /// The span of a call, if it is to be recorded. `name` is asked only then.
    pub fn call(&self, parent: Option<Parent>, name: impl FnOnce() -> SpanName) -> Option<Span> {
        let trace_id = self.sampler.decide(parent)?;
        let parent = parent.map(|parent| parent.ids);
        let ids = SpanIds {
            trace_id,
            span_id: span_id(),
        };
        Some(Span::start(
            self.shared.clone(),
            ids,
            parent.map(|p| (p, true)),
            SpanKind::Server,
            name(),
        ))
    }

    /// The span of an attempt, below the span of its call.
    pub fn attempt(&self, call: SpanIds, name: SpanName) -> Span {
        let ids = SpanIds {
            trace_id: call.trace_id,
            span_id: span_id(),
        };
        let shared = self.shared.clone();
        Span::start(shared, ids, Some((call, false)), SpanKind::Client, name)
    }

    /// How many spans went where since the start.
    pub fn counts(&self) -> SpanCounts {
        self.shared.counts()
    }
}

/// Random and not zero. It need not be secret, only different.
fn span_id() -> [u8; 8] {
    fastrand::u64(1..).to_be_bytes()
}

#[cfg(test)]
mod tests;
