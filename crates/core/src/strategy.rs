//! The seam for a strategy of the embedder's own, and the words for the one that chose.

use std::fmt;
use std::sync::Arc;

use mcp_router_routing::{Choice as Offered, CustomStrategy, Strategy};

use crate::catalogue::Choice;
use crate::hub::Settings;

/// A strategy that replaces routes and the default one.
#[derive(Clone)]
pub(crate) struct Custom(pub(crate) Arc<dyn CustomStrategy>);

impl Custom {
    /// Those of `found` that the strategy takes, in its order.
    pub(crate) fn order(&self, item: &str, found: &[Choice]) -> Vec<Choice> {
        let mut offered: Vec<_> = found
            .iter()
            .map(|choice| Offered {
                backend: &choice.cell.meta.name,
                priority: choice.cell.meta.priority,
                position: choice.cell.position(),
                lists_item: choice.lists(),
                fitness: choice.cell.fitness(),
            })
            .collect();
        self.0.order(item, &mut offered);
        let of = |o: &Offered<'_>| found.iter().find(|c| c.cell.meta.name == *o.backend);
        offered.iter().filter_map(of).cloned().collect()
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Custom").field(&self.0.name()).finish()
    }
}

impl Settings {
    /// The strategy of backends without a route that says otherwise.
    pub(crate) fn default_strategy(&self) -> Strategy {
        match self.strategy {
            // It is asked about all of them.
            Some(_) => Strategy::Path,
            None => self.default,
        }
    }

    /// Whether more than lists decides about every tool.
    pub(crate) fn routes_all(&self) -> bool {
        self.default_strategy() != Strategy::Capability
    }

    /// The name of the strategy that made a backend a candidate.
    pub(crate) fn strategy_name(&self, choice: &Choice) -> String {
        match &self.strategy {
            Some(custom) => custom.0.name().to_owned(),
            None => choice.rule.strategy.to_string(),
        }
    }

    /// What made a backend a candidate, for the log; made only if somebody reads it.
    pub(crate) fn rule_text<'a>(&'a self, choice: &'a Choice) -> impl fmt::Display + 'a {
        RuleText(self, choice)
    }
}

struct RuleText<'a>(&'a Settings, &'a Choice);

impl fmt::Display for RuleText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(settings, choice) = self;
        f.write_str(&settings.strategy_name(choice))?;
        if let Some(pattern) = choice.pattern() {
            write!(f, " by `{pattern}`")?;
        }
        match &choice.named_by {
            Some(backend) => write!(f, ", fallback of {backend}"),
            None => Ok(()),
        }
    }
}
