//! The few members of results that a hop adds, drops or rewrites.

use std::borrow::Cow;
use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;

use crate::json::{self, JsonError, Object, RawJson, Span, set_members, splice};
use crate::noted::Noted;
use crate::params::meta;

/// Ends `"uri"` and `"resourceUri"`: one search for both.
static URI: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("ri\""));
static IS_ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"isError\""));

/// What `resultType` says of a result. Absent means complete, as older servers leave it out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ResultType {
    /// The final content.
    Complete,
    /// The server needs input from the client first (multi round-trip request).
    InputRequired,
    /// The result comes later, by a task (extension `io.modelcontextprotocol/tasks`).
    Task,
    /// Anything else: another extension's, or an error of the backend.
    Other(String),
}

/// Reads `resultType`.
///
/// # Errors
/// If the result is no object.
pub fn result_type(result: &RawJson) -> Result<ResultType, JsonError> {
    // Most servers write it first, and what follows may be megabytes.
    if result.bytes().starts_with(br#"{"resultType":"complete""#) {
        return Ok(ResultType::Complete);
    }
    if result.says(Noted::ResultType) == Some(false) {
        return Ok(ResultType::Complete);
    }
    let found = json::members(result.bytes(), |k| k == "resultType")?;
    let Some(member) = found.first() else {
        return Ok(ResultType::Complete);
    };
    Ok(match &result.bytes()[member.value.clone()] {
        br#""complete""# => ResultType::Complete,
        br#""input_required""# => ResultType::InputRequired,
        br#""task""# => ResultType::Task,
        other => ResultType::Other(String::from_utf8_lossy(other).into_owned()),
    })
}

/// Whether the result of a tool says that the tool failed. At most a substring search for nearly
/// every result; only one that looks like a failure is read.
pub fn is_tool_error(result: &RawJson) -> bool {
    if result.says(Noted::IsError) == Some(false) {
        return false;
    }
    let bytes = result.bytes();
    // Of the letters in the word the one that texts have least.
    if memchr::memchr(b'E', bytes).is_none() {
        return false;
    }
    let says_true = |at: usize| {
        let rest = bytes[at + b"\"isError\"".len()..].trim_ascii_start();
        let value = rest.strip_prefix(b":").map(<[u8]>::trim_ascii_start);
        value.is_some_and(|value| value.starts_with(b"true"))
    };
    IS_ERROR.find_iter(bytes).any(says_true)
        && result.get("isError").is_some_and(|v| v.as_str() == "true")
}

/// The result as a legacy client must get it: without the members that only modern revisions
/// have (R29), in `_meta` as well.
pub fn to_legacy(result: &RawJson) -> RawJson {
    legacy(result, |object, changes| object.set(changes)).unwrap_or_else(|| result.clone())
}

/// The same as slices: what stays is not copied.
pub fn to_legacy_slices(result: &RawJson) -> Vec<Bytes> {
    let slices = legacy(result, |object, changes| object.set_in_slices(changes));
    slices.unwrap_or_else(|| vec![result.bytes().clone()])
}

