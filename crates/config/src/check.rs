//! A file against its schema: every unknown key, wrong type and number out of range at once.
//!
//! Deserializing stops at the first mistake. This walk does not: what is wrong is a complaint and
//! is taken out of the tree, so that the rest still becomes values and can be judged as well.

use std::collections::HashSet;

use serde_json::Value as Json;
use serde_yaml::{Mapping, Value};

use crate::host;
use crate::report::{Complaint, Notes, nearest, quote};
use crate::yaml::{Path, Places, Step};

/// Most known keys that are listed when none is near.
const MOST_LISTED: usize = 12;

/// Most unknown keys for which the nearest known one is looked up.
const MOST_NEAREST: usize = 200;

/// One walk over a file.
pub(crate) struct Checker<'a> {
    pub(crate) schema: &'a Json,
    pub(crate) places: &'a Places,
    /// Values that came from variables: texts that may stand for numbers.
    pub(crate) filled: &'a HashSet<Path>,
    /// Unknown keys warn instead of fail.
    pub(crate) lenient: bool,
    pub(crate) notes: &'a mut Notes,
    /// Unknown keys: what is below them is never shown.
    pub(crate) unknown: Vec<Path>,
}

impl<'a> Checker<'a> {
    pub(crate) fn new(
        schema: &'a Json,
        places: &'a Places,
        filled: &'a HashSet<Path>,
        lenient: bool,
        notes: &'a mut Notes,
    ) -> Self {
        Self {
            schema,
            places,
            filled,
            lenient,
            notes,
            unknown: Vec::new(),
        }
    }

    /// Checks the whole file.
    pub(crate) fn file(&mut self, value: &mut Value) {
        if !self.check(value, self.schema, &Path::root()) {
            *value = Value::Null;
        }
    }

    /// Whether the value can stay.
    fn check(&mut self, value: &mut Value, schema: &'a Json, path: &Path) -> bool {
        if value.is_null() {
            return true;
        }
        let Some(chosen) = self.choose(schema, value, path) else {
            return self.wrong(path, format!("must be {}", self.expected(schema)), None);
        };
        match (value, kind(chosen)) {
            (Value::Mapping(map), _) => self.map(map, chosen, path),
            (Value::Sequence(items), _) => self.list(items, chosen, path),
            (Value::String(text), "string") => self.text(text, chosen, path),
            (Value::Number(number), _) => self.range(number.as_f64(), chosen, path),
            (Value::Null | Value::Bool(_) | Value::String(_) | Value::Tagged(_), _) => true,
        }
    }

