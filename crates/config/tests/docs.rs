//! The page about configuration against what the crate does.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::load_text;
use mcp_router_config::{VARIABLES, schema};
use serde_json::Value;

const PAGE: &str = include_str!("../../../docs/configuration.md");

/// The blocks of the page in one language.
fn blocks(language: &str) -> Vec<&'static str> {
    let start = format!("```{language}\n");
    let parts = PAGE.split(start.as_str()).skip(1);
    parts
        .map(|part| part.split("```").next().unwrap())
        .collect()
}

/// One key of the file.
struct Key {
    path: String,
    status: Option<String>,
    schema: Value,
}

/// Every key below `schema` that has no keys of its own.
fn keys(root: &Value, schema: &Value, path: &str, status: Option<&str>, found: &mut Vec<Key>) {
    let own = schema.get("x-status").and_then(Value::as_str);
    let status = own.or(status);
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        return keys(root, root.pointer(&name[1..]).unwrap(), path, status, found);
    }
    if let Some(any) = schema.get("anyOf").and_then(Value::as_array) {
        let any = any.iter().filter(|schema| schema["type"] != "null");
        return any.for_each(|schema| keys(root, schema, path, status, found));
    }
    if let Some(items) = schema.get("items") {
        let mut below = Vec::new();
        keys(root, items, &format!("{path}[]"), status, &mut below);
        if below.len() > 1 {
            return found.extend(below);
        }
    }
    match schema.get("properties").and_then(Value::as_object) {
        Some(properties) => {
            for (name, schema) in properties {
                let dot = if path.is_empty() { "" } else { "." };
                keys(root, schema, &format!("{path}{dot}{name}"), status, found);
            }
        }
        None => found.push(Key {
            path: path.to_owned(),
            status: status.map(str::to_owned),
            schema: schema.clone(),
        }),
    }
}

fn all_keys() -> Vec<Key> {
    let (schema, mut found) = (schema(), Vec::new());
    keys(&schema, &schema, "", None, &mut found);
    found.retain(|key| !key.path.starts_with("mcpServers") && !key.path.starts_with("servers"));
    found
}

/// The row of the page's tables that is about a key.
fn row(key: &Key) -> &'static str {
    let path = key.path.strip_prefix("backends[].").unwrap_or(&key.path);
    let path = path.strip_prefix("routing.").unwrap_or(path);
    let path = path.strip_prefix("server.").unwrap_or(path);
    let path = path.strip_prefix("limits.").unwrap_or(path);
    // A list of records has a row for itself, and its keys are told there or in rows of their own.
    let path = path
        .strip_prefix("replicas[].")
        .map_or(path, |_| "replicas");
    let named = format!("`{path}`");
    let rows = PAGE.lines().filter(|line| line.starts_with("| `"));
    let mut rows = rows.filter(|line| line.split('|').nth(1).unwrap().contains(&named));
    rows.next()
        .unwrap_or_else(|| panic!("{} is not in docs/configuration.md", key.path))
}

#[test]
fn every_example_of_the_page_loads() {
    let examples: Vec<&str> = [blocks("yaml"), blocks("json")].concat();
    assert!(examples.len() >= 4);
    for example in examples {
        let loaded = load_text(example)
            .map_err(|errors| errors.to_string())
            .unwrap();
        assert!(loaded.not_implemented.is_empty(), "{example}");
    }
}

#[test]
fn every_key_is_on_the_page_with_its_status() {
    let keys = all_keys();
    assert!(keys.len() > 60, "{}", keys.len());
    for key in &keys {
        let row = row(key);
        let section = key.path.starts_with("alerts") || key.path.starts_with("registration");
        let inherited = key.path.starts_with("backends[].routes[]");
        match key.status.as_deref() {
            // Told once, above or for the whole list.
            _ if section || inherited => {}
            Some("not_active") => assert!(row.contains("**not active yet**"), "{row}"),
            Some(_) => assert!(row.contains("**not implemented yet**"), "{row}"),
            None => assert!(!row.contains("**not active yet**"), "{row}"),
        }
    }
}

#[test]
fn ranges_on_the_page_are_those_that_are_checked() {
    let mut checked = 0;
    for key in all_keys() {
        let (least, most) = (&key.schema["minimum"], &key.schema["maximum"]);
        if let (Some(least), Some(most)) = (least.as_f64(), most.as_f64()) {
            let range = format!("{least} to {most}");
            assert!(
                row(&key).contains(&range),
                "{}: {range} is not in {}",
                key.path,
                row(&key)
            );
            checked += 1;
        }
    }
    assert!(checked > 25, "{checked}");
}

#[test]
fn every_key_has_a_description_for_editors() {
    fn descend(schema: &Value, at: &str) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            assert!(
                property["description"].is_string(),
                "{at}.{name} has no description"
            );
        }
        for (name, definition) in schema["$defs"].as_object().into_iter().flatten() {
            descend(definition, name);
        }
    }
    descend(&schema(), "file");
}

#[test]
fn every_variable_is_on_the_page_with_its_status() {
    for variable in VARIABLES {
        let start = format!("| `{}` |", variable.name);
        let row = PAGE.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("{} is not on the page", variable.name));
        assert_eq!(
            row.contains("**not active yet**"),
            !variable.active,
            "{row}"
        );
    }
}
