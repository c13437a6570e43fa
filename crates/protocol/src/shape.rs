//! Results as an older revision knows them.
//!
//! A backend of today answers with structured output, links and audio. Clients of older revisions
//! read results with strict types: one content block of a kind they do not know, and the whole call
//! is lost to the agent although the backend did its work. So what they cannot read becomes text,
//! and what would mislead them is left out.

use std::fmt::Write;

use crate::json::{self, JsonError, RawJson, Span, set_members, splice};
use crate::noted::Noted;
use crate::{Method, Revision};

/// The answer to `method` as a client of `revision` can read it. The modern revision, other methods
/// and results without the members in question get the very bytes back, after a substring search.
pub fn to_revision(method: &Method, result: &RawJson, revision: Revision) -> RawJson {
    if revision > Revision::NEWEST_LEGACY {
        return result.clone();
    }
    let reshaped = match method {
        Method::ToolsList => schemas(result, revision),
        Method::ToolsCall => blocks(result, revision).and_then(|r| structured(&r, revision)),
        Method::PromptsGet => blocks(result, revision),
        _ => return result.clone(),
    };
    // A result of another shape is its client's to judge.
    reshaped.unwrap_or_else(|_| result.clone())
}

fn mentions(result: &RawJson, text: &str) -> bool {
    memchr::memmem::find(result.bytes(), text.as_bytes()).is_some()
}

fn slice(result: &RawJson, span: &Span) -> RawJson {
    RawJson::from_checked(result.bytes().slice(span.clone()))
}

/// Replaces the parts at the spans of `edits`, which are in order.
fn replace(result: &RawJson, edits: &[(Span, RawJson)]) -> RawJson {
    if edits.is_empty() {
        return result.clone();
    }
    let edits: Vec<_> = edits
        .iter()
        .map(|(at, new)| (at.clone(), &new.bytes()[..]))
        .collect();
    RawJson::from_checked(splice(result.bytes(), &edits))
}

/// The places of the elements of the array `member`, in the text of the whole.
fn elements_of(result: &RawJson, member: &str) -> Result<Vec<Span>, JsonError> {
    let mut spans = Vec::new();
    for found in json::members(result.bytes(), |k| k == member)? {
        let base = found.value.start;
        for element in json::elements(&result.bytes()[found.value])? {
            spans.push(base + element.start..base + element.end);
        }
    }
    Ok(spans)
}

/// Structured output came with 2025-06-18, for objects alone until the modern revision.
fn has_structured_output(revision: Revision) -> bool {
    revision >= Revision::V2025_06_18
}

/// Drops the `outputSchema`s that promise what [`structured`] does not deliver.
fn schemas(result: &RawJson, revision: Revision) -> Result<RawJson, JsonError> {
    if !mentions(result, "\"outputSchema\"") {
        return Ok(result.clone());
    }
    let mut edits = Vec::new();
    for at in elements_of(result, "tools")? {
        let tool = slice(result, &at);
        let Some(schema) = tool.get("outputSchema") else {
            continue;
        };
        let of_object = schema.get_str("type").is_some_and(|t| t == "object");
        if !(has_structured_output(revision) && of_object) {
            edits.push((at, set_members(&tool, &[("outputSchema", None)])?));
        }
    }
    Ok(replace(result, &edits))
}

/// Leaves `structuredContent` out where the revision has none like it; its text stays or is added.
fn structured(result: &RawJson, revision: Revision) -> Result<RawJson, JsonError> {
    let noted = result.says(Noted::StructuredContent);
    if !noted.unwrap_or_else(|| mentions(result, "\"structuredContent\"")) {
        return Ok(result.clone());
    }
    let Some(content) = result.get("structuredContent") else {
        return Ok(result.clone());
    };
    if has_structured_output(revision) && content.is_object() {
        return Ok(result.clone());
    }
    let blocks = elements_of(result, "content")?;
    let is_text = |at: &Span| slice(result, at).get_str("type").as_deref() == Some("text");
    if blocks.iter().any(is_text) {
        return set_members(result, &[("structuredContent", None)]);
    }
    let mut array = vec![text_block(content.as_str())];
    array.extend(blocks.iter().map(|at| slice(result, at)));
    let array: Vec<&str> = array.iter().map(RawJson::as_str).collect();
    let array = format!("[{}]", array.join(","));
    let changes = [
        ("structuredContent", None),
        ("content", Some(array.as_bytes())),
    ];
    set_members(result, &changes)
}

