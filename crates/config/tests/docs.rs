//! The page about configuration against what the crate does. Its tables of keys are made from the
//! schema: `DOCS=write cargo test -p mcp-router-config --test docs` renews them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;

use common::load_text;
use mcp_router_config::{VARIABLES, schema};
use serde_json::Value;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");

fn page() -> String {
    fs::read_to_string(PAGE).unwrap()
}

/// The blocks of the page in one language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let start = format!("```{language}\n");
    let parts = page.split(start.as_str()).skip(1);
    parts
        .map(|part| part.split("```").next().unwrap())
        .collect()
}

/// One key of the file.
struct Key {
    /// As in `backends[].retry.safety`.
    path: String,
    /// What is said of it where it is used.
    told: Value,
    /// What it is, references followed.
    shape: Value,
    /// Whether it has no keys of its own.
    leaf: bool,
}

/// The alternatives of a schema but for `null`, references followed.
fn shapes(root: &Value, schema: &Value) -> Vec<Value> {
    if let Some(name) = schema["$ref"].as_str() {
        return shapes(root, root.pointer(&name[1..]).unwrap());
    }
    match schema["anyOf"].as_array() {
        Some(any) => any.iter().flat_map(|one| shapes(root, one)).collect(),
        None if schema["type"] == "null" => Vec::new(),
        None => vec![schema.clone()],
    }
}

/// Every key below `properties`.
fn keys(root: &Value, shape: &Value, path: &str, found: &mut Vec<Key>) {
    for (name, told) in shape["properties"].as_object().into_iter().flatten() {
        let dot = if path.is_empty() { "" } else { "." };
        let path = format!("{path}{dot}{name}");
        let shapes_here = shapes(root, told);
        let mut below = Vec::new();
        if let [one] = &*shapes_here {
            keys(root, one, &path, &mut below);
            if let Some(items) = one.get("items") {
                for item in shapes(root, items) {
                    keys(root, &item, &format!("{path}[]"), &mut below);
                }
            }
        }
        found.push(Key {
            path,
            told: told.clone(),
            shape: shapes_here[0].clone(),
            leaf: below.is_empty(),
        });
        found.extend(below);
    }
}

fn all_keys() -> Vec<Key> {
    let (schema, mut found) = (schema(), Vec::new());
    keys(&schema, &schema, "", &mut found);
    found.retain(|key| !key.path.starts_with("mcpServers") && key.path != "servers");
    found
}

impl Key {
    fn default(&self) -> String {
        let word = self.told["x-default"].as_str().map(str::to_owned);
        word.unwrap_or_else(|| match &self.told["default"] {
            Value::Null => String::new(),
            Value::String(text) => format!("`{text}`"),
            number @ Value::Number(_) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            other => format!("`{other}`"),
        })
    }

    fn values(&self) -> String {
        if let Some(values) = self.told["x-values"].as_str() {
            return values.to_owned();
        }
        let kind = |name: &str| match &self.shape["type"] {
            Value::Array(kinds) => kinds.iter().any(|kind| kind == name),
            kind => kind == name,
        };
        if let Some(words) = self.shape["enum"].as_array() {
            let words = words.iter().filter_map(Value::as_str);
            let words: Vec<_> = words.map(|word| format!("`{word}`")).collect();
            return words.join(", ");
        }
        if kind("integer") || kind("number") {
            return self.range();
        }
        let words = [
            ("boolean", ""),
            ("array", "list"),
            ("object", "texts by name"),
        ];
        let words = words.into_iter().find(|(name, _)| kind(name));
        words.map_or("", |(_, word)| word).to_owned()
    }

    fn range(&self) -> String {
        let unit = ["seconds", "bytes"];
        let unit = unit.into_iter().find(|unit| self.path.ends_with(unit));
        let unit = unit.map_or(String::new(), |unit| format!("{unit}, "));
        let small = self.shape["format"] == "uint32";
        let most = self.shape["maximum"].as_f64();
        let most = most.or(small.then_some(f64::from(u32::MAX)));
        match (self.shape["minimum"].as_f64(), most) {
            (Some(least), Some(most)) => format!("{unit}{least} to {most}"),
            (Some(least), None) => format!("{unit}{least} or more"),
            _ => unit,
        }
    }

    /// Its row in the table of `section`.
    fn row(&self, section: &str) -> String {
        let name = &self.path[section.len() + 1..];
        let told = self.told["description"].as_str().unwrap_or_default();
        let told = told.replace('|', "\\|").replace('\n', " ");
        let (default, values) = (self.default(), self.values());
        let row = format!("| `{name}` | {default} | {values} | {told} |");
        row.replace("|  |", "| |").replace("|  |", "| |")
    }
}

