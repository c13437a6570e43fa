//! One endpoint as the balance knows it, and a call that runs there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use mcp_router_protocol::BackendName;
use mcp_router_routing::balance::{Fitness, Load, PeakEwma};
use mcp_router_service::{BackendInfo, CallError, Class, Classify, Pin, Serving, carry_key};
use tokio::time::Instant;

use super::group::Group;
use super::{BalanceParams, FAILURE_LATENCY};
use crate::{Endpoint, Standing};

/// Since ever: no newcomer.
const GROWN: u64 = u64::MAX;
/// Not fit at the last look.
const UNFIT: u64 = u64::MAX - 1;

#[derive(Debug)]
pub(super) struct Member {
    pub(super) endpoint: Endpoint,
    /// Under what a client's id carries its upstream session here.
    pub(super) carry_key: Arc<str>,
    /// The balance's own count: that of the endpoint is the breaker's, and begins later.
    in_flight: AtomicU32,
    /// A [`PeakEwma`].
    latency: AtomicU64,
    /// Milliseconds after the group's origin, [`GROWN`] or [`UNFIT`]. As the calls see it: who
    /// came back while nobody called is new at the next call.
    fit_since: AtomicU64,
    /// 0 unknown, 1 no, 2 yes.
    stateful: AtomicU8,
    /// Whether what it remembers of a client is not to be replaced in silence.
    keeps: AtomicBool,
}

/// The moment of a choice, asked for only if somebody wants to know.
pub(super) struct Now {
    origin: Instant,
    now: Option<Duration>,
}

/// A call that runs at a member. Dropped, it runs no more; what ended otherwise is
/// [told](Self::ended) before.
pub(super) struct Running {
    group: Arc<Group>,
    at: usize,
    /// When it began, while its latency is to be measured.
    begun: Option<Instant>,
}

// === impl Member ===

impl Member {
    pub(super) fn new(backend: &BackendName, endpoint: Endpoint, stateful: Option<bool>) -> Self {
        let member = Self {
            carry_key: carry_key(backend, endpoint.key()),
            endpoint,
            in_flight: AtomicU32::new(0),
            latency: AtomicU64::new(0),
            fit_since: AtomicU64::new(GROWN),
            stateful: AtomicU8::new(0),
            keeps: AtomicBool::new(false),
        };
        if let Some(stateful) = stateful {
            member.set_stateful(stateful);
        }
        member
    }

    fn set_stateful(&self, stateful: bool) {
        self.stateful
            .store(1 + u8::from(stateful), Ordering::Release);
    }

    /// Whether it may remember a client: unless it is known not to.
    pub(super) fn may_remember(&self) -> bool {
        self.stateful.load(Ordering::Acquire) != 1
    }

    /// What it said of itself when it connected.
    pub(super) fn connected(&self, info: &BackendInfo) {
        self.set_stateful(info.stateful);
        self.keeps.store(info.attach, Ordering::Release);
    }

    /// Whether a client has to hear of it when what is remembered here is lost.
    pub(super) fn keeps(&self) -> bool {
        self.keeps.load(Ordering::Acquire)
    }

    #[cfg(test)]
    pub(super) fn running(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn fitness(&self) -> Fitness {
        match self.endpoint.standing() {
            Standing::Usable => Fitness::Usable,
            Standing::Refused { .. } => Fitness::Out,
            Standing::Doubtful if self.endpoint.resting().is_some() => Fitness::Resting,
            Standing::Doubtful => Fitness::Doubtful,
        }
    }

    pub(super) fn load(&self, params: &BalanceParams, now: &mut Now) -> Load {
        let fitness = self.fitness();
        let latency = params.policy.wants_latency();
        Load {
            fitness,
            in_flight: self.in_flight.load(Ordering::Relaxed),
            latency: latency.then(|| self.latency(now)).flatten(),
            priority: self.endpoint.priority(),
            share: self.share(fitness, params, now),
        }
    }

    fn latency(&self, now: &mut Now) -> Option<Duration> {
        PeakEwma::from_bits(self.latency.load(Ordering::Relaxed)).latency(now.get())
    }

    /// The share of a load that it should get, by the time that it has been fit.
    fn share(&self, fitness: Fitness, params: &BalanceParams, now: &mut Now) -> f32 {
        let since = self.fit_since.load(Ordering::Relaxed);
        if fitness != Fitness::Usable {
            self.fit_since.store(UNFIT, Ordering::Relaxed);
            return 1.0; // among those that are not fit, nobody is new
        }
        if since == GROWN {
            return 1.0;
        }
        let now = now.get();
        let age = match since {
            UNFIT => {
                let millis = u64::try_from(now.as_millis()).unwrap_or(0);
                self.fit_since.store(millis, Ordering::Relaxed);
                Duration::ZERO
            }
            since => now.saturating_sub(Duration::from_millis(since)),
        };
        let share = params.slow_start.share(age);
        if share >= 1.0 {
            self.fit_since.store(GROWN, Ordering::Relaxed);
        }
        share
    }

    fn measure(&self, change: impl Fn(PeakEwma) -> PeakEwma) {
        let change = |bits| Some(change(PeakEwma::from_bits(bits)).to_bits());
        // Always `Ok`: the change never says no.
        let _ = self
            .latency
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }
}

// === impl Now ===

impl Now {
    pub(super) fn after(origin: Instant) -> Self {
        Self { origin, now: None }
    }

    fn get(&mut self) -> Duration {
        *self.now.get_or_insert_with(|| self.origin.elapsed())
    }
}

// === impl Running ===

impl Running {
    pub(super) fn begin(group: Arc<Group>, at: usize) -> Self {
        group.members[at].in_flight.fetch_add(1, Ordering::Relaxed);
        let begun = group.params.policy.wants_latency().then(Instant::now);
        Self { group, at, begun }
    }

    /// Its first message is there. It goes on running until it is dropped.
    pub(super) fn answered(&mut self) {
        self.measure(|ewma, took, now| ewma.observe(took, now));
    }

    /// It failed.
    pub(super) fn failed(mut self, error: &CallError) {
        if error.class() == Class::Failure {
            self.measure(|ewma, took, now| ewma.observe(took.max(FAILURE_LATENCY), now));
        }
        self.begun = None;
    }

    fn measure(&mut self, change: impl Fn(PeakEwma, Duration, Duration) -> PeakEwma) {
        if let Some(begun) = self.begun.take() {
            let (took, now) = (begun.elapsed(), self.group.origin.elapsed());
            self.group.members[self.at].measure(|ewma| change(ewma, took, now));
        }
    }
}

impl Serving for Running {
    fn place(&self) -> Pin {
        Pin {
            backend: self.group.backend.clone(),
            endpoint: self.group.members[self.at].endpoint.key().clone(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Given up before it answered: it would have taken longer still.
        self.measure(PeakEwma::observe_at_least);
        let member = &self.group.members[self.at];
        member.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
