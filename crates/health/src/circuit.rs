//! The circuit itself: what it admits at a time, and what reports do to it.
//!
//! Without it, one dead endpoint costs every caller a full timeout. It opens after a run of
//! failures, lets a few trials through once its time is over, and closes when enough of them
//! succeed. Calls admitted before a change of state say nothing about the state after it: each
//! admission carries the generation it belongs to.

use std::time::{Duration, Instant};

use crate::window::RateWindow;
use crate::{BreakerParams, CircuitState};

/// One endpoint's circuit breaker. Every time is an argument.
#[derive(Debug)]
pub struct Breaker {
    params: BreakerParams,
    state: State,
    /// Counts changes of state.
    generation: u64,
    /// Failures since the last success of a call.
    run: u32,
    /// How many of them are probes' that no probe has succeeded since. Without calls, one lost
    /// probe a day would otherwise open the circuit of a backend that is well.
    probed: u32,
    /// Trials that have not been reported, whichever generation admitted them: a trial that hangs
    /// keeps its slot, or the next half-open state would let one call too many through.
    trials: u32,
    rate: Option<RateWindow>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen { successes: u32 },
}

/// Leave to call. Must be given back to [`Breaker::report`], whatever becomes of the call.
#[derive(Debug, Eq, PartialEq)]
#[must_use]
pub struct Admission {
    generation: u64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// A call while closed.
    Normal,
    /// A call, or a probe, while half-open.
    Trial,
    /// A probe while closed.
    Probe,
    /// A probe while the circuit takes no trial: it shows whether the run of failures goes on.
    Aside,
}

/// How something admitted ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The endpoint works.
    Success,
    /// It does not.
    Failure,
    /// It asks for fewer calls: no failure in a run, one in a rate.
    Throttled,
    /// Nothing is known: cancelled, refused by ourselves, an error about the request.
    Neutral,
}

/// The circuit lets no call through now.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the circuit is open")]
pub struct Refused {
    /// When it makes sense to ask again.
    pub retry_in: Duration,
}

/// What [`Refused`] says while all trials are out: nobody knows when the first one ends.
const TRIALS_OUT: Duration = Duration::from_secs(1);

// === impl Breaker ===

impl Breaker {
    /// A closed circuit.
    pub fn new(params: BreakerParams) -> Self {
        Self {
            params,
            state: State::Closed,
            generation: 0,
            run: 0,
            probed: 0,
            trials: 0,
            rate: params.failure_rate().map(RateWindow::new),
        }
    }

    /// Asks leave for a call at `now`.
    ///
    /// # Errors
    /// While the circuit is open, and while half-open when all trials are out.
    pub fn admit(&mut self, now: Instant) -> Result<Admission, Refused> {
        if self.state == State::Closed {
            return Ok(self.admission(Kind::Normal));
        }
        if let Some(retry_in) = self.retry_in(now) {
            return Err(Refused { retry_in });
        }
        Ok(self.trial())
    }

    /// Admits a probe at `now`, always: probing is what finds a lost endpoint again. While closed
    /// its failure counts like a call's, and its success takes back failures of probes alone; once
    /// an open circuit's time is over it is a trial, if a slot is free.
    pub fn admit_probe(&mut self, now: Instant) -> Admission {
        if self.state == State::Closed {
            return self.admission(Kind::Probe);
        }
        if self.retry_in(now).is_some() {
            return self.admission(Kind::Aside);
        }
        self.trial()
    }

    /// Takes back an admission. Returns the new state if it changed.
    pub fn report(
        &mut self,
        admission: Admission,
        verdict: Verdict,
        now: Instant,
    ) -> Option<CircuitState> {
        if admission.kind == Kind::Trial {
            self.trials = self.trials.saturating_sub(1);
        }
        let failed = verdict == Verdict::Failure;
        if admission.kind == Kind::Aside {
            // The run goes on, but only trials may prolong the open time.
            if failed && self.state != State::Closed {
                self.count(admission.kind);
            }
            return None;
        }
        if admission.generation != self.generation {
            return None;
        }
        if failed {
            self.count(admission.kind);
        }
        match self.state {
            State::Closed => self.closed(admission.kind, verdict, now),
            State::HalfOpen { successes } => self.half_open(successes, verdict, now),
            // Nothing is admitted with the generation of an open circuit.
            State::Open { .. } => None,
        }
    }

