//! The schema as editors use it: it takes what `check` takes, and underlines what `check` refuses.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{complaints, load_with};
use jsonschema::Validator;
use mcp_router_config::{Secrets, import, schema};
use serde_json::Value;

fn validator() -> Validator {
    jsonschema::validator_for(&schema()).unwrap()
}

fn value(yaml: &str) -> Value {
    serde_yaml::from_str(yaml).unwrap()
}

#[test]
fn what_is_right_is_not_underlined() {
    let validator = validator();
    let page = include_str!("../../../docs/configuration.md");
    let mut checked = 0;
    for block in page.split("```yaml\n").skip(1) {
        let text = block.split("```").next().unwrap();
        let errors: Vec<_> = validator
            .iter_errors(&value(text))
            .map(|e| e.to_string())
            .collect();
        assert!(errors.is_empty(), "{text}: {errors:?}");
        checked += 1;
    }
    assert!(checked > 4, "{checked}");

    let variables = "backends:\n  - name: a\n    command: c\n    lazy: ${L:-true}\n    priority: ${P:-3}\n    timeout_seconds: ${T:-7}\n";
    load_with(variables, &[]).unwrap();
    assert!(validator.is_valid(&value(variables)));

    let host =
        r#"{"mcpServers": {"a": {"command": "x", "env": {"TOKEN": "t"}, "autoApprove": []}}}"#;
    assert!(validator.is_valid(&value(host)));
    let made = import("f".into(), host, Secrets::Keep).unwrap();
    assert!(validator.is_valid(&value(&made.yaml)));
}

#[test]
fn what_is_wrong_is_underlined() {
    let validator = validator();
    for wrong in [
        "backends: [{ name: a, command: c, prioritty: 1 }]",
        "backends: [{ command: c }]",
        "backends: [{ name: a, command: c, priority: -1 }]",
        "backends: [{ name: a, command: c, timeout_seconds: 0 }]",
        "backends: [{ name: a, command: c, lazy: maybe }]",
        "backends: [{ name: a, command: c, load_balancing: random }]",
        "backends: [{ name: a, command: c, routes: [{ strategy: path }] }]",
        "backends: [{ name: a, command: c, routes: [{ pattern: x, strategy: paths }] }]",
        "backends: 5",
        "backend: []",
        "backends: []\nserver: { limits: { page_size: 0 } }",
        "backends: []\nalerts: [{ url: \"https://a.example\" }]",
    ] {
        assert!(!complaints(wrong, &[]).is_empty(), "{wrong}");
        assert!(!validator.is_valid(&value(wrong)), "{wrong}");
    }
}
