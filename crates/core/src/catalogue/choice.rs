//! Who may get the calls of an item, worked out once for each item and not for each call.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use mcp_router_protocol::{BackendName, Item, ItemKind, Mirror, Namespace};
use mcp_router_routing::{Candidate, Lists, RoutePattern, Rule, Step, Strategy, plan};
use mcp_router_service::{Mark, RepeatAfter};

use crate::backend::{Cell, Live};
use crate::counted::{Counted, Counters};
use crate::hub::Settings;

/// A backend that may get the calls of an item, and what they must obey there.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) cell: Arc<Cell>,
    own: Own,
    /// What made it a candidate.
    pub(crate) rule: Rule,
    /// Who falls back to it, if that is why.
    pub(crate) named_by: Option<BackendName>,
    /// After which failures a call may be made again, here or elsewhere.
    pub(crate) repeat: RepeatAfter,
    /// The time of one attempt, where the operator sets one.
    pub(crate) attempt: Option<Duration>,
    /// Whether the backend may answer with a task.
    pub(crate) modern: bool,
    /// Whether arguments can be repeated to the backend in headers, and which it wants so.
    pub(crate) mirrors: bool,
    pub(crate) mirror: Option<Arc<Mirror>>,
    counters: Counters,
}

/// What the backend calls the item.
#[derive(Clone, Debug)]
enum Own {
    Listed(Arc<Item>),
    Unlisted(Arc<str>),
}

const LISTED: Rule = Rule {
    strategy: Strategy::Capability,
    route: None,
};

impl Choice {
    /// A backend that lists the item.
    pub(crate) fn owner(cell: &Arc<Cell>, item: &Arc<Item>) -> Self {
        Self::new(cell, item.kind(), Own::Listed(item.clone()))
    }

    /// A backend that may know something that it does not list.
    pub(crate) fn unlisted(cell: &Arc<Cell>, kind: ItemKind, own: &str) -> Self {
        Self::new(cell, kind, Own::Unlisted(own.into()))
    }

    fn new(cell: &Arc<Cell>, kind: ItemKind, own: Own) -> Self {
        let policy = &cell.meta.policy;
        let (item, name) = match &own {
            Own::Listed(item) => (Some(&**item), item.key()),
            Own::Unlisted(name) => (None, &**name),
        };
        let info = cell.live.load().info.clone();
        let mirrors = kind == ItemKind::Tool && info.mirrors;
        let mirror = item
            .filter(|_| mirrors)
            .and_then(|i| i.mirror().ok()?.cloned());
        Self {
            modern: kind == ItemKind::Tool && info.modern,
            mirrors,
            mirror,
            counters: Counters::default(),
            rule: LISTED,
            named_by: None,
            repeat: policy.repeat(kind, item, name),
            attempt: policy
                .rules
                .timeout(name)
                .filter(|_| kind == ItemKind::Tool),
            cell: cell.clone(),
            own,
        }
    }

    /// The backend's own name or URI of the item.
    pub(crate) fn own(&self) -> &str {
        match &self.own {
            Own::Listed(item) => item.key(),
            Own::Unlisted(name) => name,
        }
    }

    /// The pattern of the route that decided, if one did.
    pub(crate) fn pattern(&self) -> Option<&RoutePattern> {
        let route = self.cell.meta.policy.routes.get(self.rule.route?)?;
        Some(&route.pattern)
    }

    /// The counters of its calls, which are counted as `what`.
    pub(crate) fn counters(&self, what: Counted<'_>) -> Mark {
        self.counters.of(what, &self.cell, self.lists())
    }

    /// Whether the backend lists the item.
    pub(crate) fn lists(&self) -> bool {
        matches!(self.own, Own::Listed(_))
    }
}

/// All backends with what they list, as far as routes need to know.
pub(super) struct Field<'a> {
    settings: &'a Settings,
    cells: &'a [(Arc<Cell>, Arc<Live>)],
    /// The namespaces of backends that have routes.
    routed: HashSet<Option<&'a Namespace>>,
    /// The tools of each backend by its own names. Empty where no route asks.
    tools: Vec<HashMap<&'a str, &'a Arc<Item>>>,
}

