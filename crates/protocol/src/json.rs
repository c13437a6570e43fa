//! Raw JSON: checked once, then carried as the bytes it was.
//!
//! A value tree would reorder members, round numbers and cost several times the call itself. So
//! the router checks a message ([`RawJson::parse`]), finds the few members it needs ([`members`]) and
//! replaces byte ranges ([`splice`]).

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use serde::de::{DeserializeOwned, Deserializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::noted::{Noted, Notes};
use crate::walk::Walker;

/// Deepest nesting of arrays and objects accepted anywhere in a message (B3).
pub const MAX_DEPTH: usize = 128;

/// A byte range inside a JSON text.
pub type Span = Range<usize>;

/// Why a text is not acceptable JSON.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// Bytes that are not UTF-8, at this offset.
    #[error("not UTF-8 at byte {0}")]
    Utf8(usize),
    /// Nesting deeper than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH} levels")]
    Depth,
    /// Text that JSON's grammar does not allow.
    #[error("not JSON: {0}")]
    Syntax(String),
    /// A value of another type than the one needed.
    #[error("expected {0}")]
    Type(&'static str),
    /// The same member twice, or one that a lenient parser would take for it (B4, B5).
    #[error("member `{0}` is there twice, or is another spelling of a known one")]
    Ambiguous(String),
}

impl JsonError {
    /// The member, as it can be shown.
    #[cold]
    pub(crate) fn ambiguous(key: &[u8]) -> Self {
        let key = String::from_utf8_lossy(key);
        Self::Ambiguous(key.escape_debug().to_string())
    }
}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        Self::Syntax(error.to_string())
    }
}

/// One JSON value as its sender wrote it, without surrounding white space.
///
/// Cloning is cheap: the bytes are shared.
#[derive(Clone)]
pub struct RawJson {
    text: Bytes,
    notes: Notes,
}

impl RawJson {
    /// Checks `bytes` (UTF-8, depth, grammar) and keeps them.
    ///
    /// # Errors
    /// Says what is wrong, without quoting the text.
    pub fn parse(bytes: Bytes) -> Result<Self, JsonError> {
        let span = checked(&bytes, Walker::value)?;
        Ok(Self::from_checked(bytes.slice(span)))
    }

    /// Takes bytes that are known to hold exactly one JSON value, as a span found by [`members`]
    /// in checked text does.
    pub const fn from_checked(bytes: Bytes) -> Self {
        Self::noted(bytes, Notes::UNKNOWN)
    }

    /// The same for a result, with what was noted of it.
    pub(crate) const fn noted(text: Bytes, notes: Notes) -> Self {
        Self { text, notes }
    }

    /// Whether that is so of a result, if it was seen when the text was checked. Otherwise one
    /// has to look.
    pub const fn says(&self, what: Noted) -> Option<bool> {
        self.notes.says(what)
    }

    /// The value as text in this program.
    pub const fn from_static(text: &'static str) -> Self {
        Self::from_checked(Bytes::from_static(text.as_bytes()))
    }

    /// Serializes `value`. A type that serde_json cannot write (a map with keys that are no
    /// strings) becomes `null`; the router has none.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        let text = serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec());
        Self::from_checked(text.into())
    }

    /// The bytes, shared.
    pub const fn bytes(&self) -> &Bytes {
        &self.text
    }

    /// The bytes, given away.
    pub fn into_bytes(self) -> Bytes {
        self.text
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // Every constructor takes checked UTF-8; an empty text is the harmless answer otherwise.
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// Whether the value is an object.
    pub fn is_object(&self) -> bool {
        self.text.first() == Some(&b'{')
    }

    /// The text, if the value is a string; borrowed, unless it was written with escapes.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        text(&self.text)
    }

    /// Reads the value as `T`: for the router's own small structures, never for arguments or
    /// results.
    ///
    /// # Errors
    /// serde's complaint.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, JsonError> {
        Ok(serde_json::from_slice(&self.text)?)
    }

    /// As [`read`](Self::read), for types that own their data.
    ///
    /// # Errors
    /// serde's complaint.
    pub fn read_owned<T: DeserializeOwned>(&self) -> Result<T, JsonError> {
        Ok(serde_json::from_slice(&self.text)?)
    }

    /// The value of one member of this object; nothing if it is none, or has no such member.
    pub fn get(&self, key: &str) -> Option<Self> {
        let mut found = None;
        let mut walker = Walker::new(&self.text);
        let walked = walker.object(|walker, k| {
            let value = walker.value()?;
            if *k == *key.as_bytes() {
                found = Some(value);
            }
            Ok(())
        });
        walked.and_then(|()| walker.end()).ok()?;
        Some(Self::from_checked(self.text.slice(found?)))
    }

    /// The text of one string member.
    pub fn get_str(&self, key: &str) -> Option<String> {
        self.get(key)?.read_owned().ok()
    }
}

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for RawJson {}

