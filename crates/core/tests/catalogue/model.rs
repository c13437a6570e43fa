//! What the catalogue must be, whatever happened.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

/// Name, namespace and priority: two of them share a namespace.
pub(crate) const BACKENDS: [(&str, &str, u32); 3] = [("a", "n", 2), ("b", "n", 1), ("c", "m", 1)];

/// Seconds for which the tools of a lost backend stay.
pub(crate) const TTL: u64 = 1_000;

/// Seconds of one step: more than the longest wait between two attempts at a list.
const STEP: u64 = 130;

pub(crate) const fn step_time() -> Duration {
    Duration::from_secs(STEP)
}

pub(crate) fn tool(number: u8) -> String {
    format!("t{number}")
}

pub(crate) fn name_of(namespace: &str, number: u8) -> String {
    format!("{namespace}.{}", tool(number))
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A backend has other tools now, and says so.
    Tools(usize, BTreeSet<u8>),
    /// Its connection is lost.
    Lose(usize),
    /// And comes back.
    Connect(usize),
    /// Whether it fails to list.
    Sick(usize, bool),
    Call(&'static str, u8),
    /// A call and a list whose callers go away.
    GiveUp(&'static str, u8),
    Pass,
}

#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) tools: BTreeSet<u8>,
    pub(crate) connected: bool,
    sick: bool,
    /// What it listed last, as far as that still counts.
    shown: BTreeSet<u8>,
    down_since: Option<u64>,
}

impl Member {
    /// Whether its list is there and nothing speaks against it.
    pub(crate) fn is_well(&self) -> bool {
        self.down_since.is_none()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    now: u64,
    pub(crate) members: Vec<Member>,
}

impl Model {
    /// Every exposed name, bytewise.
    pub(crate) fn listed(&self) -> Vec<String> {
        let mut names = BTreeSet::new();
        for (member, (_, namespace, _)) in self.members.iter().zip(BACKENDS) {
            names.extend(member.shown.iter().map(|t| name_of(namespace, *t)));
        }
        names.into_iter().collect()
    }

    /// Who gets a call: who lists it, well before unwell, then the lowest number.
    pub(crate) fn owner(&self, namespace: &str, tool: u8) -> Option<usize> {
        let lists =
            |at: &usize| BACKENDS[*at].1 == namespace && self.members[*at].shown.contains(&tool);
        let rank = |at: &usize| (!self.members[*at].is_well(), BACKENDS[*at].2);
        (0..BACKENDS.len()).filter(lists).min_by_key(rank)
    }

    /// What the supervisor of a backend finds, at once and until the step is over.
    fn settle(&mut self) {
        let now = self.now;
        self.now += STEP;
        for member in &mut self.members {
            if member.connected && !member.sick {
                member.down_since = None;
                member.shown = member.tools.clone();
                continue;
            }
            let since = *member.down_since.get_or_insert(now);
            if since + TTL <= self.now {
                member.shown.clear();
            }
        }
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        let tools = prop::collection::btree_set(0u8..4, 0..4);
        prop::collection::vec(tools, BACKENDS.len())
            .prop_map(|all| Self {
                now: 0,
                members: all
                    .into_iter()
                    .map(|tools| Member {
                        shown: tools.clone(),
                        tools,
                        connected: true,
                        sick: false,
                        down_since: None,
                    })
                    .collect(),
            })
            .boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Step> {
        let at = 0..BACKENDS.len();
        let tools = prop::collection::btree_set(0u8..4, 0..4);
        let asked = || (prop::sample::select(vec!["n", "m"]), 0u8..4);
        prop_oneof![
            3 => (at.clone(), tools).prop_map(|(at, tools)| Step::Tools(at, tools)),
            2 => at.clone().prop_map(Step::Lose),
            3 => at.clone().prop_map(Step::Connect),
            2 => (at, any::<bool>()).prop_map(|(at, sick)| Step::Sick(at, sick)),
            3 => asked().prop_map(|(namespace, tool)| Step::Call(namespace, tool)),
            2 => asked().prop_map(|(namespace, tool)| Step::GiveUp(namespace, tool)),
            2 => Just(Step::Pass),
        ]
        .boxed()
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        match step {
            Step::Tools(at, tools) => state.members[*at].tools = tools.clone(),
            Step::Lose(at) => state.members[*at].connected = false,
            Step::Connect(at) => state.members[*at].connected = true,
            Step::Sick(at, sick) => state.members[*at].sick = *sick,
            Step::Call(..) | Step::GiveUp(..) | Step::Pass => {}
        }
        state.settle();
        state
    }
}