/// Has `set` change what is to change; nothing for what is no object.
fn legacy<T>(
    result: &RawJson,
    set: impl FnOnce(&Object<'_>, &[(&str, Option<&[u8]>)]) -> T,
) -> Option<T> {
    let object = Object::of(result).ok()?;
    let meta = legacy_meta(&object);
    let mut changes: Vec<(&str, Option<&[u8]>)> =
        vec![("resultType", None), ("ttlMs", None), ("cacheScope", None)];
    if let Some(meta) = &meta {
        changes.push(("_meta", meta.as_ref().map(|meta| &meta.bytes()[..])));
    }
    Some(set(&object, &changes))
}

/// What is left of `_meta` without the keys of a modern hop; `None` if it can stay as it is.
fn legacy_meta(result: &Object<'_>) -> Option<Option<RawJson>> {
    let named = |meta: &RawJson| memchr::memmem::find(meta.bytes(), PREFIX).is_some();
    let old = result.get("_meta").filter(named)?;
    let rest = set_members(&old, &meta::HOP.map(|key| (key, None))).ok()?;
    let empty = json::members(rest.bytes(), |_| true).is_ok_and(|left| left.is_empty());
    Some((!empty).then_some(rest))
}

const PREFIX: &[u8] = b"\"io.modelcontextprotocol/";

/// Rewrites every resource URI that a result mentions: `contents[].uri` of `resources/read`, links
/// and embedded resources in the content of tools and prompts.
///
/// `rewrite` answers the new spelling, or `None` to leave a URI as it is. A result that mentions
/// no resource is not scanned beyond a substring search, if that.
pub fn rewrite_uris(result: &RawJson, mut rewrite: impl FnMut(&str) -> Option<String>) -> RawJson {
    if result.says(Noted::Uri) == Some(false) {
        return result.clone();
    }
    let text = result.bytes();
    let is_member = |at: usize| {
        [&b"\"u"[..], b"\"resourceU"]
            .iter()
            .any(|k| text[..at].ends_with(k))
    };
    if !URI.find_iter(text).any(is_member) {
        return result.clone();
    }
    let mut spans = Vec::new();
    // A result of another shape has no URIs that we know of.
    let _ = collect_result(result.bytes(), 0, &mut spans);
    spans.sort_by_key(|s: &Span| s.start);
    let edits: Vec<(Span, Vec<u8>)> = spans
        .into_iter()
        .filter_map(|span| {
            let old: Cow<'_, str> = serde_json::from_slice(&result.bytes()[span.clone()]).ok()?;
            let new = rewrite(&old)?;
            Some((span, RawJson::of(&new).into_bytes().to_vec()))
        })
        .collect();
    let edits: Vec<_> = edits.iter().map(|(s, new)| (s.clone(), &new[..])).collect();
    RawJson::from_checked(splice(result.bytes(), &edits))
}

fn collect_result(text: &[u8], base: usize, out: &mut Vec<Span>) -> Result<(), JsonError> {
    let wanted = |k: &str| matches!(k, "contents" | "content" | "messages" | "_meta");
    for member in json::members(text, wanted)? {
        let part = &text[member.value.clone()];
        let base = base + member.value.start;
        match (&*member.key, part.first()) {
            // `resources/read`: the contents are resources themselves.
            ("contents", _) => each(part, base, out, collect_uri)?,
            ("messages", _) => each(part, base, out, collect_result)?,
            ("_meta", _) => collect_interface(part, base, out)?,
            // A prompt message has one content block, a tool result many.
            (_, Some(b'[')) => each(part, base, out, collect_block)?,
            _ => collect_block(part, base, out)?,
        }
    }
    Ok(())
}

type Collect = fn(&[u8], usize, &mut Vec<Span>) -> Result<(), JsonError>;

fn each(array: &[u8], base: usize, out: &mut Vec<Span>, f: Collect) -> Result<(), JsonError> {
    for span in json::elements(array)? {
        f(&array[span.clone()], base + span.start, out)?;
    }
    Ok(())
}

fn collect_block(text: &[u8], base: usize, out: &mut Vec<Span>) -> Result<(), JsonError> {
    let found = json::members(text, |k| matches!(k, "type" | "uri" | "resource"))?;
    let is = |kind: &[u8]| {
        found
            .iter()
            .any(|m| m.key == "type" && &text[m.value.clone()] == kind)
    };
    for member in &found {
        let span = base + member.value.start..base + member.value.end;
        match &*member.key {
            "uri" if is(br#""resource_link""#) => out.push(span),
            "resource" if is(br#""resource""#) => {
                collect_uri(&text[member.value.clone()], span.start, out)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// `ui.resourceUri`, by which a result says what shows it.
fn collect_interface(meta: &[u8], base: usize, out: &mut Vec<Span>) -> Result<(), JsonError> {
    for ui in json::members(meta, |k| k == "ui")? {
        let base = base + ui.value.start;
        for member in json::members(&meta[ui.value], |k| k == "resourceUri")? {
            out.push(base + member.value.start..base + member.value.end);
        }
    }
    Ok(())
}

fn collect_uri(text: &[u8], base: usize, out: &mut Vec<Span>) -> Result<(), JsonError> {
    for member in json::members(text, |k| k == "uri")? {
        out.push(base + member.value.start..base + member.value.end);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> RawJson {
        RawJson::parse(text.to_owned().into()).unwrap()
    }

    #[test]
    fn a_tool_has_failed_if_its_result_itself_says_so() {
        for (result, failed) in [
            (r#"{"content":[],"isError":true}"#, true),
            ("{\"content\":[], \"isError\" :\n true }", true),
            (r#"{"isError":false,"isErrors":true}"#, false),
            (r#"{"content":[{"text":"\"isError\":true"}]}"#, false),
            (r#"{"structuredContent":{"isError":true}}"#, false),
            (
                r#"{"structuredContent":{"isError":false},"isError":true}"#,
                true,
            ),
            (r#"{"isError":"true"}"#, false),
            ("{}", false),
        ] {
            assert_eq!(is_tool_error(&raw(result)), failed, "{result}");
        }
    }

    #[test]
    fn r29_modern_members_go_without_touching_the_rest() {
        let modern = raw(r#"{"resultType":"complete","content": [1.0],"ttlMs":5, "x":2}"#);
        assert_eq!(to_legacy(&modern).as_str(), r#"{"content": [1.0], "x":2}"#);
        let slices = to_legacy_slices(&modern);
        assert_eq!(slices.concat(), br#"{"content": [1.0], "x":2}"#);
        let kept = modern.bytes()[25..].as_ptr();
        assert_eq!(slices[1].as_ptr(), kept, "not copied");
        let plain = raw(r#"{"content": [1.0], "x":2}"#);
        assert_eq!(to_legacy(&plain).bytes(), plain.bytes());
        assert_eq!(to_legacy_slices(&plain), [plain.bytes().clone()]);
    }

    #[test]
    fn r29_legacy_meta_has_no_keys_of_a_modern_hop_and_r27_keeps_the_rest() {
        let own = r#""io.modelcontextprotocol/serverInfo":{"name":"s"}"#;
        for (text, expected) in [
            (format!(r#"{{"_meta":{{{own}}},"a":1}}"#), r#"{"a":1}"#),
            (
                format!(r#"{{"a":1,"_meta":{{"x/y":{{"n":1.0}},{own}}}}}"#),
                r#"{"a":1,"_meta":{"x/y":{"n":1.0}}}"#,
            ),
            (
                r#"{"_meta":{"x/y":1}}"#.to_owned(),
                r#"{"_meta":{"x/y":1}}"#,
            ),
        ] {
            assert_eq!(to_legacy(&raw(&text)).as_str(), expected);
            assert_eq!(to_legacy_slices(&raw(&text)).concat(), expected.as_bytes());
        }
    }

    #[test]
    fn result_types() {
        for (text, kind) in [
            (r#"{"resultType":"complete","a":1}"#, ResultType::Complete),
            (r#"{"a":1,"resultType":"complete"}"#, ResultType::Complete),
            (
                r#"{"resultType":"completed"}"#,
                ResultType::Other(r#""completed""#.into()),
            ),
        ] {
            assert_eq!(result_type(&raw(text)).unwrap(), kind, "{text}");
        }
        assert_eq!(result_type(&raw("{}")).unwrap(), ResultType::Complete);
        let input = raw(r#"{"resultType":"input_required"}"#);
        assert_eq!(result_type(&input).unwrap(), ResultType::InputRequired);
        let task = raw(r#"{"resultType":"task"}"#);
        assert_eq!(result_type(&task).unwrap(), ResultType::Task);
        assert!(result_type(&raw("[]")).is_err());
    }

    #[test]
    fn uris_are_rewritten_where_resources_are_named_and_nowhere_else() {
        let result = raw(
            r#"{"content":[{"type":"resource_link","uri":"a:1"},{"type":"text","uri":"a:2","text":"\"uri\""},
            {"type":"resource","resource":{"uri":"a:3","text":"x"}}],"structuredContent":{"uri":"a:4"}}"#,
        );
        let out = rewrite_uris(&result, |u| Some(format!("n+{u}")));
        for (uri, rewritten) in [("a:1", true), ("a:2", false), ("a:3", true), ("a:4", false)] {
            assert_eq!(
                out.as_str().contains(&format!("\"n+{uri}\"")),
                rewritten,
                "{uri}"
            );
        }
        let shown = raw(
            r#"{"content":[],"_meta":{"ui":{"resourceUri":"ui://w"},"x":{"resourceUri":"ui://w"}}}"#,
        );
        let out = rewrite_uris(&shown, |_| Some("ui://n/w".into()));
        assert_eq!(
            out.as_str(),
            r#"{"content":[],"_meta":{"ui":{"resourceUri":"ui://n/w"},"x":{"resourceUri":"ui://w"}}}"#
        );
        let prompt =
            raw(r#"{"messages":[{"role":"user","content":{"type":"resource_link","uri":"a:1"}}]}"#);
        assert!(
            rewrite_uris(&prompt, |_| Some("b:2".into()))
                .as_str()
                .contains("b:2")
        );
        let read = raw(r#"{"contents":[{"uri":"a:1","text":"t"}]}"#);
        assert_eq!(rewrite_uris(&read, |_| None).bytes(), read.bytes());
    }
}