impl fmt::Debug for RawJson {
    /// Shows the size alone: the content may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawJson({} bytes)", self.text.len())
    }
}

impl Serialize for RawJson {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue =
            serde_json::from_slice(&self.text).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text = String::from(Box::<str>::from(raw));
        Ok(Self::from_checked(text.into()))
    }
}

/// Steps through the whole of a foreign text: UTF-8, depth and grammar (B1, B3).
///
/// # Errors
/// What is no UTF-8 is that before anything else.
pub(crate) fn checked<'a, T>(
    text: &'a [u8],
    walk: impl FnOnce(&mut Walker<'a>) -> Result<T, JsonError>,
) -> Result<T, JsonError> {
    let mut walker = Walker::new(text);
    let walked = walk(&mut walker);
    let walked = walked.and_then(|found| walker.end().map(|()| found));
    // Most texts are ASCII, and found to be so on the way.
    if walked.is_err() || !walker.is_ascii() {
        std::str::from_utf8(text).map_err(|e| JsonError::Utf8(e.valid_up_to()))?;
    }
    walked
}

/// The text of a string, borrowed where it has no escapes; `None` for any other value, and for
/// escapes that stand for no text.
pub(crate) fn text(value: &[u8]) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', inner).is_some() {
        return serde_json::from_slice(value).ok().map(Cow::Owned);
    }
    std::str::from_utf8(inner).ok().map(Cow::Borrowed)
}

/// One member of an object, by its place in the text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member<'a> {
    /// The key, unescaped.
    pub key: Cow<'a, str>,
    /// Where the value stands, without white space.
    pub value: Span,
}

/// Finds the members of the object `json` whose key `wanted` accepts, in the order they stand.
///
/// Only maps are accepted: serde's derived structs would take `[1, "x"]` for one.
///
/// # Errors
/// If `json` is not an object, or not JSON.
pub fn members<'a>(
    json: &'a [u8],
    mut wanted: impl FnMut(&str) -> bool,
) -> Result<Vec<Member<'a>>, JsonError> {
    let mut found = Vec::new();
    let mut walker = Walker::new(json);
    walker.object(|walker, key| {
        let (key, value) = (text_of(key)?, walker.value()?);
        if wanted(&key) {
            found.push(Member { key, value });
        }
        Ok(())
    })?;
    walker.end()?;
    Ok(found)
}

