//! Arguments that are repeated in headers (2026-07-28, "Custom Headers from Tool Parameters").
//!
//! A tool may mark parameters with `x-mcp-header`, so that what stands between client and server
//! can route by their values without reading the body. Then both must say the same, or the one in
//! between acts on another value than the server does. A [`Mirror`] is what a tool marked, worked
//! out once when it is listed.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::Number;

use crate::header;
use crate::json::{self, JsonError, RawJson, set_members};

/// The member of a parameter's schema that names its header.
pub const ANNOTATION: &str = "x-mcp-header";
/// What the names of the headers begin with.
pub const PREFIX: &str = "Mcp-Param-";
/// Integers up to here are exact in every implementation.
const SAFE: f64 = 9_007_199_254_740_991.0;

static MENTION: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"x-mcp-header\""));

/// The marked parameters of one tool.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mirror(Vec<Param>);

#[derive(Clone, Debug, Eq, PartialEq)]
struct Param {
    /// The header's name, without [`PREFIX`].
    name: String,
    /// The keys that lead to the value in the arguments.
    path: Vec<String>,
    integer: bool,
}

/// Why a tool's annotations are not acceptable.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMirror {
    /// Not a string, empty, or with characters that no header name has.
    #[error("`x-mcp-header` is no header name")]
    Name,
    /// Two parameters with one header.
    #[error("two parameters have one `x-mcp-header`")]
    Twice,
    /// Neither string nor integer nor boolean.
    #[error("`x-mcp-header` at what is no string, integer or boolean")]
    Type,
    /// Not reached through `properties` alone.
    #[error("`x-mcp-header` at what is not reached through `properties` alone")]
    Place,
    /// The schema is not what a schema is.
    #[error("the schema with `x-mcp-header` cannot be read")]
    Schema,
}

/// A header and the argument that it repeats differ.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{PREFIX}{name} {why}")]
pub struct Mismatch {
    /// The header's name, without [`PREFIX`].
    pub name: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Mirror {
    /// What the tool with this definition marks; `None` if it marks nothing. A tool that does not
    /// mention the annotation is searched for it once and not parsed.
    ///
    /// # Errors
    /// If an annotation breaks a rule: such a tool must not be offered by clients over HTTP.
    pub fn of(tool: &RawJson) -> Result<Option<Self>, InvalidMirror> {
        if !is_mentioned(tool) {
            return Ok(None);
        }
        let Some(schema) = tool.get("inputSchema") else {
            return Ok(None);
        };
        let mut found = Vec::new();
        scan(&schema, &mut Vec::new(), true, &mut found)?;
        Ok((!found.is_empty()).then_some(Self(found)))
    }

    /// Whether a header (without [`PREFIX`], in any case) repeats a parameter of this tool.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|p| p.name.eq_ignore_ascii_case(name))
    }

    /// The headers for a call with these arguments: names without [`PREFIX`], values as they go
    /// over the wire. Arguments that are absent, null or of another kind have none.
    pub fn headers(&self, arguments: Option<&RawJson>) -> Vec<(&str, String)> {
        let values = self.0.iter().filter_map(|param| {
            let value = text(&param.value(arguments)?, param.integer)?;
            Some((&*param.name, header::encode(&value).into_owned()))
        });
        values.collect()
    }

    /// Compares what a client `sent` (by name without [`PREFIX`]) with its arguments.
    ///
    /// # Errors
    /// The first header that is missing, too many, undecodable or different.
    pub fn check<'h>(
        &self,
        arguments: Option<&RawJson>,
        sent: impl Fn(&str) -> Sent<'h>,
    ) -> Result<(), Mismatch> {
        for param in &self.0 {
            let value = param.value(arguments);
            let value = value.and_then(|value| text(&value, param.integer));
            let why = match (value, sent(&param.name)) {
                (None, Sent::Absent) => continue,
                (Some(_), Sent::Absent) => "is missing",
                (None, _) => "repeats an argument that is not there",
                (_, Sent::Unreadable) => "is not readable, or there twice",
                (Some(value), Sent::Text(sent)) => match header::decode(sent) {
                    Err(_) => "cannot be decoded",
                    Ok(sent) if param.same(&value, &sent) => continue,
                    Ok(_) => "differs from the body",
                },
            };
            let name = param.name.clone();
            return Err(Mismatch { name, why });
        }
        Ok(())
    }
}

