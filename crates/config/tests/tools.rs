//! `tools` as the file says it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::time::Duration;

use common::{complaints, load_text};
use mcp_router_routing::ToolRules;

fn rules(tools: &str) -> ToolRules {
    let text = format!("backends: [{{ name: a, namespace: a, url: 'http://h', {tools} }}]");
    let loaded = load_text(&text).unwrap();
    loaded.config.backends[0].tools.clone()
}

#[test]
fn nothing_said_changes_nothing() {
    assert_eq!(rules(""), ToolRules::default());
    assert_eq!(rules("tools: null"), ToolRules::default());
}

#[test]
fn each_rule_arrives() {
    let rules = rules(
        "tools: { allow: ['get_*', q], deny: ['*_all'], rename: { q: query }, idempotent: ['g*'] }",
    );
    for (tool, offered) in [
        ("get_x", true),
        ("get_all", false),
        ("q", true),
        ("set", false),
    ] {
        assert_eq!(rules.offers(tool), offered, "{tool}");
    }
    assert_eq!(rules.public("q"), "query");
    assert!(rules.is_idempotent("get_x") && !rules.is_idempotent("q"));
}

#[test]
fn an_empty_list_of_allowed_tools_allows_none() {
    assert!(!rules("tools: { allow: [] }").offers("x"));
    assert!(rules("tools: { allow: null }").offers("x"));
}

#[test]
fn times_are_kept_in_the_order_of_the_file() {
    let rules = rules("tools: { timeout_seconds: { 'z*': 1.5, '*': 9, 'a*': 2 } }");
    let seconds = |tool: &str| rules.timeout(tool).map(|time: Duration| time.as_secs_f64());
    assert_eq!(seconds("zz"), Some(1.5));
    assert_eq!(seconds("aa"), Some(9.0), "the first that fits counts");
}

#[test]
fn each_mistake_is_named() {
    for (tools, complaint) in [
        ("allow: ['[z-a]']", "tools.allow[0] is not valid"),
        ("deny: ['']", "tools.deny[0] is not valid"),
        ("rename: { a: '' }", "tools.rename.a is not valid"),
        ("rename: { a: x, b: x }", "two tools are renamed to `x`"),
        (
            "timeout_seconds: { a: 0 }",
            "timeout_seconds.a must be between 1 and 604800",
        ),
        (
            "timeout_seconds: { a: soon }",
            "timeout_seconds.a must be a number",
        ),
        (
            "timeout_seconds: { '[z-a]': 1 }",
            "is not valid: pattern has the range",
        ),
        ("timeout: 3", "unknown key `timeout`"),
    ] {
        let text = format!(
            "backends: [{{ name: a, namespace: a, url: 'http://h', tools: {{ {tools} }} }}]"
        );
        let found = complaints(&text, &[]);
        assert!(
            found.len() == 1 && found[0].contains(complaint),
            "{tools}: {found:?}"
        );
    }
}