/// The page with its tables made anew. Rows stay in their order; new keys come last.
fn renewed(page: &str, keys: &[Key]) -> String {
    let mut out = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        out += &format!("{line}\n");
        let section = line
            .strip_prefix("<!-- keys: ")
            .and_then(|l| l.strip_suffix(" -->"));
        let Some(section) = section else {
            continue;
        };
        let old: Vec<&str> = lines
            .by_ref()
            .take_while(|l| *l != "<!-- end of keys -->")
            .collect();
        let named = |row: &&str| {
            row.split('`')
                .nth(1)
                .map(|name| format!("{section}.{name}"))
        };
        let old: Vec<String> = old
            .iter()
            .filter(|r| r.starts_with("| `"))
            .filter_map(named)
            .collect();
        out += "| key | default | values | |\n|---|---|---|---|\n";
        let is_here = |key: &&Key| {
            key.path.strip_prefix(section).is_some_and(|rest| {
                rest.starts_with('.')
                    && (section == "server.limits" || !rest.starts_with(".limits."))
            })
        };
        let here: Vec<&Key> = keys.iter().filter(is_here).collect();
        let kept = old
            .iter()
            .filter_map(|path| here.iter().find(|key| key.path == *path));
        let new = here
            .iter()
            .filter(|key| key.leaf && !old.contains(&key.path) && !told_elsewhere(&key.path));
        for key in kept.chain(new) {
            out += &format!("{}\n", key.row(section));
        }
        out += "<!-- end of keys -->\n";
    }
    out
}

/// Keys that are told where their list is.
fn told_elsewhere(path: &str) -> bool {
    path.starts_with("backends[].replicas[]")
}

#[test]
fn the_tables_of_the_page_are_those_of_the_schema() {
    let (page, keys) = (page(), all_keys());
    let renewed = renewed(&page, &keys);
    if std::env::var("DOCS").is_ok_and(|word| word == "write") {
        fs::write(PAGE, &renewed).unwrap();
    } else {
        for (is, should) in page.lines().zip(renewed.lines()) {
            assert_eq!(
                is, should,
                "DOCS=write cargo test -p mcp-router-config --test docs"
            );
        }
        assert_eq!(
            page, renewed,
            "DOCS=write cargo test -p mcp-router-config --test docs"
        );
    }
    // Every key has a table.
    let leaves = keys
        .iter()
        .filter(|key| key.leaf && !told_elsewhere(&key.path));
    for key in leaves {
        let name = key
            .path
            .rsplit_once("[].")
            .map_or(&*key.path, |(_, name)| name);
        let name = name.rsplit('.').next().unwrap();
        let rows = renewed.lines().filter(|line| line.starts_with("| `"));
        let mut named = rows.filter_map(|row| row.split('`').nth(1));
        assert!(
            named.any(|row| row.rsplit('.').next() == Some(name)),
            "{} is in no table of docs/configuration.md",
            key.path
        );
    }
    assert!(keys.len() > 80, "{}", keys.len());
}

#[test]
fn every_example_of_the_page_loads() {
    let page = page();
    let examples: Vec<&str> = [blocks(&page, "yaml"), blocks(&page, "json")].concat();
    assert!(examples.len() >= 4);
    for example in examples {
        load_text(example)
            .map_err(|errors| errors.to_string())
            .unwrap();
    }
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
fn defaults_and_examples_of_the_schema_are_what_it_allows() {
    let schema = schema();
    let mut checked = 0;
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        for (key, property) in definition["properties"].as_object().into_iter().flatten() {
            let shapes = shapes(&schema, property);
            let examples = property["examples"].as_array().into_iter().flatten();
            for value in property.get("default").into_iter().chain(examples) {
                let fits = |shape: &Value| fits(shape, value);
                assert!(shapes.iter().any(fits), "{name}.{key}: {value}");
                checked += 1;
            }
        }
    }
    assert!(checked > 60, "{checked}");
}

/// Whether a value is of the type, the range and the words of a schema.
fn fits(shape: &Value, value: &Value) -> bool {
    if let Some(words) = shape["enum"].as_array() {
        return words.contains(value);
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is = |name: &Value| name == kind || kind == "number" && name == "integer";
    let types = match &shape["type"] {
        Value::Array(types) => types.iter().any(is),
        one => is(one),
    };
    let least = shape["minimum"].as_f64().unwrap_or(f64::MIN);
    let most = shape["maximum"].as_f64().unwrap_or(f64::MAX);
    types
        && value
            .as_f64()
            .is_none_or(|number| (least..=most).contains(&number))
}

#[test]
fn every_variable_is_on_the_page() {
    let page = page();
    for variable in VARIABLES {
        let start = format!("| `{}` |", variable.name);
        let told = page.lines().any(|line| line.starts_with(&start));
        assert!(told, "{} is not on the page", variable.name);
    }
}