/// A header as it came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sent<'a> {
    /// It did not come.
    Absent,
    /// Not text, or there twice.
    Unreadable,
    /// Its value, not decoded.
    Text(&'a str),
}

impl Param {
    /// The argument, if it is there and not null. Of several under one key the last, as most
    /// parsers read them.
    fn value(&self, arguments: Option<&RawJson>) -> Option<RawJson> {
        let mut value = arguments?.clone();
        for key in &self.path {
            let found = json::members(value.bytes(), |k| k == key).ok()?.pop()?;
            value = RawJson::from_checked(value.bytes().slice(found.value));
        }
        (value.as_str() != "null").then_some(value)
    }

    /// R26: integers compare as numbers.
    fn same(&self, value: &str, sent: &str) -> bool {
        let number = |text: &str| text.parse::<f64>().ok().filter(|n| n.abs() <= SAFE);
        let numeric = || {
            sent.bytes()
                .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b))
        };
        value == sent
            || (self.integer
                && numeric()
                && number(value).is_some()
                && number(value) == number(sent))
    }
}

/// An argument as the text of its header.
fn text(value: &RawJson, integer: bool) -> Option<String> {
    match value.bytes().first()? {
        b'"' => value.read_owned().ok(),
        b't' | b'f' => Some(value.as_str().to_owned()),
        b'{' | b'[' => None,
        _ => {
            let number: Number = value.read_owned().ok()?;
            let exact = number
                .as_f64()
                .filter(|n| n.fract() == 0.0 && n.abs() <= SAFE);
            Some(match exact {
                #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
                Some(whole) if integer => (whole as i64).to_string(),
                _ => value.as_str().to_owned(),
            })
        }
    }
}

/// Whether a definition may have annotations.
fn is_mentioned(tool: &RawJson) -> bool {
    MENTION.find(tool.bytes()).is_some()
}

/// What holds schemas inside a schema.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Holds {
    Schema,
    Array,
    Map,
}

/// The keywords under which schemas stand, `properties` apart.
fn holds(keyword: &str) -> Option<Holds> {
    Some(match keyword {
        "properties" | "patternProperties" | "dependentSchemas" | "$defs" | "definitions" => {
            Holds::Map
        }
        "oneOf" | "anyOf" | "allOf" | "prefixItems" => Holds::Array,
        "items"
        | "additionalItems"
        | "contains"
        | "additionalProperties"
        | "propertyNames"
        | "not"
        | "if"
        | "then"
        | "else"
        | "unevaluatedItems"
        | "unevaluatedProperties"
        | "contentSchema" => Holds::Schema,
        _ => return None,
    })
}

fn child(parent: &RawJson, span: json::Span) -> RawJson {
    RawJson::from_checked(parent.bytes().slice(span))
}

/// Collects the annotations in a schema that stands at `path` of the arguments, or, if not
/// `reachable`, at no place that can be told beforehand.
fn scan(
    schema: &RawJson,
    path: &mut Vec<String>,
    reachable: bool,
    found: &mut Vec<Param>,
) -> Result<(), InvalidMirror> {
    if !is_mentioned(schema) || !matches!(schema.bytes().first(), Some(b'{')) {
        return Ok(()); // `true`, `false`, or nothing in it
    }
    let members = json::members(schema.bytes(), |k| k == ANNOTATION || holds(k).is_some());
    for member in members.map_err(|_| InvalidMirror::Schema)? {
        let value = child(schema, member.value.clone());
        if member.key == ANNOTATION {
            if !reachable || path.is_empty() {
                return Err(InvalidMirror::Place);
            }
            found.push(annotated(schema, &value, path, found)?);
            continue;
        }
        let straight = reachable && member.key == "properties";
        for (key, schema) in inner(&value, holds(&member.key))? {
            path.push(key);
            scan(&schema, path, straight, found)?;
            path.pop();
        }
    }
    Ok(())
}

