//! The schemas, and which of their definitions is for which message.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use jsonschema::{Draft, Registry, Resource, Validator};
use serde_json::{Value, json};

use super::Sender;
use crate::fixture::{LEGACY, MODERN};

/// All revisions.
#[derive(Debug)]
pub(super) struct Book {
    revisions: Vec<Revision>,
}

/// One revision; definitions are compiled when they are first needed.
#[derive(Debug)]
pub(super) struct Revision {
    pub(super) name: &'static str,
    registry: Registry<'static>,
    definitions: Value,
    /// `$defs` or `definitions`, by which they are found.
    section: &'static str,
    draft: Draft,
    methods: HashMap<(Sender, bool, String), String>,
    /// Definitions of errors by their code, and whether they are of the whole message.
    codes: HashMap<i64, (String, bool)>,
    compiled: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Book {
    /// Reads the five files.
    pub(super) fn read(folder: &Path) -> Self {
        let names = LEGACY.into_iter().chain([MODERN]);
        let revisions = names.map(|name| Revision::read(folder, name)).collect();
        Self { revisions }
    }

    pub(super) fn revision(&self, name: &str) -> Option<&Revision> {
        self.revisions.iter().find(|r| r.name == name)
    }
}

impl Revision {
    fn read(folder: &Path, name: &'static str) -> Self {
        let path = folder.join(format!("{name}.json"));
        let text = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let schema: Value = serde_json::from_slice(&text).expect("a schema is JSON");
        let (section, draft) = match schema.get("$defs") {
            Some(_) => ("$defs", Draft::Draft202012),
            None => ("definitions", Draft::Draft7),
        };
        let definitions = schema[section].clone();
        let registry = Registry::new()
            .add(uri(name), Resource::from_contents(schema))
            .and_then(jsonschema::RegistryBuilder::prepare)
            .expect("a published schema");
        let mut methods = HashMap::new();
        for (sender, who) in [(Sender::Client, "Client"), (Sender::Server, "Server")] {
            for (is_request, kind) in [(true, "Request"), (false, "Notification")] {
                let union = format!("{who}{kind}");
                for (method, definition) in members(&definitions, &union) {
                    methods.insert((sender, is_request, method), definition);
                }
            }
        }
        Self {
            name,
            registry,
            codes: codes(&definitions),
            definitions,
            section,
            draft,
            methods,
            compiled: Mutex::default(),
        }
    }

    /// The definition of a request or notification.
    pub(super) fn of_method(&self, sender: Sender, is_request: bool, method: &str) -> Option<&str> {
        let key = (sender, is_request, method.to_owned());
        self.methods.get(&key).map(String::as_str)
    }

    /// The definition of what answers this method.
    pub(super) fn of_result(&self, method: &str, result: &Value) -> String {
        match result["resultType"].as_str() {
            Some("input_required") if self.has("InputRequiredResult") => {
                return "InputRequiredResult".to_owned();
            }
            // The extension's own, of which the schema knows nothing more.
            Some("task") => return "Result".to_owned(),
            _ => {}
        }
        // Requests of both sides: a method has one answer.
        let request = [Sender::Client, Sender::Server]
            .into_iter()
            .find_map(|sender| self.of_method(sender, true, method));
        let named = request.map(|name| name.replace("Request", "Result"));
        named
            .filter(|name| self.has(name))
            .unwrap_or_else(|| "EmptyResult".to_owned())
    }

    /// The definition of an error's code, and whether it is of the whole message.
    pub(super) fn of_code(&self, code: Option<i64>) -> Option<(&str, bool)> {
        let (name, whole) = self.codes.get(&code?)?;
        Some((name, *whole))
    }

    /// The frame of a result.
    pub(super) fn response(&self) -> &'static str {
        match self.has("JSONRPCResultResponse") {
            true => "JSONRPCResultResponse",
            false => "JSONRPCResponse",
        }
    }

    /// The frame of an error.
    pub(super) fn error(&self) -> &'static str {
        match self.has("JSONRPCErrorResponse") {
            true => "JSONRPCErrorResponse",
            false => "JSONRPCError",
        }
    }

    fn has(&self, definition: &str) -> bool {
        self.definitions.get(definition).is_some()
    }

    /// What is wrong with `part` as a `definition`.
    pub(super) fn wrong(&self, definition: &str, part: &Value) -> Option<String> {
        let validator = self.validator(definition);
        if validator.is_valid(part) {
            return None;
        }
        let errors = validator.iter_errors(part).take(3);
        let texts: Vec<_> = errors
            .map(|e| {
                let mut text = format!("{}: {e}", e.instance_path());
                text.truncate(text.floor_char_boundary(600));
                text
            })
            .collect();
        Some(texts.join("; "))
    }

    fn validator(&self, definition: &str) -> Arc<Validator> {
        let mut compiled = self.compiled.lock().expect("no panic while compiling");
        if let Some(found) = compiled.get(definition) {
            return Arc::clone(found);
        }
        let target = format!("{}#/{}/{definition}", uri(self.name), self.section);
        let validator = jsonschema::options()
            .with_draft(self.draft)
            .with_registry(&self.registry)
            .should_validate_formats(true)
            .build(&json!({"$ref": target}))
            .unwrap_or_else(|e| panic!("{definition} of {}: {e}", self.name));
        let validator = Arc::new(validator);
        compiled.insert(definition.to_owned(), Arc::clone(&validator));
        validator
    }
}

/// What a schema is called among the others. Nothing is ever fetched from there.
fn uri(name: &str) -> String {
    format!("https://schema.invalid/{name}")
}

/// Method and definition of the members of a union, or of the one definition that it is.
fn members(definitions: &Value, union: &str) -> Vec<(String, String)> {
    let method = |definition: &Value| {
        let method = definition["properties"]["method"]["const"].as_str();
        method.map(str::to_owned)
    };
    let union_of = &definitions[union];
    if let Some(method) = method(union_of) {
        return vec![(method, union.to_owned())];
    }
    let members = union_of["anyOf"].as_array();
    let names = members.into_iter().flatten().filter_map(|member| {
        let name = member["$ref"].as_str()?.rsplit('/').next()?;
        Some((method(&definitions[name])?, name.to_owned()))
    });
    names.collect()
}

/// The codes that have a definition of their own.
fn codes(definitions: &Value) -> HashMap<i64, (String, bool)> {
    let mut codes = HashMap::new();
    for (name, definition) in definitions.as_object().into_iter().flatten() {
        let own = &definition["properties"];
        if let Some(code) = own["code"]["const"].as_i64() {
            codes.insert(code, (name.clone(), false));
        }
        let parts = own["error"]["allOf"].as_array().into_iter().flatten();
        for part in parts {
            if let Some(code) = part["properties"]["code"]["const"].as_i64() {
                codes.insert(code, (name.clone(), true));
            }
        }
    }
    codes
}
