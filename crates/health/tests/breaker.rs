//! The breaker against a model, under every interleaving of calls, probes, trials that are
//! cancelled, reports that come late, and time.
//!
//! `STATE_MACHINE_STEPS` says how many steps to take at least (some 10,000 unless told); a run of
//! 10⁶ is `STATE_MACHINE_STEPS=1000000 cargo test -p mcp-router-health --release --test breaker`.

mod steps;

use std::time::{Duration, Instant};

use mcp_router_health::{Admission, Breaker, BreakerParams, CircuitState, Verdict};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

const OPEN_FOR: u64 = 1000;

#[derive(Clone, Debug)]
enum Step {
    Call,
    Probe,
    /// One of those that run ends. A verdict of `Neutral` is a caller that gave up.
    End(prop::sample::Index, Verdict),
    /// Milliseconds.
    Pass(u64),
}

/// The rules as `reliability.md` tells them, without a thought for speed.
#[derive(Clone, Debug)]
struct Model {
    threshold: u32,
    slots: u32,
    now: u64,
    state: Circuit,
    /// Which stretch of one state this is.
    era: u64,
    run: u32,
    /// Those of the run that the success of a probe takes back.
    probed: u32,
    running: Vec<Running>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Circuit {
    Closed,
    Open { until: u64 },
    HalfOpen { successes: u32 },
}

#[derive(Clone, Copy, Debug)]
struct Running {
    era: u64,
    probe: bool,
    trial: bool,
    /// A probe beside a circuit that takes no trial.
    aside: bool,
}

impl Model {
    fn trials(&self) -> u32 {
        self.running.iter().filter(|r| r.trial).count() as u32
    }

    fn admits(&self) -> bool {
        match self.state {
            Circuit::Closed => true,
            Circuit::Open { until } if self.now < until => false,
            Circuit::Open { .. } | Circuit::HalfOpen { .. } => self.trials() < self.slots,
        }
    }

    fn enter(&mut self, state: Circuit) {
        self.state = state;
        self.era += 1;
    }

    fn start(&mut self, probe: bool) {
        let admits = self.admits();
        if !admits && !probe {
            return;
        }
        if admits && matches!(self.state, Circuit::Open { .. }) {
            self.enter(Circuit::HalfOpen { successes: 0 });
        }
        let trial = admits && self.state != Circuit::Closed;
        self.running.push(Running {
            era: self.era,
            probe,
            trial,
            aside: !admits,
        });
    }

    fn end(&mut self, at: usize, verdict: Verdict) {
        let ended = self.running.remove(at);
        let failed = verdict == Verdict::Failure;
        if ended.aside {
            let counts = u32::from(failed && self.state != Circuit::Closed);
            self.run += counts;
            self.probed += counts;
            return;
        }
        if ended.era != self.era {
            return;
        }
        let until = self.now + OPEN_FOR;
        match (self.state, verdict) {
            (_, Verdict::Failure) => {
                self.run += 1;
                self.probed += u32::from(ended.probe && !ended.trial);
                if self.state != Circuit::Closed || self.run >= self.threshold {
                    self.enter(Circuit::Open { until });
                }
            }
            (Circuit::Closed, Verdict::Success) if ended.probe => {
                self.run -= self.probed;
                self.probed = 0;
            }
            (Circuit::Closed, Verdict::Success) => (self.run, self.probed) = (0, 0),
            (Circuit::HalfOpen { successes }, Verdict::Success) => {
                if successes + 1 == self.slots {
                    (self.run, self.probed) = (0, 0);
                    self.enter(Circuit::Closed);
                } else {
                    let successes = successes + 1;
                    self.state = Circuit::HalfOpen { successes };
                }
            }
            _ => {}
        }
    }