/// The schemas in the value of a keyword, with their keys where they have some.
fn inner(value: &RawJson, holds: Option<Holds>) -> Result<Vec<(String, RawJson)>, InvalidMirror> {
    let unreadable = |_: JsonError| InvalidMirror::Schema;
    Ok(match (holds, value.bytes().first()) {
        (Some(Holds::Map), Some(b'{')) => {
            let members = json::members(value.bytes(), |_| true).map_err(unreadable)?;
            let schemas = members.into_iter();
            schemas
                .map(|m| (m.key.into_owned(), child(value, m.value)))
                .collect()
        }
        // `items` was an array once.
        (Some(_), Some(b'[')) => {
            let elements = json::elements(value.bytes()).map_err(unreadable)?;
            elements
                .into_iter()
                .map(|at| (String::new(), child(value, at)))
                .collect()
        }
        (Some(Holds::Schema), Some(b'{')) => vec![(String::new(), value.clone())],
        _ => Vec::new(),
    })
}

fn annotated(
    schema: &RawJson,
    name: &RawJson,
    path: &[String],
    found: &[Param],
) -> Result<Param, InvalidMirror> {
    let name: String = name.read_owned().map_err(|_| InvalidMirror::Name)?;
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(InvalidMirror::Name);
    }
    if found.iter().any(|p| p.name.eq_ignore_ascii_case(&name)) {
        return Err(InvalidMirror::Twice);
    }
    let kind = schema.get_str("type");
    if !matches!(kind.as_deref(), Some("string" | "integer" | "boolean")) {
        return Err(InvalidMirror::Type);
    }
    Ok(Param {
        name,
        path: path.to_vec(),
        integer: kind.as_deref() == Some("integer"),
    })
}

/// The definition of a tool without annotations, for clients that would send headers which nobody
/// asked for. One that has none is returned as it is.
pub fn strip(tool: &RawJson) -> RawJson {
    if !is_mentioned(tool) {
        return tool.clone();
    }
    let stripped = tool.get("inputSchema").and_then(|schema| {
        let plain = stripped(&schema)?;
        set_members(tool, &[("inputSchema", Some(plain.bytes()))]).ok()
    });
    stripped.unwrap_or_else(|| tool.clone())
}

/// The schema without annotations; `None` if it has none.
fn stripped(schema: &RawJson) -> Option<RawJson> {
    if !is_mentioned(schema) || !schema.is_object() {
        return None;
    }
    let members = json::members(schema.bytes(), |k| k == ANNOTATION || holds(k).is_some()).ok()?;
    let mut changes: Vec<(Cow<'_, str>, Option<RawJson>)> = Vec::new();
    for member in members {
        let value = child(schema, member.value.clone());
        if member.key == ANNOTATION {
            changes.push((member.key, None));
        } else if let Some(plain) = stripped_inside(&value, holds(&member.key)?) {
            changes.push((member.key, Some(plain)));
        }
    }
    let changes: Vec<_> = changes
        .iter()
        .map(|(key, new)| (&**key, new.as_ref().map(|new| &new.bytes()[..])))
        .collect();
    (!changes.is_empty()).then(|| set_members(schema, &changes).ok())?
}

fn stripped_inside(value: &RawJson, holds: Holds) -> Option<RawJson> {
    let spans = match (holds, value.bytes().first()?) {
        (Holds::Schema, b'{') => return stripped(value),
        (Holds::Map, b'{') => {
            let members = json::members(value.bytes(), |_| true).ok()?;
            members.into_iter().map(|m| m.value).collect()
        }
        (_, b'[') => json::elements(value.bytes()).ok()?,
        _ => return None,
    };
    let edits: Vec<_> = spans
        .into_iter()
        .filter_map(|at| Some((at.clone(), stripped(&child(value, at))?)))
        .collect();
    let edits: Vec<_> = edits
        .iter()
        .map(|(at, new)| (at.clone(), &new.bytes()[..]))
        .collect();
    (!edits.is_empty()).then(|| RawJson::from_checked(json::splice(value.bytes(), &edits)))
}

#[cfg(test)]
mod tests;