fn text_of(key: Cow<'_, [u8]>) -> Result<Cow<'_, str>, JsonError> {
    let bad = |e: std::str::Utf8Error| JsonError::Utf8(e.valid_up_to());
    Ok(match key {
        Cow::Borrowed(key) => Cow::Borrowed(std::str::from_utf8(key).map_err(bad)?),
        Cow::Owned(key) => Cow::Owned(String::from_utf8(key).map_err(|e| bad(e.utf8_error()))?),
    })
}

/// Finds the elements of the array `json`.
///
/// # Errors
/// If `json` is not an array, or not JSON.
pub fn elements(json: &[u8]) -> Result<Vec<Span>, JsonError> {
    let mut walker = Walker::new(json);
    let found = elements_at(&mut walker)?;
    walker.end()?;
    Ok(found)
}

/// Steps over an array; the places of its elements.
pub(crate) fn elements_at(walker: &mut Walker<'_>) -> Result<Vec<Span>, JsonError> {
    let mut found = Vec::new();
    walker.array(|walker| {
        found.push(walker.value()?);
        Ok(())
    })?;
    Ok(found)
}

/// Whether a member that is none of `known` is another spelling of one, which a lenient parser
/// would take for it: other case, control characters inside (B5).
///
/// Router and backend would otherwise read different things from the same text.
pub(crate) fn is_variant_of(key: &[u8], known: &[&'static str]) -> bool {
    // Longer than any known member could be even if every letter took four bytes and had company.
    if key.len() > 256 {
        return false;
    }
    // What nearly every key is made of: nothing to be left out, and nothing folded to it.
    if key.iter().all(u8::is_ascii_graphic) {
        let same = |k: &&str| k.as_bytes().eq_ignore_ascii_case(key);
        return known.iter().any(same);
    }
    let key = String::from_utf8_lossy(key);
    // Upper case first: it also folds U+017F to S; lower case then folds the Kelvin sign to k.
    let folded: String = key
        .chars()
        .filter(|c| !c.is_control() && !c.is_whitespace() && !is_invisible(*c))
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect();
    known.iter().any(|k| k.eq_ignore_ascii_case(&folded))
}

/// Characters that show nothing: zero-width, bidirectional controls, tags, variation selectors.
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Replaces byte ranges of `text`. `edits` must be in order and not overlap; a range that breaks
/// this is left out.
///
/// The result is one buffer. Callers that write to a socket and change one range can pass three
/// slices instead.
pub fn splice(text: &Bytes, edits: &[(Span, &[u8])]) -> Bytes {
    if edits.is_empty() {
        return text.clone();
    }
    let grown: usize = edits.iter().map(|(_, new)| new.len()).sum();
    let mut out = BytesMut::with_capacity(text.len() + grown);
    let mut at = 0;
    for (span, new) in edits {
        if span.start < at || span.end < span.start || span.end > text.len() {
            debug_assert!(false, "edits must be sorted, disjoint and inside the text");
            continue;
        }
        out.extend_from_slice(&text[at..span.start]);
        out.extend_from_slice(new);
        at = span.end;
    }
    out.extend_from_slice(&text[at..]);
    out.freeze()
}

/// Adds, replaces or removes members of the object `json`; everything else stays byte for byte.
///
/// Each change is a key and its new value (`None` removes). Absent keys with a value are added at
/// the front. An object that needs no change is returned as it is.
///
/// # Errors
/// If `json` is not an object.
pub fn set_members(
    json: &RawJson,
    changes: &[(&str, Option<&[u8]>)],
) -> Result<RawJson, JsonError> {
    Ok(Object::of(json)?.set(changes))
}

/// Writes members, with a comma between each two.
pub(crate) fn write_members(members: &[(&str, &[u8])]) -> Vec<u8> {
    let length = |(key, value): &(&str, &[u8])| key.len() + value.len() + 4;
    let mut out = Vec::with_capacity(members.iter().map(length).sum());
    for (at, (key, value)) in members.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"" } else { b"," });
        if needs_escapes(key) {
            out.extend_from_slice(RawJson::of(key).bytes());
        } else {
            out.push(b'"');
            out.extend_from_slice(key.as_bytes());
            out.push(b'"');
        }
        out.push(b':');
        out.extend_from_slice(value);
    }
    out
}

/// Looks at every byte, found or not: many at a time that is, where to stop at the first is not.
fn needs_escapes(key: &str) -> bool {
    let is_special = |b: u8| b < b' ' || matches!(b, b'"' | b'\\');
    key.bytes().fold(false, |any, b| any | is_special(b))
}

/// An object whose members have been found.
pub(crate) struct Object<'a> {
    json: &'a RawJson,
    members: Vec<Member<'a>>,
}

type Change<'a> = (&'a str, Option<&'a [u8]>);

/// What a changed object is made of, in order.
enum Piece<'a> {
    /// As it was written.
    Kept(Span),
    New(&'a [u8]),
}

impl<'a> Object<'a> {
    /// # Errors
    /// If `json` is not an object.
    pub(crate) fn of(json: &'a RawJson) -> Result<Self, JsonError> {
        let members = members(&json.text, |_| true)?;
        Ok(Self { json, members })
    }

    /// The value of one member.
    pub(crate) fn get(&self, key: &str) -> Option<RawJson> {
        let member = self.members.iter().rfind(|m| m.key == key)?;
        Some(RawJson::from_checked(
            self.json.text.slice(member.value.clone()),
        ))
    }

