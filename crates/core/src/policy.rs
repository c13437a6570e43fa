//! The operator's word on one backend: whom to believe, what to repeat, how to route.

use mcp_router_health::Safety;
use mcp_router_protocol::{Item, ItemKind};
use mcp_router_routing::{Route, ToolRules};
use mcp_router_service::RepeatAfter;

use crate::backend::Backend;

/// What never changes about how a backend is used.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) safety: Safety,
    pub(crate) trusted: bool,
    pub(crate) rules: ToolRules,
    pub(crate) routes: Vec<Route>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            safety: Safety::default(),
            trusted: true,
            rules: ToolRules::default(),
            routes: Vec::new(),
        }
    }
}

impl Policy {
    /// After which failures a call of this may be made again. `item` is absent for tools that the
    /// backend does not list; `own` is its name there.
    pub(crate) fn repeat(&self, kind: ItemKind, item: Option<&Item>, own: &str) -> RepeatAfter {
        let hints = || item.map(Item::hints).unwrap_or_default();
        let harmless = || match kind {
            ItemKind::Tool => {
                self.rules.is_idempotent(own)
                    || self.trusted && (hints().read_only || hints().idempotent)
            }
            // Reading changes nothing.
            ItemKind::Prompt | ItemKind::Resource | ItemKind::Template => true,
        };
        match self.safety {
            Safety::Strict => RepeatAfter::NotSent,
            Safety::Standard if harmless() => RepeatAfter::Failed,
            Safety::Standard => RepeatAfter::Refused,
            Safety::Trusting => RepeatAfter::Failed,
        }
    }
}

impl Backend {
    /// How calls of its tools are routed: the first route whose pattern matches decides. Without
    /// one that does, the router's default strategy.
    #[must_use]
    pub fn routes(mut self, routes: Vec<Route>) -> Self {
        self.meta.policy.routes = routes;
        self
    }

    /// Which failed calls may be made again, here or at another backend. Default
    /// [`Safety::Standard`].
    #[must_use]
    pub const fn safety(mut self, safety: Safety) -> Self {
        self.meta.policy.safety = safety;
        self
    }

    /// Which of its tools are offered, as what, and what is known of them beyond what they say.
    #[must_use]
    pub fn tool_rules(mut self, rules: ToolRules) -> Self {
        self.meta.policy.rules = rules;
        self
    }

    /// Whether what its tools say of themselves (that calling them twice does no harm) is
    /// believed. Default true: an operator chose it. Not for backends that anybody may register.
    #[must_use]
    pub const fn trusted(mut self, trusted: bool) -> Self {
        self.meta.policy.trusted = trusted;
        self
    }
}

#[cfg(test)]
mod tests {
    use RepeatAfter::{Failed, NotSent, Refused};
    use mcp_router_protocol::RawJson;

    use super::*;

    fn item(annotations: &'static str) -> Item {
        let text = format!(r#"{{"name":"t","annotations":{annotations}}}"#);
        Item::parse(ItemKind::Tool, RawJson::from_checked(text.into())).unwrap()
    }

    #[test]
    fn r43_what_may_run_twice_is_said_by_method_annotation_or_operator() {
        let plain = item("{}");
        let (reads, twice) = (
            item(r#"{"readOnlyHint":true}"#),
            item(r#"{"idempotentHint":true}"#),
        );
        let declared = ToolRules {
            idempotent: vec!["t".parse().unwrap()],
            ..ToolRules::default()
        };
        for (safety, trusted, rules, item, expected) in [
            (Safety::Standard, true, None, Some(&plain), Refused),
            (Safety::Standard, true, None, None, Refused),
            (Safety::Standard, true, None, Some(&reads), Failed),
            (Safety::Standard, true, None, Some(&twice), Failed),
            (Safety::Standard, false, None, Some(&twice), Refused),
            (Safety::Standard, false, Some(&declared), None, Failed),
            (Safety::Strict, true, Some(&declared), Some(&reads), NotSent),
            (Safety::Trusting, true, None, Some(&plain), Failed),
        ] {
            let policy = Policy {
                safety,
                trusted,
                rules: rules.cloned().unwrap_or_default(),
                ..Policy::default()
            };
            let got = policy.repeat(ItemKind::Tool, item, "t");
            assert_eq!(got, expected, "{policy:?} {item:?}");
        }
        let read = Policy::default().repeat(ItemKind::Resource, None, "x:y");
        assert_eq!(read, Failed);
    }
}
