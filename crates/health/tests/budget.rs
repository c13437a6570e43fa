//! The retry budget against what it promises: however requests and failures come, retries are
//! never more than a fifth of the requests of the last ten seconds, plus one a second, plus ten;
//! and while that is not reached, none is refused without need.

mod steps;

use std::time::{Duration, Instant};

use mcp_router_health::{BudgetParams, RetryBudget};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

#[derive(Clone, Debug)]
enum Step {
    Requests(u32),
    Retries(u32),
    Pass(u64),
}

/// What has happened, in full.
#[derive(Clone, Debug, Default)]
struct Model {
    now: u64,
    /// When, and how many.
    requests: Vec<(u64, u32)>,
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Step> {
        prop_oneof![
            3 => prop_oneof![1u32..10, 10u32..300].prop_map(Step::Requests),
            3 => (1u32..40).prop_map(Step::Retries),
            3 => prop_oneof![1u64..999, 1000u64..12_000].prop_map(Step::Pass),
        ]
        .boxed()
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        match step {
            Step::Requests(n) => state.requests.push((state.now, *n)),
            Step::Retries(_) => {}
            Step::Pass(ms) => state.now += ms,
        }
        state
    }
}

struct Sut {
    budget: RetryBudget,
    start: Instant,
    /// When each retry was.
    granted: Vec<u64>,
}

impl Model {
    fn between(&self, from: u64, to: u64) -> u64 {
        let within = self
            .requests
            .iter()
            .filter(|(at, _)| (from..=to).contains(at));
        within.map(|(_, n)| u64::from(*n)).sum()
    }
}

impl StateMachineTest for Sut {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(_: &Model) -> Self {
        Self {
            budget: RetryBudget::new(BudgetParams::default()),
            start: Instant::now(),
            granted: Vec::new(),
        }
    }

    fn apply(mut sut: Self, model: &Model, step: Step) -> Self {
        let now = sut.start + Duration::from_millis(model.now);
        match step {
            Step::Requests(n) => sut.budget.deposit(n, now),
            Step::Retries(n) => {
                for _ in 0..n {
                    if sut.budget.withdraw(now) {
                        sut.granted.push(model.now);
                    } else {
                        sut.refused(model);
                    }
                }
            }
            Step::Pass(_) => {}
        }
        sut
    }

    /// Over any stretch that ends now: a fifth of the requests that could still count in it, one
    /// a second, ten.
    fn check_invariants(sut: &Self, model: &Model) {
        for (i, since) in sut.granted.iter().enumerate() {
            let retries = (sut.granted.len() - i) as u64;
            let paid = model.between(since.saturating_sub(10_000), model.now) / 5;
            let flowed = (model.now - since) / 1000 + 1;
            assert!(retries <= paid + flowed + 10, "{retries} since {since}");
        }
    }
}

impl Sut {
    /// None is refused while requests of the last nine seconds (the tenth is leaving) could pay
    /// for all retries since the first of them.
    fn refused(&self, model: &Model) {
        let since = model.now.saturating_sub(9_000);
        let brought = model.between(since, model.now) / 5;
        let spent = self.granted.iter().filter(|at| **at >= since).count() as u64;
        assert!(spent >= brought, "{spent} of {brought} spent");
    }
}

prop_state_machine! {
    #![proptest_config(steps::config())]
    #[test]
    fn the_budget_is_never_exceeded_and_never_mean(sequential steps::RANGE => Sut);
}
