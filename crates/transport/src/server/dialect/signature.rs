//! What every result for a modern client has beside its content: its type, how long it may be
//! kept, and who answers.
//!
//! `serverInfo` names the server of this hop. Left as a backend wrote it, a client would show its
//! user another server than the one that was set up, and each answer would seem to come from a
//! different one. A result may have megabytes: it is searched for the names of those members, and
//! where they go is a slice between slices. Only what has one of them already is parsed, once.

use bytes::Bytes;
use mcp_router_protocol::json::{self, JsonError, Span, set_members};
use mcp_router_protocol::jsonrpc::result_parts;
use mcp_router_protocol::params::meta;
use mcp_router_protocol::{RawJson, RequestId, Revision};

use super::Wire;
use super::kept::Kept;
use super::mention::{CACHE_SCOPE, META, RESULT_TYPE, TTL_MS};
use crate::client::Identity;

const TYPE: &str = r#""resultType":"complete","#;
const TTL: &str = r#""ttlMs":0,"#;
const SCOPE: &str = r#""cacheScope":"private","#;

/// Adds what modern results must have (R29), in the name of one router.
#[derive(Debug)]
pub(crate) struct Signature {
    /// Who answers, an object.
    info: RawJson,
    /// The beginning of a result that has none of it, up to the comma behind.
    plain: Bytes,
    /// The same for results that clients may keep.
    cacheable: Bytes,
    /// The same for a result that says its type.
    typed: Bytes,
    lists: Kept,
}

