//! Forms of 2025-06-18: fields of one value each, choices named beside their values.

use crate::RawParams;
use crate::json::{self, JsonError, RawJson, set_members};

type Plain = Result<Result<RawParams, JsonError>, &'static str>;

/// The request without what came later: modes, defaults of other fields than yes/no, titled
/// choices in one list.
///
/// # Errors
/// What cannot be said.
pub(super) fn plain(params: &RawParams) -> Plain {
    let bare = |params: &RawParams| params.with_members(&[("mode", None)]);
    let schema = params.get("requestedSchema");
    let Some(schema) = schema.filter(RawJson::is_object) else {
        return Ok(bare(params));
    };
    let Some(fields) = schema.get("properties").filter(RawJson::is_object) else {
        return Ok(bare(params));
    };
    let converted = match each(&fields) {
        Ok(converted) => converted?,
        Err(error) => return Ok(Err(error)),
    };
    let changes = [
        ("$schema", None),
        ("properties", Some(&converted.bytes()[..])),
    ];
    Ok(set_members(&schema, &changes).and_then(|schema| {
        let changes = [
            ("mode", None),
            ("requestedSchema", Some(&schema.bytes()[..])),
        ];
        params.with_members(&changes)
    }))
}

fn each(fields: &RawJson) -> Result<Result<RawJson, &'static str>, JsonError> {
    let members = json::members(fields.bytes(), |_| true)?;
    let mut changed = Vec::new();
    for member in members {
        let old = RawJson::from_checked(fields.bytes().slice(member.value));
        match field(&old)? {
            Ok(new) if new == old => {}
            Ok(new) => changed.push((member.key.into_owned(), new)),
            Err(what) => return Ok(Err(what)),
        }
    }
    let changes: Vec<(&str, Option<&[u8]>)> = changed
        .iter()
        .map(|(key, new)| (key.as_str(), Some(&new.bytes()[..])))
        .collect();
    set_members(fields, &changes).map(Ok)
}

fn field(old: &RawJson) -> Result<Result<RawJson, &'static str>, JsonError> {
    if !old.is_object() {
        return Ok(Ok(old.clone()));
    }
    let kind = old.get_str("type").unwrap_or_default();
    if kind == "array" {
        return Ok(Err("choice of several in a form"));
    }
    let mut new = old.clone();
    if kind != "boolean" {
        new = set_members(&new, &[("default", None)])?;
    }
    if let Some(choices) = old.get("oneOf") {
        let (values, names) = split(&choices)?;
        let changes = [
            ("oneOf", None),
            ("enum", Some(&values.bytes()[..])),
            ("enumNames", Some(&names.bytes()[..])),
        ];
        new = set_members(&new, &changes)?;
    }
    Ok(Ok(new))
}

/// Values and titles of `[{const, title}, …]`.
fn split(choices: &RawJson) -> Result<(RawJson, RawJson), JsonError> {
    let (mut values, mut names) = (Vec::new(), Vec::new());
    for span in json::elements(choices.bytes())? {
        let choice = RawJson::from_checked(choices.bytes().slice(span));
        let value = choice.get("const").ok_or(JsonError::Type("a choice"))?;
        let name = choice.get("title").unwrap_or_else(|| value.clone());
        values.push(value);
        names.push(name);
    }
    Ok((RawJson::of(&values), RawJson::of(&names)))
}
