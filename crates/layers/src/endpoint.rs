//! What is known about one endpoint: its circuit, its probes, its link, what it is doing.
//!
//! The one who calls, the one who probes and the one who chooses must agree whether an endpoint is
//! fit. So all of them hold the same handle: the [breaker](crate::BreakerLayer) asks it for leave,
//! probes and supervisors tell it what they found, balancing and dispatch read its [`Standing`].
//!
//! While all is well a call costs a few atomic operations here. Otherwise there is one short lock,
//! the endpoint's own, never held across an await.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_router_health::{Breaker, BreakerParams, CircuitState};
use tokio::time::Instant;

mod admit;
mod hear;

pub use admit::{Admitted, InFlight};

/// The longest that an endpoint is left in peace for what it said itself (`Retry-After`).
pub const MAX_REST: Duration = Duration::from_secs(60);

/// One place where a backend answers: a URL or a process. Clones are the same endpoint.
#[derive(Clone)]
pub struct Endpoint {
    shared: Arc<Shared>,
    priority: u32,
}

struct Shared {
    key: Arc<str>,
    origin: Instant,
    /// What a call needs to know while the circuit is closed; see [`Hot`].
    hot: AtomicU64,
    slow: Mutex<Slow>,
    probe: AtomicU8,
    linked: AtomicU8,
    /// Milliseconds after `origin`.
    rests_until: AtomicU64,
    in_flight: AtomicUsize,
}

struct Slow {
    breaker: Breaker,
    failure: Option<Arc<Failure>>,
}

/// The breaker in a word, written under the lock and read without: the generation, whether the
/// circuit is closed, and whether a success would change anything.
#[derive(Clone, Copy)]
struct Hot(u64);

/// What the last probe said.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Probe {
    /// There was none, or too few to tell.
    #[default]
    Unknown,
    /// It is well.
    Up,
    /// It is not.
    Down,
}

/// Whether to choose an endpoint. The order is the order of preference.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Standing {
    /// Nothing speaks against it.
    Usable,
    /// Only when nothing better is left: its probe says down, its connection is lost, it asked to
    /// be left in peace, or the trials of its half-open circuit are out.
    Doubtful,
    /// Not at all: its circuit is open.
    Refused {
        /// When its next trial is.
        retry_in: Duration,
    },
}

/// At what an endpoint failed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Stage {
    /// Connecting to it or starting it.
    Connect,
    /// Asking what it offers.
    List,
    /// A probe.
    Probe,
    /// A call.
    Call,
}

/// Why an endpoint is not well, for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// At what.
    pub stage: Stage,
    /// In words; no secret, no argument.
    pub text: Arc<str>,
    /// Since when it fails: at this stage, or without a call at any other.
    pub since: Instant,
    /// When somebody tries again by themselves, if anybody does.
    pub next_retry: Option<Instant>,
}

// === impl Failure ===

impl Failure {
    /// Since when an endpoint fails that fails at `stage` now, and failed as `before` says.
    ///
    /// Who connects, lists and probes takes turns with the same outage. A call that failed is
    /// something else: it may have been the only one for an hour.
    pub fn begin(before: Option<&Self>, stage: Stage, now: Instant) -> Instant {
        let by_itself = |stage| stage != Stage::Call;
        let same = |f: &&Self| f.stage == stage || (by_itself(f.stage) && by_itself(stage));
        before.filter(same).map_or(now, |f| f.since)
    }
}

// === impl Endpoint ===

impl Endpoint {
    /// An endpoint with a closed circuit of which nothing is known. `key` names it for logs,
    /// affinity and people, so it must hold no secret.
    pub fn new(key: impl Into<Arc<str>>, breaker: BreakerParams) -> Self {
        let slow = Slow {
            breaker: Breaker::new(breaker),
            failure: None,
        };
        Self {
            shared: Arc::new(Shared {
                key: key.into(),
                origin: Instant::now(),
                hot: AtomicU64::new(Hot::of(&slow).0),
                slow: Mutex::new(slow),
                probe: AtomicU8::new(0),
                linked: AtomicU8::new(0),
                rests_until: AtomicU64::new(0),
                in_flight: AtomicUsize::new(0),
            }),
            priority: 0,
        }
    }

    /// Sets the tier: endpoints of a lower number come first. Only this handle and its later
    /// clones know of it.
    #[must_use]
    pub fn with_priority(mut self, priority: u32) -> Self {
        self.priority = priority;
        self
    }

    /// Its name.
    pub fn key(&self) -> &Arc<str> {
        &self.shared.key
    }

    /// Its tier; lower is preferred.
    pub fn priority(&self) -> u32 {
        self.priority
    }

    /// Whether two handles are of the same endpoint.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// The state of its circuit. One whose open time is over is half-open.
    pub fn state(&self) -> CircuitState {
        if self.hot().is_closed() {
            return CircuitState::Closed;
        }
        self.slow().breaker.state(Instant::now().into_std())
    }

    /// How long its circuit lets no call through; `None` when it does.
    pub fn retry_in(&self) -> Option<Duration> {
        if self.hot().is_closed() {
            return None;
        }
        self.slow().breaker.retry_in(Instant::now().into_std())
    }

    /// The current run of failures of calls and probes.
    pub fn failures(&self) -> u32 {
        if self.hot().is_clean() {
            return 0;
        }
        self.slow().breaker.failures()
    }

