//! Asks an endpoint that nobody calls whether it is well.
//!
//! A search server that went down at night was found down by the first user of the morning. One
//! task an endpoint asks, on a budget that calls do not share, tells the endpoint's circuit what it
//! found, and the supervisor when that changes something.

use std::sync::Arc;

use mcp_router_health::{CircuitState, ProbeParams, ProbeSchedule, Verdict};
use mcp_router_layers::{Endpoint, Probe, Stage};
use mcp_router_service::{ProbeFailure, Prober, Pulse};
use tokio::time::{Instant, sleep_until, timeout};

use crate::backend::Cell;

/// The probing of one endpoint.
pub(crate) struct Probing {
    cell: Arc<Cell>,
    endpoint: Endpoint,
    prober: Prober,
    params: ProbeParams,
    schedule: ProbeSchedule,
    rng: fastrand::Rng,
}

impl Probing {
    pub(crate) fn new(
        cell: Arc<Cell>,
        endpoint: Endpoint,
        prober: Prober,
        params: ProbeParams,
    ) -> Self {
        Self {
            schedule: ProbeSchedule::new(&params),
            rng: fastrand::Rng::new(),
            cell,
            endpoint,
            prober,
            params,
        }
    }

    /// Probes for ever, at once and again and again.
    pub(crate) async fn run(mut self) {
        loop {
            let started = Instant::now();
            let known = self.probe().await;
            // What is unknown, and a circuit that waits for trials, is looked at again soon.
            let quick = !known || self.endpoint.state() != CircuitState::Closed;
            let gap = self.schedule.gap(quick, &mut self.rng);
            sleep_until(started + gap).await;
        }
    }

    /// One probe; false if it found nothing out.
    async fn probe(&mut self) -> bool {
        let leave = self.endpoint.admit_probe();
        let (changed, probe) = match self.ask().await {
            Ok(Pulse::Unknown) => return false,
            Ok(Pulse::Asleep) => {
                self.forget();
                return false;
            }
            Ok(Pulse::Well) => {
                leave.report(Verdict::Success);
                (self.schedule.succeeded(), Probe::Up)
            }
            Err(failure) => {
                leave.report(if failure.counts {
                    Verdict::Failure
                } else {
                    Verdict::Neutral
                });
                self.note(&failure);
                (self.schedule.failed(), Probe::Down)
            }
        };
        if changed {
            self.endpoint.set_probe(probe);
            self.tell(probe);
        }
        true
    }

    /// It sleeps: whatever was wrong before, the next call starts it afresh.
    fn forget(&mut self) {
        self.schedule = ProbeSchedule::new(&self.params);
        self.endpoint.mended(Stage::Probe);
        if self.endpoint.probe() != Probe::Unknown {
            self.endpoint.set_probe(Probe::Unknown);
            self.cell.probed.notify_one();
        }
    }

    async fn ask(&self) -> Result<Pulse, ProbeFailure> {
        if let Ok(found) = timeout(self.params.timeout(), (self.prober)()).await {
            return found;
        }
        // Many servers do one thing at a time. Calls have time limits of their own, and tell more
        // than a question that waits behind them.
        if self.endpoint.in_flight() > 0 {
            return Ok(Pulse::Unknown);
        }
        let limit = self.params.timeout().as_secs_f64();
        Err(ProbeFailure::counting(format!("no answer in {limit} s")))
    }

    fn note(&mut self, failure: &ProbeFailure) {
        let next = self
            .params
            .interval()
            .min(self.schedule.gap(true, &mut self.rng));
        let text = failure.text.as_str();
        self.endpoint.note_failure(Stage::Probe, text, Some(next));
        tracing::debug!(
            backend = %self.cell.meta.name, endpoint = %self.endpoint.key(),
            failures = self.schedule.failures() + 1, error = text, "probe failed"
        );
    }

    fn tell(&self, probe: Probe) {
        let (backend, endpoint) = (&self.cell.meta.name, &**self.endpoint.key());
        match probe {
            Probe::Down => tracing::warn!(%backend, endpoint, "endpoint down: probes fail"),
            Probe::Up | Probe::Unknown => tracing::info!(%backend, endpoint, "endpoint up"),
        }
        self.cell.probed.notify_one();
    }
}