    /// The state at `now`: an open circuit whose time is over is half-open already.
    pub fn state(&self, now: Instant) -> CircuitState {
        match self.state {
            State::Closed => CircuitState::Closed,
            State::Open { until } if now < until => CircuitState::Open,
            State::Open { .. } | State::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }

    /// How long no call is let through, as far as is known: the rest of an open circuit's time, or
    /// a second while every trial is out. `None` when [`admit`](Self::admit) would admit.
    pub fn retry_in(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Closed => None,
            State::Open { until } if now < until => Some(until - now),
            State::Open { .. } | State::HalfOpen { .. } => {
                (self.trials >= self.params.half_open_attempts()).then_some(TRIALS_OUT)
            }
        }
    }

    /// The current run of failures, of calls and probes.
    pub fn failures(&self) -> u32 {
        self.run
    }

    /// How often the state has changed.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether it is closed, which takes no clock to tell.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Whether the success of a call would change anything at all. While this and the generation
    /// stay, a caller may keep the successes of closed calls to itself.
    pub fn minds_success(&self) -> bool {
        self.state != State::Closed || self.run > 0 || self.rate.is_some()
    }

    fn count(&mut self, kind: Kind) {
        self.run = self.run.saturating_add(1);
        if matches!(kind, Kind::Probe | Kind::Aside) {
            self.probed = self.probed.saturating_add(1);
        }
    }

    /// Ends the run, or the part of it that a probe can speak for.
    fn mend(&mut self, kind: Kind) {
        self.run = match kind {
            Kind::Probe => self.run.saturating_sub(self.probed),
            Kind::Normal | Kind::Trial | Kind::Aside => 0,
        };
        self.probed = 0;
    }

    fn admission(&self, kind: Kind) -> Admission {
        let generation = self.generation;
        Admission { generation, kind }
    }

    fn trial(&mut self) -> Admission {
        if let State::Open { .. } = self.state {
            self.enter(State::HalfOpen { successes: 0 });
        }
        self.trials += 1;
        self.admission(Kind::Trial)
    }

    fn closed(&mut self, kind: Kind, verdict: Verdict, now: Instant) -> Option<CircuitState> {
        let mut trips = self.run >= self.params.failure_threshold();
        if verdict == Verdict::Success {
            self.mend(kind);
        }
        if kind == Kind::Normal
            && let Some(rate) = &mut self.rate
        {
            trips |= rate.note(verdict, now);
        }
        trips.then(|| self.open(now))
    }

    fn half_open(
        &mut self,
        successes: u32,
        verdict: Verdict,
        now: Instant,
    ) -> Option<CircuitState> {
        match verdict {
            Verdict::Failure => Some(self.open(now)),
            Verdict::Success if successes + 1 >= self.params.half_open_attempts() => {
                self.mend(Kind::Trial);
                self.enter(State::Closed);
                Some(CircuitState::Closed)
            }
            Verdict::Success => {
                let successes = successes + 1;
                self.state = State::HalfOpen { successes };
                None
            }
            Verdict::Throttled | Verdict::Neutral => None,
        }
    }

    fn open(&mut self, now: Instant) -> CircuitState {
        let until = now + self.params.open_for();
        self.enter(State::Open { until });
        CircuitState::Open
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
        if let Some(rate) = &mut self.rate {
            rate.clear();
        }
    }
}

// === impl Admission ===

impl Admission {
    /// An admission as a closed circuit of this generation gives it, for callers that saw both
    /// without asking the machine.
    pub fn closed(generation: u64) -> Self {
        let kind = Kind::Normal;
        Self { generation, kind }
    }

    /// Whether it holds one of the slots of a half-open circuit.
    pub fn is_trial(&self) -> bool {
        self.kind == Kind::Trial
    }

    /// Whether a closed circuit of `generation` gave it to a call.
    pub fn is_closed(&self, generation: u64) -> bool {
        self.kind == Kind::Normal && self.generation == generation
    }
}
