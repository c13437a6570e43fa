//! What of a backend's tools is offered, under which names, and what the operator knows of them.

use std::time::Duration;

use crate::RoutePattern;

/// The operator's word on the tools of one backend. Patterns and names are the backend's own,
/// whatever a tool is renamed to. The default changes nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ToolRules {
    /// Only these are offered; `None`: all.
    pub allow: Option<Vec<RoutePattern>>,
    /// These are not, even if they are allowed.
    pub deny: Vec<RoutePattern>,
    /// The backend's name and the one that clients see instead of it.
    pub rename: Vec<(String, String)>,
    /// Calling these twice does no more than calling them once, whatever they say themselves.
    pub idempotent: Vec<RoutePattern>,
    /// How long an attempt at these may take. The first pattern that matches counts.
    pub timeouts: Vec<(RoutePattern, Duration)>,
}

impl ToolRules {
    /// Whether a tool is offered.
    pub fn offers(&self, own: &str) -> bool {
        let hit = |patterns: &[RoutePattern]| patterns.iter().any(|p| p.matches(own));
        self.allow.as_deref().is_none_or(hit) && !hit(&self.deny)
    }

    /// The name under which a tool is offered.
    pub fn public<'a>(&'a self, own: &'a str) -> &'a str {
        let renamed = self.rename.iter().find(|(from, _)| from == own);
        renamed.map_or(own, |(_, to)| to)
    }

    /// The backend's own name of the tool that is offered as `public`, listed or not; `None` if
    /// none may be offered under this name.
    pub fn own<'a>(&'a self, public: &'a str) -> Option<&'a str> {
        let renamed = self.rename.iter().find(|(_, to)| to == public);
        let own = match renamed {
            Some((from, _)) => from,
            // A renamed tool is not there under its old name.
            None if self.rename.iter().any(|(from, _)| from == public) => return None,
            None => public,
        };
        self.offers(own).then_some(own)
    }

    /// Whether the operator says that a tool may run twice.
    pub fn is_idempotent(&self, own: &str) -> bool {
        self.idempotent.iter().any(|p| p.matches(own))
    }

    /// How long an attempt at a tool may take, if the operator says so.
    pub fn timeout(&self, own: &str) -> Option<Duration> {
        let found = self.timeouts.iter().find(|(p, _)| p.matches(own));
        found.map(|(_, time)| *time)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn patterns(texts: &[&str]) -> Vec<RoutePattern> {
        texts.iter().map(|t| t.parse().unwrap()).collect()
    }

    fn renamed(pairs: &[(&str, &str)]) -> ToolRules {
        let pairs = pairs
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
        ToolRules {
            rename: pairs.collect(),
            ..ToolRules::default()
        }
    }

    #[test]
    fn what_is_denied_is_not_offered_even_if_it_is_allowed() {
        let rules = ToolRules {
            allow: Some(patterns(&["get_*", "drop_*"])),
            deny: patterns(&["drop_*"]),
            ..ToolRules::default()
        };
        assert!(rules.offers("get_x"));
        assert!(!rules.offers("drop_x"));
        assert!(!rules.offers("other"));
        assert!(ToolRules::default().offers("other"));
        let none = ToolRules {
            allow: Some(Vec::new()),
            ..ToolRules::default()
        };
        assert!(!none.offers("other"));
    }

    #[test]
    fn a_renamed_tool_is_known_by_its_new_name_alone() {
        let rules = renamed(&[("q", "query")]);
        assert_eq!(rules.public("q"), "query");
        assert_eq!(rules.public("x"), "x");
        assert_eq!(rules.own("query"), Some("q"));
        assert_eq!(rules.own("q"), None);
        assert_eq!(rules.own("x"), Some("x"));
        // Two names swapped.
        let rules = renamed(&[("a", "b"), ("b", "a")]);
        assert_eq!((rules.own("a"), rules.own("b")), (Some("b"), Some("a")));
    }

    #[test]
    fn the_first_time_that_fits_counts() {
        let [short, long] = [1, 9].map(Duration::from_secs);
        let timeouts = patterns(&["slow_*", "*"]).into_iter().zip([long, short]);
        let rules = ToolRules {
            timeouts: timeouts.collect(),
            idempotent: patterns(&["get_*"]),
            ..ToolRules::default()
        };
        assert_eq!(rules.timeout("slow_x"), Some(long));
        assert_eq!(rules.timeout("x"), Some(short));
        assert!(rules.is_idempotent("get_x") && !rules.is_idempotent("set_x"));
        assert_eq!(ToolRules::default().timeout("x"), None);
    }

    proptest! {
        #[test]
        fn what_is_offered_is_found_again_by_its_public_name(
            from in "[ab]{1,2}", to in "[cd]{1,2}", own in "[ab]{1,2}", deny in "[ab*]{1,2}",
        ) {
            let rules = ToolRules { deny: patterns(&[&deny]), ..renamed(&[(&from, &to)]) };
            let found = rules.own(rules.public(&own));
            prop_assert_eq!(found, rules.offers(&own).then_some(own.as_str()));
        }
    }
}