    /// The alternative of a schema that takes this kind of value, references followed. A text that
    /// came from a variable becomes what is asked for, if it can.
    fn choose(&self, schema: &'a Json, value: &mut Value, path: &Path) -> Option<&'a Json> {
        let alternatives = self.alternatives(schema);
        let fits = |value: &Value| {
            alternatives
                .iter()
                .copied()
                .find(|schema| takes(kind(schema), value))
        };
        if let Some(found) = fits(value) {
            return Some(found);
        }
        if let Value::String(text) = value
            && self.filled.contains(path)
            && let Ok(parsed) = serde_yaml::from_str::<Value>(text.trim())
            && matches!(parsed, Value::Bool(_) | Value::Number(_))
            && let Some(found) = fits(&parsed)
        {
            *value = parsed;
            return Some(found);
        }
        None
    }

    fn alternatives(&self, schema: &'a Json) -> Vec<&'a Json> {
        let schema = self.resolve(schema);
        match schema.get("anyOf").and_then(Json::as_array) {
            Some(any) => any
                .iter()
                .flat_map(|schema| self.alternatives(schema))
                .collect(),
            None => vec![schema],
        }
    }

    fn resolve(&self, schema: &'a Json) -> &'a Json {
        let name = schema.get("$ref").and_then(Json::as_str);
        let pointer = name.and_then(|name| name.strip_prefix('#'));
        pointer
            .and_then(|pointer| self.schema.pointer(pointer))
            .unwrap_or(schema)
    }

    fn map(&mut self, map: &mut Mapping, schema: &'a Json, path: &Path) -> bool {
        let properties = schema.get("properties").and_then(Json::as_object);
        let backend = self.schema.pointer("/$defs/Backend");
        let in_hosts =
            matches!(path.steps(), [Step::Key(top)] if host::SECTIONS.contains(&top.as_str()));
        let mut bad = HashSet::new();
        for (key, value) in map.iter_mut() {
            let Value::String(name) = key else {
                self.wrong(
                    path,
                    "has a key that is not text".to_owned(),
                    Some("write it in quotes".to_owned()),
                );
                bad.insert(key.clone());
                continue;
            };
            let below = path.key(name);
            let known = properties.and_then(|properties| properties.get(name));
            let schema = match schema.get("additionalProperties") {
                _ if in_hosts => backend,
                Some(Json::Bool(_)) | None => known,
                Some(values) => known.or(Some(values)),
            };
            let good = match schema {
                Some(schema) if value.is_null() && properties.is_none() && !in_hosts => {
                    self.present(&below, schema)
                }
                Some(schema) => self.check(value, schema, &below),
                None => {
                    let known = properties
                        .into_iter()
                        .flatten()
                        .map(|(name, _)| name.as_str());
                    self.unknown_key(name, path, below, known.collect());
                    false
                }
            };
            if !good {
                bad.insert(key.clone());
            }
        }
        map.retain(|key, _| !bad.contains(key));
        true
    }

    fn unknown_key(&mut self, name: &str, path: &Path, below: Path, known: Vec<&str>) {
        let place = self.places.key_place(&below);
        let within = match path.steps() {
            [] => String::new(),
            _ => format!(" in {path}"),
        };
        let message = format!("unknown key {}{within}", quote(name));
        // A file with very many is not mistyped.
        let near = (self.unknown.len() < MOST_NEAREST)
            .then(|| nearest(name, known.iter().copied()))
            .flatten();
        let help = match near {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if known.len() <= MOST_LISTED => Some(format!("known here: {}", known.join(", "))),
            None => None,
        };
        // A desktop host's file has keys for that host.
        if self.lenient
            || matches!(path.steps(), [Step::Key(top), Step::Key(_)] if host::SECTIONS.contains(&top.as_str()))
        {
            let help = near
                .and(help)
                .map(|help| format!("; {help}"))
                .unwrap_or_default();
            self.notes
                .warn(format!("{message} is ignored{help}"), place);
        } else {
            self.notes
                .complain(Complaint::new(message).at(place).maybe_help(help));
            // That the key which was meant is missing, need not be said as well.
            self.notes.bad.extend(near.map(|near| path.key(near)));
        }
        self.unknown.push(below);
    }

    fn list(&mut self, items: &mut [Value], schema: &'a Json, path: &Path) -> bool {
        let Some(schema) = schema.get("items") else {
            return true;
        };
        let may_be_absent = self
            .alternatives(schema)
            .iter()
            .any(|schema| kind(schema) == "null");
        let mut all_good = true;
        for (at, item) in items.iter_mut().enumerate() {
            let below = path.item(at);
            if item.is_null() && !may_be_absent {
                all_good = self.present(&below, schema);
            } else if !self.check(item, schema, &below) {
                // Taken out, it would shift the places of the others.
                *item = Value::Null;
                all_good &= may_be_absent;
            }
        }
        all_good
    }

    /// Complains that nothing is at `path`, unless what was there is already complained about.
    /// Always `false`.
    fn present(&mut self, path: &Path, schema: &'a Json) -> bool {
        if !self.notes.bad.contains(path) {
            self.wrong(path, format!("must be {}", self.expected(schema)), None);
        }
        false
    }

    fn text(&mut self, text: &str, schema: &'a Json, path: &Path) -> bool {
        if let Some(words) = schema.get("enum").and_then(Json::as_array) {
            let words: Vec<&str> = words.iter().filter_map(Json::as_str).collect();
            if words.contains(&text) {
                return true;
            }
            let help = nearest(text, words.iter().copied());
            let help = help.map(|near| format!("did you mean `{near}`?"));
            return self.wrong(path, format!("must be one of {}", words.join(", ")), help);
        }
        let least = schema.get("minLength").and_then(Json::as_u64).unwrap_or(0);
        if text.trim().is_empty() && least > 0 {
            return self.wrong(path, "must not be empty".to_owned(), None);
        }
        true
    }

    fn range(&mut self, number: Option<f64>, schema: &'a Json, path: &Path) -> bool {
        let bound = |name| schema.get(name).and_then(Json::as_f64);
        let small = schema.get("format").and_then(Json::as_str) == Some("uint32");
        let least = bound("minimum").unwrap_or(f64::MIN);
        let most = bound("maximum")
            .or(small.then_some(f64::from(u32::MAX)))
            .unwrap_or(f64::MAX);
        match number {
            Some(number) if (least..=most).contains(&number) => true,
            _ => self.wrong(path, format!("must be between {least} and {most}"), None),
        }
    }

    /// Complains about the value at `path`. Always `false`: it cannot stay.
    fn wrong(&mut self, path: &Path, problem: String, help: Option<String>) -> bool {
        let place = self.places.place(path);
        let subject = match path.steps() {
            [] => "the file".to_owned(),
            _ => path.to_string(),
        };
        let complaint = Complaint::new(format!("{subject} {problem}"));
        self.notes.complain(complaint.at(place).maybe_help(help));
        self.notes.bad.insert(path.clone());
        false
    }

    fn expected(&self, schema: &'a Json) -> String {
        let kinds = self.alternatives(schema).into_iter().map(kind);
        let words: Vec<&str> = kinds.filter(|kind| *kind != "null").map(describe).collect();
        words.join(" or ")
    }
}

/// The type that a schema without alternatives asks for, `null` aside.
fn kind(schema: &Json) -> &str {
    match schema.get("type") {
        Some(Json::String(kind)) => kind,
        Some(Json::Array(kinds)) => {
            let mut kinds = kinds.iter().filter_map(Json::as_str);
            kinds.find(|kind| *kind != "null").unwrap_or("null")
        }
        _ if schema.get("enum").is_some() => "string",
        _ => "",
    }
}

fn takes(kind: &str, value: &Value) -> bool {
    match (kind, value) {
        ("", _)
        | ("string", Value::String(_))
        | ("boolean", Value::Bool(_))
        | ("number", Value::Number(_))
        | ("array", Value::Sequence(_))
        | ("object", Value::Mapping(_)) => true,
        ("integer", Value::Number(number)) => number.is_i64() || number.is_u64(),
        _ => false,
    }
}

fn describe(kind: &str) -> &str {
    match kind {
        "string" => "text (in quotes, if it looks like something else)",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "array" => "a list",
        "object" => "a map",
        other => other,
    }
}