/// Turns content blocks that came after `revision` into text.
fn blocks(result: &RawJson, revision: Revision) -> Result<RawJson, JsonError> {
    let links = revision < Revision::V2025_06_18 && mentions(result, "\"resource_link\"");
    let audio = revision < Revision::V2025_03_26 && mentions(result, "\"audio\"");
    if !links && !audio {
        return Ok(result.clone());
    }
    let mut places = elements_of(result, "content")?;
    for message in elements_of(result, "messages")? {
        let base = message.start;
        for found in json::members(&result.bytes()[message], |k| k == "content")? {
            places.push(base + found.value.start..base + found.value.end);
        }
    }
    let edits: Vec<_> = places
        .into_iter()
        .filter_map(|at| {
            let block = slice(result, &at);
            let text = match block.get_str("type")?.as_str() {
                "resource_link" if links => link_as_text(&block),
                "audio" if audio => audio_as_text(&block),
                _ => return None,
            };
            Some((at, text_block(&text)))
        })
        .collect();
    Ok(replace(result, &edits))
}

fn link_as_text(link: &RawJson) -> String {
    let part = |key| link.get_str(key).unwrap_or_default();
    let mut text = format!("{}: {}", part("name"), part("uri"));
    if let Some(description) = link.get_str("description") {
        // Writing to a String cannot fail.
        let _ = write!(text, " ({description})");
    }
    text
}

fn audio_as_text(audio: &RawJson) -> String {
    let kind = audio.get_str("mimeType").unwrap_or_default();
    format!("[audio, {kind}: this client's protocol revision has no audio]")
}