impl Signature {
    pub(crate) fn new(identity: &Identity) -> Self {
        let info = identity.json();
        let front = |members: &[&str]| {
            let (members, key) = (members.concat(), meta::SERVER_INFO);
            let front = format!(r#"{{{members}"_meta":{{"{key}":{}}},"#, info.as_str());
            Bytes::from(front)
        };
        Self {
            plain: front(&[TYPE]),
            cacheable: front(&[TYPE, TTL, SCOPE]),
            typed: front(&[]),
            lists: Kept::new(),
            info,
        }
    }

    /// The answer to request `id`.
    pub(crate) fn result(&self, id: &RequestId, result: &RawJson, cacheable: bool) -> Wire {
        if !result.is_object() {
            return Wire::result(id, result);
        }
        match self.front(result, cacheable) {
            Some(front) => before(id, front, result),
            None => self
                .among(id, result, cacheable)
                .unwrap_or_else(|_| Wire::result(id, result)),
        }
    }

    /// The answer to request `id` for a list.
    pub(crate) fn list(&self, id: &RequestId, list: &RawJson) -> Wire {
        let sign = || self.signed(list).unwrap_or_else(|_| list.clone());
        match self.lists.of(list, Revision::NEWEST_MODERN, sign) {
            Some(signed) => Wire::result(id, &signed),
            None => self.result(id, list, true),
        }
    }

    /// A list with all that it must have.
    fn signed(&self, list: &RawJson) -> Result<RawJson, JsonError> {
        let none = RawJson::from_static("{}");
        let meta = self.named(&list.get("_meta").unwrap_or(none))?;
        let must: [(&str, &[u8]); 3] = [
            ("resultType", br#""complete""#),
            ("ttlMs", b"0"),
            ("cacheScope", br#""private""#),
        ];
        let missing = must.into_iter().filter(|(key, _)| list.get(key).is_none());
        let mut changes: Vec<_> = missing.map(|(key, value)| (key, Some(value))).collect();
        changes.push(("_meta", Some(meta.bytes())));
        set_members(list, &changes)
    }

    /// The answer that ends the listen stream `id`, and says which one it ends.
    pub(crate) fn end(&self, id: &RequestId, result: &RawJson) -> Wire {
        let none = RawJson::from_static("{}");
        let old = result.get("_meta").unwrap_or(none);
        let tag: &[u8] = id.json();
        let tagged = set_members(&old, &[(meta::SUBSCRIPTION_ID, Some(tag))]);
        let tagged = tagged.and_then(|m| set_members(result, &[("_meta", Some(m.bytes()))]));
        self.result(id, tagged.as_ref().unwrap_or(result), false)
    }

    /// What is to stand before a result that needs nothing else, as far as a search can tell.
    fn front(&self, result: &RawJson, cacheable: bool) -> Option<&Bytes> {
        let kept = cacheable && (TTL_MS.is_in(result) || CACHE_SCOPE.is_in(result));
        if kept || META.is_in(result) {
            return None;
        }
        if !RESULT_TYPE.is_in(result) {
            return Some(if cacheable {
                &self.cacheable
            } else {
                &self.plain
            });
        }
        // Most servers write it first.
        let typed = !cacheable && result.bytes().starts_with(br#"{"resultType":"#);
        typed.then_some(&self.typed)
    }

    /// The same where some of the members are mentioned already, if only in a string.
    fn among(&self, id: &RequestId, result: &RawJson, cacheable: bool) -> Result<Wire, JsonError> {
        let text = result.bytes();
        let mut missing = [true, cacheable, cacheable];
        let mut old: Option<Span> = None;
        let wanted = |k: &str| matches!(k, "resultType" | "ttlMs" | "cacheScope" | "_meta");
        for member in json::members(text, wanted)? {
            match &*member.key {
                "resultType" => missing[0] = false,
                "ttlMs" => missing[1] = false,
                "cacheScope" => missing[2] = false,
                _ => old = Some(member.value),
            }
        }
        let added = [TYPE, TTL, SCOPE].into_iter().zip(missing);
        let added: String = added.filter_map(|(text, is)| is.then_some(text)).collect();
        let Some(span) = old else {
            let front = [&b"{"[..], added.as_bytes(), &self.typed[1..]].concat();
            return Ok(before(id, &front, result));
        };
        let meta = RawJson::from_checked(text.slice(span.clone()));
        let meta = self.named(&meta)?;
        let rest = [
            text.slice(1..span.start),
            meta.into_bytes(),
            text.slice(span.end..),
        ];
        let front = ["{", &*added].concat();
        Ok(Wire::of(result_parts(id, front.as_bytes(), rest)))
    }

    /// A result's `_meta` in this router's name.
    fn named(&self, meta: &RawJson) -> Result<RawJson, JsonError> {
        let none = RawJson::from_static("{}");
        let old = if meta.is_object() { meta } else { &none };
        set_members(old, &[(meta::SERVER_INFO, Some(self.info.bytes()))])
    }
}

/// An answer whose result begins with `front` and goes on with what was written in `result`.
fn before(id: &RequestId, front: &[u8], result: &RawJson) -> Wire {
    let rest = result.bytes().slice(1..);
    let empty = rest.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'}');
    // Without the comma that nothing follows.
    let front = &front[..front.len() - usize::from(empty)];
    Wire::of(result_parts(id, front, [rest]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = r#""io.modelcontextprotocol/serverInfo":{"name":"r","version":"1"}"#;

    fn signed(result: &str, cacheable: bool) -> String {
        let signature = Signature::new(&Identity {
            name: "r".to_owned(),
            version: "1".to_owned(),
        });
        let result = RawJson::parse(result.to_owned().into()).unwrap();
        text(&signature.result(&RequestId::number(1), &result, cacheable))
    }

    fn text(wire: &Wire) -> String {
        let text = String::from_utf8(wire.parts.concat()).unwrap();
        RawJson::parse(text.clone().into()).unwrap();
        let result = text.strip_prefix(r#"{"jsonrpc":"2.0","id":1,"result":"#);
        result.unwrap().strip_suffix('}').unwrap().to_owned()
    }

    #[test]
    fn r29_modern_members_are_added_without_touching_the_rest() {
        let meta = format!(r#""_meta":{{{OURS}}}"#);
        for (result, expected) in [
            ("{}", format!(r#"{{"resultType":"complete",{meta}}}"#)),
            (
                r#"{ "content": [1.0] }"#,
                format!(r#"{{"resultType":"complete",{meta}, "content": [1.0] }}"#),
            ),
            (
                r#"{"resultType":"task","taskId":"1"}"#,
                format!(r#"{{{meta},"resultType":"task","taskId":"1"}}"#),
            ),
            (
                r#"{"taskId":"1","resultType":"task"}"#,
                format!(r#"{{{meta},"taskId":"1","resultType":"task"}}"#),
            ),
            (
                r#"{"content":["\"resultType\" and \"_meta\""]}"#,
                format!(
                    r#"{{"resultType":"complete",{meta},"content":["\"resultType\" and \"_meta\""]}}"#
                ),
            ),
        ] {
            assert_eq!(signed(result, false), expected, "{result}");
        }
        assert_eq!(
            signed(r#"{"tools":[],"ttlMs":5}"#, true),
            format!(
                r#"{{"resultType":"complete","cacheScope":"private",{meta},"tools":[],"ttlMs":5}}"#
            )
        );
        let front = r#""resultType":"complete","ttlMs":0,"cacheScope":"private""#;
        assert_eq!(
            signed(r#"{"a":1}"#, true),
            format!(r#"{{{front},{meta},"a":1}}"#)
        );
    }

    #[test]
    fn r27_the_backends_name_gives_way_to_the_routers_and_nothing_else_does() {
        let theirs = r#""io.modelcontextprotocol/serverInfo":{"name":"backend","version":"9"}"#;
        for (meta, expected) in [
            ("null".to_owned(), format!("{{{OURS}}}")),
            ("{}".to_owned(), format!("{{{OURS}}}")),
            (format!("{{{theirs}}}"), format!("{{{OURS}}}")),
            (
                format!(r#"{{ "x/y": 1.0, {theirs}, "z": {{}} }}"#),
                format!(r#"{{ "x/y": 1.0, {OURS}, "z": {{}} }}"#),
            ),
            (r#"{"x/y":1}"#.to_owned(), format!(r#"{{{OURS},"x/y":1}}"#)),
        ] {
            for (before, after) in [("", ""), (r#""a":1,"#, r#","b":{"_meta":{}}"#)] {
                let result =
                    format!(r#"{{{before}"_meta":{meta},"resultType":"complete"{after}}}"#);
                let expected =
                    format!(r#"{{{before}"_meta":{expected},"resultType":"complete"{after}}}"#);
                assert_eq!(signed(&result, false), expected, "{meta}");
            }
        }
    }

    #[test]
    fn r29_a_large_list_is_signed_once() {
        let signature = Signature::new(&Identity::default());
        let tools = r#"{"name":"t","_meta":{}},"#.repeat(400);
        let list = format!(r#"{{"tools":[{tools}{{}}],"cacheScope":"public"}}"#);
        let list = RawJson::parse(list.into()).unwrap();
        let info = Identity::default().json();
        let front = format!(
            r#"{{"resultType":"complete","ttlMs":0,"_meta":{{"{}":{}}},"#,
            meta::SERVER_INFO,
            info.as_str()
        );
        let expected = [&front, &list.as_str()[1..]].concat();
        let again = signature.list(&RequestId::number(1), &list);
        assert_eq!(text(&again), expected);
        let _held = list.clone();
        let [first, second] = [(); 2].map(|()| signature.list(&RequestId::number(1), &list));
        assert_eq!(text(&first), expected);
        assert_eq!(first.parts[1].as_ptr(), second.parts[1].as_ptr());
    }

    #[test]
    fn r23_the_end_of_a_stream_names_it_and_the_router() {
        let signature = Signature::new(&Identity::default());
        let result = RawJson::from_static(r#"{"_meta":{"x/y":1}}"#);
        let end = text(&signature.end(&RequestId::number(1), &result));
        let end = RawJson::parse(end.into()).unwrap();
        assert_eq!(end.get_str("resultType").unwrap(), "complete");
        let meta = end.get("_meta").unwrap();
        assert_eq!(meta.get(meta::SUBSCRIPTION_ID).unwrap().as_str(), "1");
        assert_eq!(meta.get("x/y").unwrap().as_str(), "1");
        let info = meta.get(meta::SERVER_INFO).unwrap();
        assert_eq!(info.get_str("name").unwrap(), "mcp-router");
    }
}
