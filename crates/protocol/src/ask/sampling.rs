//! Sampling before 2025-11-25: one block a message, and no tools.

use crate::json::{self, JsonError, RawJson, set_members};
use crate::{RawParams, Revision};

type Plain = Result<Result<RawParams, JsonError>, &'static str>;

pub(super) fn has_tools(params: &RawParams) -> bool {
    params.get("tools").is_some() || params.get("toolChoice").is_some()
}

/// The request in single blocks: a message of several becomes several of the same role.
///
/// # Errors
/// What cannot be said.
pub(super) fn plain(params: &RawParams, revision: Revision) -> Plain {
    if has_tools(params) {
        return Err("tools in sampling");
    }
    let Some(messages) = params.get("messages") else {
        return Ok(Ok(params.clone()));
    };
    let converted = match each(&messages, revision) {
        Ok(converted) => converted?,
        Err(error) => return Ok(Err(error)),
    };
    if converted == messages {
        return Ok(Ok(params.clone()));
    }
    Ok(params.with_members(&[("messages", Some(converted.bytes()))]))
}

fn each(
    messages: &RawJson,
    revision: Revision,
) -> Result<Result<RawJson, &'static str>, JsonError> {
    let mut all = Vec::new();
    let mut changed = false;
    for span in json::elements(messages.bytes())? {
        let message = RawJson::from_checked(messages.bytes().slice(span));
        let blocks = blocks(&message)?;
        let single = blocks.len() == 1 && message.get("content").as_ref() == blocks.first();
        for block in blocks {
            let block = match block.get_str("type").as_deref() {
                Some("tool_use" | "tool_result") => return Ok(Err("tools in sampling")),
                Some("audio") if revision < Revision::V2025_03_26 => {
                    return Ok(Err("audio in sampling"));
                }
                _ => block,
            };
            let changes = [("_meta", None), ("content", Some(&block.bytes()[..]))];
            let new = if single && message.get("_meta").is_none() {
                message.clone()
            } else {
                changed = true;
                set_members(&message, &changes)?
            };
            all.push(new);
        }
    }
    Ok(Ok(if changed {
        RawJson::of(&all)
    } else {
        messages.clone()
    }))
}

/// The content of a message, block by block. An empty one is an empty text.
fn blocks(message: &RawJson) -> Result<Vec<RawJson>, JsonError> {
    let content = message
        .get("content")
        .ok_or(JsonError::Type("a message with content"))?;
    if content.is_object() {
        return Ok(vec![content]);
    }
    let spans = json::elements(content.bytes())?;
    let mut blocks: Vec<_> = spans
        .into_iter()
        .map(|span| RawJson::from_checked(content.bytes().slice(span)))
        .collect();
    if blocks.is_empty() {
        blocks.push(RawJson::from_static(r#"{"type":"text","text":""}"#));
    }
    Ok(blocks)
}
