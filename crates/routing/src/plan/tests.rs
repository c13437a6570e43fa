use Strategy::{Capability, Fallback, Path};
use mcp_router_protocol::name::BackendName;
use proptest::prelude::{Strategy as Generate, any, prop, prop_assert, prop_assert_eq, proptest};

use super::{Candidate, Lists, Step, Strategy, plan};
use crate::Route;

/// A backend with at most one route.
#[derive(Clone, Debug)]
struct Given {
    priority: u32,
    addressed: bool,
    lists: Lists,
    route: Option<(&'static str, Option<Strategy>, Option<usize>)>,
}

fn lists(priority: u32) -> Given {
    Given {
        priority,
        addressed: true,
        lists: Lists::Yes,
        route: None,
    }
}

impl Given {
    fn elsewhere(self) -> Self {
        Self {
            addressed: false,
            ..self
        }
    }

    fn but(self, lists: Lists) -> Self {
        Self { lists, ..self }
    }

    fn route(self, pattern: &'static str, strategy: Strategy, to: Option<usize>) -> Self {
        Self {
            route: Some((pattern, Some(strategy), to)),
            ..self
        }
    }

    fn falls_back_to(self, to: usize) -> Self {
        self.route("t*", Strategy::Fallback, Some(to))
    }
}

fn steps(given: &[Given], default: Strategy) -> Vec<Step> {
    let name = |at: usize| -> BackendName { format!("b{at}").parse().unwrap() };
    let names: Vec<_> = (0..given.len()).map(name).collect();
    let routes: Vec<Vec<Route>> = given
        .iter()
        .map(|g| {
            let route = g.route.map(|(pattern, strategy, to)| Route {
                pattern: pattern.parse().unwrap(),
                strategy,
                fallback_to: to.map(name),
            });
            route.into_iter().collect()
        })
        .collect();
    let all: Vec<_> = given
        .iter()
        .enumerate()
        .map(|(at, g)| Candidate {
            backend: &names[at],
            priority: g.priority,
            position: at,
            addressed: g.addressed,
            lists: g.lists,
            item: "tool",
            routes: &routes[at],
        })
        .collect();
    plan(&all, default)
}

fn order(given: &[Given], default: Strategy) -> Vec<usize> {
    steps(given, default).iter().map(|s| s.candidate).collect()
}

#[test]
fn capability_is_who_lists_it_by_priority_then_file_order() {
    let given = [
        lists(20),
        lists(10).but(Lists::No),
        lists(10),
        lists(10),
        lists(1).elsewhere(),
        lists(1).but(Lists::Unknown),
    ];
    assert_eq!(order(&given, Capability), [2, 3, 0]);
}

#[test]
fn path_is_whoever_matches_listed_or_not() {
    let given = [
        lists(10).but(Lists::No).route("t*", Path, None),
        lists(1).but(Lists::No).route("x*", Path, None),
        lists(20),
    ];
    assert_eq!(order(&given, Capability), [0, 2]);
    assert_eq!(order(&given, Path), [1, 0, 2]);
}

#[test]
fn who_falls_back_is_followed_by_whom_it_names_and_then_by_the_rest() {
    let given = [
        lists(10).falls_back_to(3),
        lists(20),
        lists(30),
        lists(40).elsewhere(),
    ];
    let steps = steps(&given, Capability);
    let seen: Vec<_> = steps.iter().map(|s| (s.candidate, s.named_by)).collect();
    assert_eq!(seen, [(0, None), (3, Some(0)), (1, None), (2, None)]);
    assert_eq!(steps[0].rule.route, Some(0));
    assert_eq!(steps[1].rule.route, None);
}

#[test]
fn chains_are_followed_and_cycles_end() {
    let given = [
        lists(10).falls_back_to(1),
        lists(20).elsewhere().falls_back_to(2),
        lists(30).elsewhere().falls_back_to(0),
        lists(40),
    ];
    assert_eq!(order(&given, Capability), [0, 1, 2, 3]);
    assert_eq!(order(&[lists(1).falls_back_to(0)], Capability), [0]);
}

#[test]
fn a_chain_leaves_out_who_lacks_the_tool_and_goes_on_behind_it() {
    let given = [
        lists(10).but(Lists::Unknown).falls_back_to(1),
        lists(20).elsewhere().but(Lists::No).falls_back_to(2),
        lists(30).elsewhere().but(Lists::Unknown),
    ];
    assert_eq!(order(&given, Capability), [0, 2]);
    // Who certainly lacks it does not start a chain.
    assert!(order(&[lists(1).but(Lists::No).falls_back_to(0)], Capability).is_empty());
}

#[test]
fn only_the_fallback_strategy_obeys_fallback_to() {
    let given = [
        lists(10).route("t*", Capability, Some(1)),
        lists(20).elsewhere(),
    ];
    assert_eq!(order(&given, Fallback), [0]);
    // A route without a strategy has the default one.
    let mut given = given;
    given[0].route = Some(("t*", None, Some(1)));
    assert_eq!(order(&given, Fallback), [0, 1]);
    assert_eq!(order(&given, Capability), [0]);
}

fn any_given(of: usize) -> impl Generate<Value = Given> {
    let lists = prop::sample::select(vec![Lists::Yes, Lists::No, Lists::Unknown]);
    let strategy = prop::option::of(prop::sample::select(Strategy::ALL.to_vec()));
    let route = (
        prop::sample::select(vec!["t*", "x*"]),
        strategy,
        prop::option::of(0..of),
    );
    (0u32..3, any::<bool>(), lists, prop::option::of(route)).prop_map(
        |(priority, addressed, lists, route)| Given {
            priority,
            addressed,
            lists,
            route,
        },
    )
}

proptest! {
    #[test]
    fn any_plan_has_everybody_once_and_only_who_may_be_asked(
        given in prop::collection::vec(any_given(6), 6),
        default in prop::sample::select(Strategy::ALL.to_vec()),
    ) {
        let steps = steps(&given, default);
        let seen: std::collections::HashSet<_> = steps.iter().map(|s| s.candidate).collect();
        prop_assert_eq!(seen.len(), steps.len());
        for step in &steps {
            let candidate = &given[step.candidate];
            prop_assert!(candidate.addressed || step.named_by.is_some());
            let certain = candidate.lists == Lists::No;
            prop_assert!(!certain || step.rule.strategy == Path);
        }
        // Everybody who lists it and is asked for is there.
        for (at, candidate) in given.iter().enumerate() {
            let must = candidate.addressed && candidate.lists == Lists::Yes;
            prop_assert!(!must || seen.contains(&at));
        }
        // Those that nobody names keep the order of priority and position.
        let unnamed = steps.iter().filter(|s| s.named_by.is_none());
        let keys: Vec<_> = unnamed.map(|s| (given[s.candidate].priority, s.candidate)).collect();
        prop_assert!(keys.is_sorted());
    }
}