    /// Whether to choose it, all things considered.
    pub fn standing(&self) -> Standing {
        let mut doubtful =
            self.probe() == Probe::Down || self.linked() == Some(false) || self.resting().is_some();
        if !self.hot().is_closed() {
            let now = Instant::now().into_std();
            let slow = self.slow();
            if let Some(retry_in) = slow.breaker.retry_in(now) {
                if slow.breaker.state(now) == CircuitState::Open {
                    return Standing::Refused { retry_in };
                }
                doubtful = true;
            }
        }
        if doubtful {
            Standing::Doubtful
        } else {
            Standing::Usable
        }
    }

    /// What the last probe said.
    pub fn probe(&self) -> Probe {
        match self.shared.probe.load(Ordering::Acquire) {
            1 => Probe::Up,
            2 => Probe::Down,
            _ => Probe::Unknown,
        }
    }

    /// Takes what a probe said. This orders endpoints; the circuit hears of a probe through
    /// [`admit_probe`](Self::admit_probe).
    pub fn set_probe(&self, probe: Probe) {
        let word = match probe {
            Probe::Unknown => 0,
            Probe::Up => 1,
            Probe::Down => 2,
        };
        self.shared.probe.store(word, Ordering::Release);
        if probe == Probe::Up {
            self.mended(Stage::Probe);
        }
    }

    /// Whether there is a connection; `None` where nobody has tried yet.
    pub fn linked(&self) -> Option<bool> {
        match self.shared.linked.load(Ordering::Acquire) {
            1 => Some(true),
            2 => Some(false),
            _ => None,
        }
    }

    /// Takes whether there is a connection.
    pub fn set_linked(&self, linked: bool) {
        let word = if linked { 1 } else { 2 };
        self.shared.linked.store(word, Ordering::Release);
        if linked {
            self.mended(Stage::Connect);
        }
    }

    /// Leaves it in peace for `time`, as it asked for, at most [`MAX_REST`]. It comes last until
    /// then. A later end stays.
    pub fn rest_for(&self, time: Duration) {
        let until = self.shared.origin.elapsed() + time.min(MAX_REST);
        let until = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        self.shared.rests_until.fetch_max(until, Ordering::AcqRel);
    }

    /// How long it is still left in peace.
    pub fn resting(&self) -> Option<Duration> {
        let until = self.shared.rests_until.load(Ordering::Acquire);
        if until == 0 {
            return None; // without asking the clock
        }
        let rest = Duration::from_millis(until).checked_sub(self.shared.origin.elapsed());
        rest.filter(|rest| !rest.is_zero())
    }

    /// Calls that it is working on, as far as [`admit`](Self::admit) and [`track`](Self::track)
    /// were told.
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::Relaxed)
    }

    /// Why it is not well, if it is not.
    pub fn last_failure(&self) -> Option<Arc<Failure>> {
        self.slow().failure.clone()
    }

    /// Notes why it is not well; `retry_in` if somebody tries again by themselves. The same
    /// trouble as before keeps its beginning ([`Failure::begin`]).
    pub fn note_failure(
        &self,
        stage: Stage,
        text: impl Into<Arc<str>>,
        retry_in: Option<Duration>,
    ) {
        let (text, now) = (text.into(), Instant::now());
        let mut slow = self.slow();
        slow.failure = Some(Arc::new(Failure {
            stage,
            text,
            since: Failure::begin(slow.failure.as_deref(), stage, now),
            next_retry: retry_in.map(|wait| now + wait),
        }));
        self.publish(&slow);
    }

    /// Forgets the failure, if it was one at `stage`.
    pub fn mended(&self, stage: Stage) {
        let mut slow = self.slow();
        if slow.failure.as_ref().is_some_and(|f| f.stage == stage) {
            slow.failure = None;
            self.publish(&slow);
        }
    }

    fn hot(&self) -> Hot {
        Hot(self.shared.hot.load(Ordering::Acquire))
    }

    /// The data behind a poisoned lock is whole: nothing panics while it is held.
    fn slow(&self) -> MutexGuard<'_, Slow> {
        let slow = self.shared.slow.lock();
        slow.unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, slow: &Slow) {
        self.shared.hot.store(Hot::of(slow).0, Ordering::Release);
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("key", &self.shared.key)
            .field("priority", &self.priority)
            .field("standing", &self.standing())
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

impl From<BreakerParams> for Endpoint {
    /// An endpoint without a name, for those who only want a breaker.
    fn from(breaker: BreakerParams) -> Self {
        Self::new("", breaker)
    }
}

// === impl Hot ===

impl Hot {
    fn of(slow: &Slow) -> Self {
        let closed = slow.breaker.is_closed();
        // The end of a run of failed calls also ends what is told about it.
        let told = slow
            .failure
            .as_ref()
            .is_some_and(|f| f.stage == Stage::Call);
        let clean = closed && !slow.breaker.minds_success() && !told;
        Self(slow.breaker.generation() << 2 | u64::from(clean) << 1 | u64::from(closed))
    }

    fn is_closed(self) -> bool {
        self.0 & 1 != 0
    }

    fn is_clean(self) -> bool {
        self.0 & 2 != 0
    }

    fn generation(self) -> u64 {
        self.0 >> 2
    }
}

// === impl Stage ===

impl Stage {
    /// The stage as operators see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::List => "list",
            Self::Probe => "probe",
            Self::Call => "call",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