impl<'a> Field<'a> {
    pub(super) fn new(settings: &'a Settings, cells: &'a [(Arc<Cell>, Arc<Live>)]) -> Self {
        let metas = cells.iter().map(|(cell, _)| &cell.meta);
        let routed: HashSet<_> = metas
            .filter(|meta| !meta.policy.routes.is_empty())
            .map(|meta| meta.namespace.as_ref())
            .collect();
        let asked = settings.routes_all() || !routed.is_empty();
        let index = |(_, live): &'a (Arc<Cell>, Arc<Live>)| {
            let items = live.listing.of(ItemKind::Tool).iter();
            items.filter(|_| asked).map(|i| (i.key(), i)).collect()
        };
        Self {
            settings,
            cells,
            routed,
            tools: cells.iter().map(index).collect(),
        }
    }

    fn addressed(&self, cell: &Cell, namespace: Option<&Namespace>) -> bool {
        !self.settings.namespaces || cell.meta.namespace.as_ref() == namespace
    }

    /// Whether anything but the lists decides who gets calls of this namespace's tools.
    pub(super) fn is_routed(&self, namespace: Option<&Namespace>) -> bool {
        let routed = match self.settings.namespaces {
            true => self.routed.contains(&namespace),
            false => !self.routed.is_empty(),
        };
        self.settings.routes_all() || routed
    }

    /// Who may get the calls of the tool that clients know as `public` in `namespace`.
    pub(super) fn choices(&self, namespace: Option<&Namespace>, public: &str) -> Vec<Choice> {
        let mut found = Vec::new();
        for (at, (cell, live)) in self.cells.iter().enumerate() {
            let own = cell.meta.policy.rules.own(public);
            if let Some(own) = own.filter(|_| cell.service.is_some()) {
                found.push((cell, own, self.tools[at].get(own), live.listing.complete));
            }
        }
        // They come in the order that counts between equal priorities.
        let found_in_order = found.iter().enumerate();
        let candidates = found_in_order.map(|(at, (cell, own, item, complete))| Candidate {
            backend: &cell.meta.name,
            priority: cell.meta.priority,
            position: at,
            addressed: self.addressed(cell, namespace),
            lists: match (item, complete) {
                (Some(_), _) => Lists::Yes,
                (None, true) => Lists::No,
                (None, false) => Lists::Unknown,
            },
            item: own,
            // A strategy of the embedder's own chooses among all.
            routes: match self.settings.strategy {
                Some(_) => &[],
                None => &cell.meta.policy.routes,
            },
        });
        let candidates: Vec<_> = candidates.collect();
        let choice = |step: Step| {
            let (cell, own, item, _) = &found[step.candidate];
            let choice = match item {
                Some(item) => Choice::owner(cell, item),
                None => Choice::unlisted(cell, ItemKind::Tool, own),
            };
            let by = |at: usize| candidates[at].backend.clone();
            Choice {
                rule: step.rule,
                named_by: step.named_by.map(by),
                ..choice
            }
        };
        let steps = plan(&candidates, self.settings.default_strategy());
        steps.into_iter().map(choice).collect()
    }
}

/// Who may get a call of a tool that nobody lists: path routes, and fallback routes of backends
/// that were never reached.
pub(crate) fn unlisted(
    settings: &Settings,
    cells: &[Arc<Cell>],
    namespace: Option<&Namespace>,
    public: &str,
) -> Vec<Choice> {
    let routes = cells.iter().any(|c| !c.meta.policy.routes.is_empty());
    if !routes && !settings.routes_all() {
        return Vec::new();
    }
    let lives: Vec<_> = cells
        .iter()
        .map(|c| (c.clone(), c.live.load_full()))
        .collect();
    let field = Field::new(settings, &lives);
    if !field.is_routed(namespace) {
        return Vec::new();
    }
    field.choices(namespace, public)
}
