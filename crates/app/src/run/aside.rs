//! What goes on beside the calls: people are told of outages, a collector of what calls did.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use mcp_router_config::Config;
use mcp_router_core::Router;
use mcp_router_observe::traces::{Collector, Exporter, Reply, TraceSettings, Tracer};
use mcp_router_transport::client::Poster;

use crate::alerts::Alerts;
use crate::build::Plan;
use crate::metrics::Told;

/// How long the last spans may take at the end.
const LAST_SPANS: Duration = Duration::from_secs(2);
/// What the exporter itself does not bound.
const LONGEST: Duration = Duration::from_secs(86_400);

/// What a router tells others than its clients.
#[derive(Debug, Default)]
pub(super) struct Aside {
    alerts: Option<Alerts>,
    tracer: Option<Tracer>,
    exporter: Option<Exporter>,
}

impl Aside {
    /// Gets ready to tell what `plan` says, and has the plan tell it.
    pub(super) fn of(plan: Plan) -> (Plan, Self) {
        let (tracer, exporter) = traces().unzip();
        let alerts = Alerts::new(&plan.config.server.name);
        let aside = Self {
            alerts: Some(alerts.clone()),
            tracer: tracer.clone(),
            exporter,
        };
        (plan.beside(tracer, alerts), aside)
    }

    /// Looks after the backends of the router that was built.
    pub(super) fn watch(&self, router: &Router, config: &Config) {
        if let Some(alerts) = &self.alerts {
            alerts.update(&config.alerts);
            alerts.watch(router.clone());
        }
    }

    /// What became of it all, for the metrics.
    pub(super) fn told(&self) -> Told {
        let alerts = self.alerts.as_ref().map(|alerts| alerts.counts().clone());
        Told {
            alerts: alerts.unwrap_or_default(),
            tracer: self.tracer.clone(),
        }
    }

    /// Tells what is left, for about two seconds at most.
    pub(super) async fn close(&self) {
        let alerts = async {
            if let Some(alerts) = &self.alerts {
                alerts.close().await;
            }
        };
        let traces = async {
            if let Some(exporter) = &self.exporter {
                exporter.close(LAST_SPANS).await;
            }
        };
        tokio::join!(alerts, traces);
    }
}

/// The way to the collector that the environment names, if it names one.
fn traces() -> Option<(Tracer, Exporter)> {
    let mut problems = Vec::new();
    // What is no Unicode is as good as absent.
    let get = |name: &str| std::env::var(name).ok();
    let settings = TraceSettings::from_variables(get, &mut problems);
    for problem in problems {
        tracing::warn!("{problem}");
    }
    let settings = settings?;
    let poster = match Poster::new(&settings.endpoint.to_string()) {
        Ok(poster) => Arc::new(poster),
        Err(error) => {
            tracing::error!(%error, "the trace collector's address cannot be used: no traces");
            return None;
        }
    };
    tracing::info!(collector = poster.host(), "calls are traced");
    let collector = Collector::new(move |request: Request<Bytes>| {
        let poster = poster.clone();
        async move {
            let (head, body) = request.into_parts();
            let posted = poster.post(head.headers, body, LONGEST).await;
            let posted = posted.map_err(|error| error.to_string())?;
            Ok(Reply {
                status: posted.status,
                retry_after: posted.retry_after,
                body: posted.body,
            })
        }
    });
    Some(Tracer::start(settings, collector))
}
