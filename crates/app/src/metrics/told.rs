//! What became of alerts and spans.

use std::fmt;

use mcp_router_observe::metrics::family::{ALERTS, TRACE_SPANS};
use mcp_router_observe::metrics::{Page, Source};
use mcp_router_observe::traces::Tracer;

use crate::alerts::AlertCounts;

/// What the router told others than its clients.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) alerts: AlertCounts,
    /// Absent where nothing is traced.
    pub(crate) tracer: Option<Tracer>,
}

impl Source for Told {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let alerts = self.alerts.all();
        let alerts = alerts.map(|(kind, fate, n)| ([kind, fate.as_str()], n as f64));
        page.numbers(&ALERTS, alerts)?;
        let spans = self.tracer.as_ref().map(Tracer::counts).unwrap_or_default();
        let spans = [
            (["exported"], spans.exported as f64),
            (["dropped"], spans.dropped as f64),
            (["failed"], spans.failed as f64),
        ];
        page.numbers(&TRACE_SPANS, spans)
    }
}
