//! The line of a call in the log.

use tracing::Level;

use super::CallEnd;
use crate::field;
use crate::json::JsonLog;

/// Under what filters know the line: the layer that ends calls.
const TARGET: &str = "mcp_router_layers::trace::line";

impl CallEnd<'_> {
    /// Logs the call at [`INFO`](Level::INFO), or a request that is no call at
    /// [`DEBUG`](Level::DEBUG), the one other level it knows; `trace_id` is that of its trace, if
    /// that is recorded.
    ///
    /// The log that [`init`](crate::init) sets up as JSON takes the line as a whole; any other
    /// subscriber gets the event.
    pub fn log(&self, level: Level, trace_id: Option<&str>) {
        macro_rules! line {
            ($level:ident) => {
                if tracing::enabled!(target: TARGET, Level::$level)
                    && !JsonLog::call(Level::$level, self, trace_id)
                {
                    event!($level);
                }
            };
        }
        macro_rules! event {
            ($level:ident) => {
                tracing::event!(
                    target: TARGET,
                    Level::$level,
                    // As text, which needs no formatting.
                    message = "call",
                    { field::CLIENT } = self.client,
                    { field::METHOD } = self.method,
                    { field::TOOL } = self.tool,
                    { field::BACKEND } = self.backend,
                    { field::OUTCOME } = self.outcome.as_str(),
                    { field::LATENCY_MS } = self.duration.as_micros() as u64 as f64 / 1000.0,
                    { field::ATTEMPTS } = self.attempts,
                    moved_from = self.moved_from(),
                    code = self.code,
                    sent = self.sent,
                    { field::TRACE_ID } = trace_id,
                    error = self.error.map(tracing::field::display),
                )
            };
        }
        if level == Level::INFO {
            line!(INFO);
        } else {
            line!(DEBUG);
        }
    }

    /// The backends before the last one.
    pub(crate) fn moved_from(&self) -> Option<String> {
        let names: Vec<_> = self.earlier.iter().map(|visit| visit.backend).collect();
        (!names.is_empty()).then(|| names.join(","))
    }
}