    /// As [`set_members`].
    pub(crate) fn set(&self, changes: &[Change<'_>]) -> RawJson {
        let text = &self.json.text;
        let mut out = BytesMut::new();
        let changed = self.change(changes, |piece| {
            if out.capacity() == 0 {
                out.reserve(text.len() + 64);
            }
            out.extend_from_slice(match piece {
                Piece::Kept(span) => &text[span],
                Piece::New(new) => new,
            });
        });
        match changed {
            true => RawJson::from_checked(out.freeze()),
            false => self.json.clone(),
        }
    }

    /// The same as slices: what stays is not copied.
    pub(crate) fn set_in_slices(&self, changes: &[Change<'_>]) -> Vec<Bytes> {
        let text = &self.json.text;
        let (mut out, mut open) = (Vec::new(), 0..0);
        let changed = self.change(changes, |piece| match piece {
            Piece::Kept(span) if span.start == open.end => open.end = span.end,
            Piece::Kept(span) => {
                out.push(text.slice(std::mem::replace(&mut open, span)));
            }
            Piece::New(new) => {
                out.push(text.slice(open.clone()));
                out.push(Bytes::copy_from_slice(new));
                open = open.end..open.end;
            }
        });
        if !changed {
            return vec![text.clone()];
        }
        out.push(text.slice(open));
        out.retain(|slice| !slice.is_empty());
        out
    }

    /// Gives the pieces of the changed object to `put`; none, and says so, if nothing changes.
    fn change(&self, changes: &[Change<'_>], mut put: impl FnMut(Piece<'_>)) -> bool {
        let text = &self.json.text;
        let change_of = |m: &Member<'_>| changes.iter().find(|(k, _)| *k == m.key);
        let is_added = |key: &str| !self.members.iter().any(|m| m.key == key);
        let touched = self
            .members
            .iter()
            .any(|m| change_of(m).is_some_and(|(_, new)| *new != Some(&text[m.value.clone()])));
        let added = changes.iter().filter_map(|(k, v)| v.map(|v| (*k, v)));
        let added: Vec<_> = added.filter(|(k, _)| is_added(k)).collect();
        let mut first = added.is_empty();
        if !touched && first {
            return false;
        }
        put(Piece::New(b"{"));
        put(Piece::New(&write_members(&added)));
        let mut end = 1;
        for (at, member) in self.members.iter().enumerate() {
            // From behind the last value (or the brace): comma, space and key as they were written.
            let between = end..member.value.start;
            end = member.value.end;
            let change = change_of(member);
            if matches!(change, Some((_, None))) {
                continue;
            }
            if !first && at == 0 {
                put(Piece::New(b","));
            }
            let comma = first && at > 0;
            put(Piece::Kept(match comma {
                true => key_text(text, between),
                false => between,
            }));
            put(match change {
                Some((_, Some(new))) => Piece::New(new),
                _ => Piece::Kept(member.value.clone()),
            });
            first = false;
        }
        put(Piece::Kept(end..text.len()));
        true
    }
}

/// What stands between two values, less the comma that separates them.
fn key_text(text: &[u8], between: Span) -> Span {
    let quote = text[between.clone()].iter().position(|b| *b == b'"');
    between.start + quote.unwrap_or_default()..between.end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(text: &str) -> RawJson {
        RawJson::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    #[test]
    fn members_are_found_by_place_and_unescaped_key() {
        let text = br#"{ "a" : [1, 2] , "\u0062":"x" }"#;
        let found = members(text, |_| true).unwrap();
        assert_eq!(&text[found[0].value.clone()], b"[1, 2]");
        assert_eq!(found[1].key, "b");
        assert!(members(b"[1]", |_| true).is_err());
    }

    #[test]
    fn set_members_changes_nothing_else() {
        let json = raw(r#"{ "a": 1.50, "b" :[ ], "c":3}"#);
        let out = set_members(
            &json,
            &[("b", None), ("z", Some(b"true")), ("c", Some(b"4"))],
        );
        assert_eq!(out.unwrap().as_str(), r#"{"z":true, "a": 1.50, "c":4}"#);
        assert_eq!(
            set_members(&json, &[("q", None)]).unwrap().bytes(),
            json.bytes()
        );
        assert_eq!(
            set_members(&raw("{ }"), &[("q", Some(b"1"))])
                .unwrap()
                .as_str(),
            r#"{"q":1 }"#,
            "blanks stay too"
        );
    }

    #[test]
    fn b5_other_spellings_of_known_members_are_told() {
        let known = ["name", "params", "uri"];
        for twin in [
            "Name",
            "param\u{17f}",
            "name\0",
            "NAME",
            "na\u{200b}me",
            " uri",
        ] {
            assert!(is_variant_of(twin.as_bytes(), &known), "{twin:?}");
        }
        for other in ["names", "na_me", "n\u{e4}me"] {
            assert!(!is_variant_of(other.as_bytes(), &known), "{other:?}");
        }
    }

    #[test]
    fn a_strings_text_is_read_with_and_without_escapes() {
        for (value, read) in [
            (r#""a b""#, Some("a b")),
            (r#""\u0061\n""#, Some("a\n")),
            (r#""""#, Some("")),
            (r#""\ud800""#, None),
            ("1", None),
            ("\"", None),
        ] {
            assert_eq!(text(value.as_bytes()).as_deref(), read, "{value}");
        }
    }

    proptest! {
        #[test]
        fn splice_replaces_exactly_the_spans(
            text in "[a-z]{0,20}", cut in 0usize..20, len in 0usize..20, new in "[A-Z]{0,5}",
        ) {
            let start = cut.min(text.len());
            let end = (start + len).min(text.len());
            let out = splice(&Bytes::from(text.clone()), &[(start..end, new.as_bytes())]);
            let expected = format!("{}{}{}", &text[..start], new, &text[end..]);
            prop_assert_eq!(out, expected.into_bytes());
        }
    }
}