    fn shown(&self) -> CircuitState {
        match self.state {
            Circuit::Closed => CircuitState::Closed,
            Circuit::Open { until } if self.now < until => CircuitState::Open,
            Circuit::Open { .. } | Circuit::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        (1u32..5, 1u32..4)
            .prop_map(|(threshold, slots)| Model {
                threshold,
                slots,
                now: 0,
                state: Circuit::Closed,
                era: 0,
                run: 0,
                probed: 0,
                running: Vec::new(),
            })
            .boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Step> {
        let verdict = prop_oneof![
            3 => Just(Verdict::Failure),
            2 => Just(Verdict::Success),
            1 => Just(Verdict::Throttled),
            2 => Just(Verdict::Neutral),
        ];
        prop_oneof![
            4 => Just(Step::Call),
            1 => Just(Step::Probe),
            5 => (any::<prop::sample::Index>(), verdict).prop_map(|(at, v)| Step::End(at, v)),
            2 => prop_oneof![1u64..50, 300u64..1200].prop_map(Step::Pass),
        ]
        .boxed()
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        match step {
            Step::Call => state.start(false),
            Step::Probe => state.start(true),
            Step::End(at, verdict) if !state.running.is_empty() => {
                state.end(at.index(state.running.len()), *verdict);
            }
            Step::End(..) => {}
            Step::Pass(ms) => state.now += ms,
        }
        state
    }
}

struct Sut {
    breaker: Breaker,
    start: Instant,
    now: Instant,
    running: Vec<Admission>,
}

impl StateMachineTest for Sut {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(model: &Model) -> Self {
        let open_for = Duration::from_millis(OPEN_FOR);
        let params = BreakerParams::new(model.threshold, open_for, model.slots)
            .expect("parameters in range");
        let start = Instant::now();
        Self {
            breaker: Breaker::new(params),
            start,
            now: start,
            running: Vec::new(),
        }
    }

    fn apply(mut sut: Self, model: &Model, step: Step) -> Self {
        match step {
            Step::Call => sut.running.extend(sut.breaker.admit(sut.now)),
            Step::Probe => sut.running.push(sut.breaker.admit_probe(sut.now)),
            Step::End(at, verdict) if !sut.running.is_empty() => {
                let ended = sut.running.remove(at.index(sut.running.len()));
                let change = sut.breaker.report(ended, verdict, sut.now);
                if let Some(state) = change {
                    assert_eq!(state, model.shown());
                }
            }
            Step::End(..) => {}
            Step::Pass(_) => sut.now = sut.start + Duration::from_millis(model.now),
        }
        sut
    }

    fn check_invariants(sut: &Self, model: &Model) {
        assert_eq!(sut.breaker.state(sut.now), model.shown());
        assert_eq!(sut.breaker.failures(), model.run);
        assert_eq!(sut.running.len(), model.running.len());
        assert_eq!(sut.breaker.retry_in(sut.now).is_none(), model.admits());
        if let Circuit::Open { until } = model.state
            && model.now < until
        {
            let rest = Duration::from_millis(until - model.now);
            assert_eq!(sut.breaker.retry_in(sut.now), Some(rest));
        }
        // I8, said once more without the model.
        let trials = sut.running.iter().filter(|a| a.is_trial()).count();
        assert!(trials <= model.slots as usize);
        assert_eq!(trials as u32, model.trials());
    }

    /// From any state, the breaker of a well endpoint reaches CLOSED.
    fn teardown(mut sut: Self, model: Model) {
        for admission in sut.running.drain(..) {
            sut.breaker.report(admission, Verdict::Neutral, sut.now);
        }
        sut.now += Duration::from_millis(OPEN_FOR);
        for _ in 0..model.slots {
            let trial = sut.breaker.admit(sut.now).expect("a free slot");
            sut.breaker.report(trial, Verdict::Success, sut.now);
        }
        assert_eq!(sut.breaker.state(sut.now), CircuitState::Closed);
        assert_eq!(sut.breaker.failures(), 0);
    }
}

prop_state_machine! {
    #![proptest_config(steps::config())]
    #[test]
    fn i8_the_breaker_is_as_the_rules_say(sequential steps::RANGE => Sut);
}
