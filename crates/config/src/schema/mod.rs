//! The schema of the file: for editors, for the page about configuration, and for our own check.

mod keys;

use serde_json::{Map, Value, json};

use crate::raw::RawFile;

/// What the file is checked against. It is made in half a millisecond whenever a file is read, and
/// would take a good deal of memory in between.
pub(crate) fn plain() -> Value {
    schemars::schema_for!(RawFile).to_value()
}

/// The JSON Schema of the file, with a description of every key, and defaults and examples where
/// there are any.
///
/// Some members are for people: `x-default` is a default that is no value, `x-values` what a key
/// takes. Numbers and switches may also be texts with a `${VAR}` in them, as in the file.
pub fn schema() -> Value {
    let mut schema = plain();
    polish(&mut schema);
    // Editors show it above everything.
    schema["title"] = "mcp-router configuration".into();
    for told in keys::KEYS {
        let (definition, key) = told.key.split_once('.').unwrap_or(("", told.key));
        let pointer = format!("/$defs/{definition}/properties/{key}");
        if let Some(Value::Object(property)) = schema.pointer_mut(&pointer) {
            tell(property, told);
        }
    }
    for (definition, keys) in REQUIRED {
        if let Some(Value::Object(definition)) = schema.pointer_mut(&format!("/$defs/{definition}"))
        {
            definition.insert("required".to_owned(), json!(keys));
        }
    }
    schema
}

/// Keys without which an entry means nothing.
const REQUIRED: &[(&str, &[&str])] = &[
    ("Backend", &["name"]),
    ("Route", &["pattern"]),
    ("Replica", &["url"]),
    ("Alert", &["type"]),
];

fn tell(property: &mut Map<String, Value>, told: &keys::Told) {
    if !told.default.is_empty() {
        match serde_json::from_str::<Value>(told.default) {
            Ok(value) => property.insert("default".to_owned(), value),
            Err(_) => property.insert("x-default".to_owned(), told.default.into()),
        };
    }
    if !told.values.is_empty() {
        property.insert("x-values".to_owned(), told.values.into());
    }
    if let Ok(example) = serde_json::from_str::<Value>(told.example) {
        property.insert("examples".to_owned(), json!([example]));
    }
}

/// What is right for our check and wrong for people and editors, throughout.
fn polish(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            // Absent is what `null` means.
            if map.get("default") == Some(&Value::Null) {
                map.remove("default");
            }
            if let Some(Value::String(text)) = map.get_mut("description") {
                *text = flowing(text);
            }
            allow_variables(map);
            map.values_mut().for_each(polish);
        }
        Value::Array(items) => items.iter_mut().for_each(polish),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Without the line breaks that the source has within paragraphs.
fn flowing(text: &str) -> String {
    let paragraphs = text
        .split("\n\n")
        .map(|paragraph| paragraph.replace('\n', " "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

/// A number or a switch may come from a variable.
fn allow_variables(map: &mut Map<String, Value>) {
    let types = match map.get("type") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(all)) => all
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => return,
    };
    let scalar = |kind: &String| ["integer", "number", "boolean"].contains(&kind.as_str());
    if types.iter().any(scalar) {
        let types: Vec<_> = types.into_iter().chain(["string".to_owned()]).collect();
        map.insert("type".to_owned(), json!(types));
        map.insert("pattern".to_owned(), r"\$\{.+\}".into());
    }
}
