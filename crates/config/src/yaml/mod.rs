//! The only module that knows YAML.
//!
//! A YAML library that only hands out values leaves nothing to point at, keeps the last of two
//! equal keys, and takes seconds over a few kilobytes of nesting. So the text is walked twice: once
//! for its places, refusing what could hurt, and once for its values.

mod events;
mod json;
mod mask;
mod places;
mod step;

use serde_yaml::Value;

use crate::report::{Complaint, Place};

pub(crate) use mask::Masks;
pub(crate) use places::Places;
pub(crate) use step::{Path, Step};

/// Largest file.
pub(crate) const MAX_BYTES: usize = 4 << 20;

/// Most passes over nested merge keys.
const MAX_MERGES: usize = 16;

/// A text that was read.
#[derive(Debug)]
pub(crate) struct Document {
    /// Its values, merge keys applied.
    pub(crate) value: Value,
    /// Where each value stands.
    pub(crate) places: Places,
    /// The text that the places count in.
    pub(crate) text: String,
}

/// A text that could not be read.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) complaints: Vec<Complaint>,
    /// The text that the places count in, all of its values starred out.
    pub(crate) masked: String,
}

/// Reads YAML or JSON, which may have comments and trailing commas as VS Code writes them.
pub(crate) fn parse(text: &str) -> Result<Document, Unread> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > MAX_BYTES {
        let line = 1 + text.as_bytes()[..MAX_BYTES]
            .iter()
            .filter(|b| **b == b'\n')
            .count();
        let complaint = Complaint::new("file is larger than 4 MiB").at(Some(Place {
            line,
            column: 1,
            width: 1,
        }));
        return Err(Unread {
            complaints: vec![complaint],
            // An excerpt of such a file helps nobody.
            masked: String::new(),
        });
    }
    let (text, json) = match json::normalize(text) {
        Some(json) => (json, true),
        None => (text.replace("\r\n", "\n").replace('\r', "\n"), false),
    };
    match read(&text, json) {
        Ok((value, places)) => Ok(Document {
            value,
            places,
            text,
        }),
        Err(complaints) => Err(Unread {
            complaints,
            masked: mask::everything(&text),
        }),
    }
}

fn read(text: &str, json: bool) -> Result<(Value, Places), Vec<Complaint>> {
    let places = events::places(text)?;
    let whole = places.place(&Path::root());
    let mut value: Value = if json {
        serde_json::from_str(text)
            .map_err(|error| vec![Complaint::new(json_problem(&error)).at(whole)])?
    } else {
        serde_yaml::from_str(text).map_err(|error| vec![yaml_problem(&error)])?
    };
    for _ in 0..MAX_MERGES {
        if !has_merge(&value) {
            break;
        }
        value.apply_merge().map_err(|error| {
            vec![Complaint::new(format!("`<<` cannot be merged: {error}")).at(whole)]
        })?;
    }
    Ok((value, places))
}

fn has_merge(value: &Value) -> bool {
    match value {
        Value::Mapping(map) => map.contains_key("<<") || map.values().any(has_merge),
        Value::Sequence(items) => items.iter().any(has_merge),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Tagged(_) => {
            false
        }
    }
}

/// Syntax only: neither parser quotes a value then.
fn json_problem(error: &serde_json::Error) -> String {
    format!("file is not valid JSON: {error}")
}

fn yaml_problem(error: &serde_yaml::Error) -> Complaint {
    let place = error.location().map(|at| Place {
        line: at.line(),
        column: at.column(),
        width: 1,
    });
    let reason = error.to_string();
    // The place is shown anyway.
    let reason = reason.split(" at line ").next().unwrap_or_default();
    Complaint::new(format!("file is not valid YAML: {reason}")).at(place)
}