fn text_block(text: &str) -> RawJson {
    let text = RawJson::of(text);
    RawJson::from_checked(format!(r#"{{"type":"text","text":{}}}"#, text.as_str()).into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const L1: Revision = Revision::V2024_11_05;
    const L2: Revision = Revision::V2025_03_26;
    const L3: Revision = Revision::V2025_06_18;
    const L4: Revision = Revision::V2025_11_25;
    const M: Revision = Revision::V2026_07_28;

    fn reshaped(method: &Method, text: &str, revision: Revision) -> String {
        let raw = RawJson::parse(text.to_owned().into()).unwrap();
        to_revision(method, &raw, revision).as_str().to_owned()
    }

    fn call(text: &str, revision: Revision) -> String {
        reshaped(&Method::ToolsCall, text, revision)
    }

    #[test]
    fn structured_content_goes_to_revisions_that_have_it() {
        let text = r#"{"content": [{"type":"text","text":"5"}],"structuredContent":{"n":1e400}}"#;
        let plain = r#"{"content": [{"type":"text","text":"5"}]}"#;
        for (revision, expected) in [(L1, plain), (L2, plain), (L3, text), (L4, text), (M, text)] {
            assert_eq!(call(text, revision), expected, "{revision}");
        }
    }

    #[test]
    fn structured_content_that_is_no_object_goes_to_modern_clients_alone() {
        let text = r#"{"content":[],"structuredContent":[1, 2]}"#;
        let added = r#"{"content":[{"type":"text","text":"[1, 2]"}]}"#;
        for (revision, expected) in [(L2, added), (L4, added), (M, text)] {
            assert_eq!(call(text, revision), expected, "{revision}");
        }
    }

    #[test]
    fn text_is_added_before_other_blocks_or_where_there_is_no_content() {
        let image = r#"{"content":[{"type":"image"}],"structuredContent":7}"#;
        let expected = r#"{"content":[{"type":"text","text":"7"},{"type":"image"}]}"#;
        assert_eq!(call(image, L4), expected);
        let bare = call(r#"{"structuredContent":"a"}"#, L4);
        assert_eq!(bare, r#"{"content":[{"type":"text","text":"\"a\""}]}"#);
    }

    #[test]
    fn links_become_text_below_2025_06_18() {
        let link = r#"{"type":"resource_link","uri":"a+b:1","name":"n","description":"d"}"#;
        let text = format!(r#"{{"content":[{{"type":"image"}}, {link}]}}"#);
        let expected = r#"{"content":[{"type":"image"}, {"type":"text","text":"n: a+b:1 (d)"}]}"#;
        assert_eq!(call(&text, L2), expected);
        assert_eq!(call(&text, L3), text);
        let prompt = format!(r#"{{"messages":[{{"role":"user","content":{link}}}]}}"#);
        assert!(reshaped(&Method::PromptsGet, &prompt, L1).contains(r#""text":"n: a+b:1 (d)""#));
        assert_eq!(reshaped(&Method::PromptsGet, &prompt, L4), prompt);
    }

    #[test]
    fn audio_becomes_text_in_2024_11_05() {
        let text = r#"{"content":[{"type":"audio","data":"AA","mimeType":"audio/wav"}]}"#;
        assert!(call(text, L1).contains(r#""type":"text","text":"[audio, audio/wav"#));
        assert_eq!(call(text, L2), text);
    }

    #[test]
    fn output_schemas_promise_only_what_is_delivered() {
        let object = r#"{"name":"a","outputSchema":{"type":"object"}}"#;
        let other = r#"{"name":"b","outputSchema":{"type":"array"},"x":1}"#;
        let text = format!(r#"{{"tools":[{object},{other}]}}"#);
        let list = |revision| reshaped(&Method::ToolsList, &text, revision);
        assert_eq!(list(L2), r#"{"tools":[{"name":"a"},{"name":"b","x":1}]}"#);
        assert_eq!(
            list(L4),
            format!(r#"{{"tools":[{object},{{"name":"b","x":1}}]}}"#)
        );
        assert_eq!(list(M), text);
    }

    #[test]
    fn what_is_of_another_shape_stays() {
        for text in [
            r#"{"content":"structuredContent","structuredContent":{}}"#,
            r#"{"content":[1,"\"resource_link\""]}"#,
            r#"{"contents":[{"uri":"a:1"}]}"#,
            "[]",
        ] {
            assert_eq!(call(text, L3), text);
            assert_eq!(reshaped(&Method::ResourcesRead, text, L1), text);
        }
        let unread = r#"{"content":7,"structuredContent":{}}"#;
        assert_eq!(call(unread, L1), unread);
    }

    /// What a backend of today may put into the answer to a call.
    fn blocks_of_today() -> impl Strategy<Value = String> {
        let block = prop::sample::select(vec![
            r#"{"type":"text","text":"t"}"#,
            r#"{"type":"image","data":"AA","mimeType":"image/png"}"#,
            r#"{"type":"audio","data":"AA","mimeType":"audio/wav"}"#,
            r#"{"type":"resource_link","name":"n","uri":"a:1"}"#,
            r#"{"type":"resource","resource":{"uri":"a:1","text":"\"resource_link\""}}"#,
        ]);
        prop::collection::vec(block, 0..5).prop_map(|blocks| blocks.join(","))
    }

    proptest! {
        #[test]
        fn no_member_of_a_newer_revision_reaches_an_older_client(
            blocks in blocks_of_today(),
            structured in prop::option::of(prop::sample::select(vec![r#"{"n":1}"#, "[1]", "5"])),
            members in prop::collection::vec(prop::sample::select(vec![
                r#""resultType":"complete""#, r#""ttlMs":5"#, r#""cacheScope":"public""#,
                r#""_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"},"x/y":1}"#,
            ]), 0..3),
            revision in prop::sample::select(vec![L1, L2, L3, L4]),
        ) {
            let mut parts = members;
            parts.dedup();
            let content = format!(r#""content":[{blocks}]"#);
            parts.push(&content);
            let structured = structured.map(|s| format!(r#""structuredContent":{s}"#));
            parts.extend(structured.as_deref());
            let raw = RawJson::parse(format!("{{{}}}", parts.join(",")).into()).unwrap();
            let plain = crate::result::to_legacy(&raw);
            let shown = to_revision(&Method::ToolsCall, &plain, revision);
            for key in ["resultType", "ttlMs", "cacheScope"] {
                prop_assert!(shown.get(key).is_none(), "{key}");
            }
            prop_assert!(!shown.as_str().contains("io.modelcontextprotocol/"));
            let content = shown.get("structuredContent");
            prop_assert!(content.is_none_or(|c| revision >= L3 && c.is_object()));
            let kinds: Vec<_> = elements_of(&shown, "content").unwrap().iter()
                .map(|at| slice(&shown, at).get_str("type").unwrap()).collect();
            prop_assert!(revision >= L3 || !kinds.contains(&"resource_link".to_owned()));
            prop_assert!(revision >= L2 || !kinds.contains(&"audio".to_owned()));
        }
    }
}
