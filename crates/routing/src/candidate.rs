//! What the strategies know of a backend that may get a call.

use mcp_router_protocol::name::BackendName;

use crate::{Route, RoutePattern, Strategy};

/// One backend that may get a call, as far as that does not depend on how it fares.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Which backend.
    pub backend: &'a BackendName,
    /// Lower is tried first.
    pub priority: u32,
    /// Its place in the file: decides between equal priorities.
    pub position: usize,
    /// Whether the call is for its namespace, or there are no namespaces. Others only get the call
    /// when somebody falls back to them.
    pub addressed: bool,
    /// Whether it has the item.
    pub lists: Lists,
    /// What it calls the item itself: patterns are matched with this.
    pub item: &'a str,
    /// Its routes, in the order of the file. None for anything but tools.
    pub routes: &'a [Route],
}

/// Whether a backend has an item.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lists {
    /// It lists it.
    Yes,
    /// It has listed what it has, and this is not there.
    No,
    /// It was never listed.
    Unknown,
}

/// The strategy that judges a candidate, and where it comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rule {
    /// The strategy.
    pub strategy: Strategy,
    /// The place of the route among those of its backend; `None`: no pattern matched, and the
    /// default holds.
    pub route: Option<usize>,
}

impl<'a> Candidate<'a> {
    /// The first route whose pattern matches gives the strategy, else the default does.
    pub fn rule(&self, default: Strategy) -> Rule {
        let found = self
            .routes
            .iter()
            .position(|r| r.pattern.matches(self.item));
        let strategy = found.and_then(|at| self.routes[at].strategy);
        Rule {
            strategy: strategy.unwrap_or(default),
            route: found,
        }
    }

    /// The pattern that a rule comes from.
    pub fn pattern(&self, rule: Rule) -> Option<&'a RoutePattern> {
        rule.route.map(|at| &self.routes[at].pattern)
    }

    /// Whom a rule makes it fall back to.
    pub(crate) fn falls_back_to(&self, rule: Rule) -> Option<&'a BackendName> {
        let named = rule
            .route
            .and_then(|at| self.routes[at].fallback_to.as_ref());
        named.filter(|_| rule.strategy == Strategy::Fallback)
    }
}
