//! Parameters as they were written, and what of them is to be read otherwise.
//!
//! Every call gets another name on its way, and its arguments may have megabytes: to put the name
//! in, all of them would be copied. So it is kept beside the text, and goes in between two slices
//! of it when the request is written.

use std::sync::OnceLock;

use bytes::Bytes;

use super::MetaChange;
use super::index::{Index, Place};
use crate::json::{RawJson, splice};

#[derive(Debug)]
pub(super) struct Indexed {
    /// As its sender wrote it.
    text: RawJson,
    pub(super) index: Index,
    /// The value that stands there instead.
    renamed: Option<(Place, RawJson)>,
    /// The text with that value, once somebody wanted it in one piece.
    whole: OnceLock<RawJson>,
}

impl Indexed {
    pub(super) const fn new(text: Bytes, index: Index) -> Self {
        Self {
            text: RawJson::from_checked(text),
            index,
            renamed: None,
            whole: OnceLock::new(),
        }
    }

    pub(super) fn json(&self) -> &RawJson {
        let Some((place, value)) = &self.renamed else {
            return &self.text;
        };
        self.whole.get_or_init(|| {
            let edit = (place.span(), &value.bytes()[..]);
            RawJson::from_checked(splice(self.text.bytes(), &[edit]))
        })
    }

    pub(super) fn value(&self, place: Place) -> RawJson {
        match &self.renamed {
            Some((renamed, value)) if *renamed == place => value.clone(),
            _ => RawJson::from_checked(self.text.bytes().slice(place.span())),
        }
    }

    pub(super) fn bytes(&self, place: Place) -> &[u8] {
        match &self.renamed {
            Some((renamed, value)) if *renamed == place => value.bytes(),
            _ => &self.text.bytes()[place.span()],
        }
    }

    /// The same with `value` at `place`.
    pub(super) fn rename(&self, place: Place, value: RawJson) -> Self {
        if let Some((other, old)) = &self.renamed
            && *other != place
        {
            // Two at once are rare enough to copy.
            let (span, length) = (other.span(), old.bytes().len());
            let index = self.index.clone().after(&span, length);
            let flat = Self::new(self.json().bytes().clone(), index);
            return match place.after(&span, length) {
                Some(place) => flat.rename(place, value),
                None => flat,
            };
        }
        Self {
            text: self.text.clone(),
            index: self.index.clone(),
            renamed: Some((place, value)),
            whole: OnceLock::new(),
        }
    }

    /// Adds the slices of [`json`](Self::json) to `out`, with `meta` made of the `_meta` at `old`.
    pub(super) fn slices(&self, old: Option<Place>, meta: &MetaChange, out: &mut Vec<Bytes>) {
        let text = self.text.bytes();
        let mut at = 0;
        let changed = match (meta, old) {
            (MetaChange::None, _) | (MetaChange::Added(_), None) => None,
            (MetaChange::Added(added), Some(place)) => {
                let behind = place.span().start + 1;
                Some((behind..behind, added.clone()))
            }
            (MetaChange::Whole(new), Some(place)) => Some((place.span(), new.bytes().clone())),
            (MetaChange::Whole(new), None) => {
                at = 1;
                let next = text[at..].iter().find(|b| !b.is_ascii_whitespace());
                let comma: &[u8] = if next == Some(&b'}') { b"" } else { b"," };
                out.push([&b"{\"_meta\":"[..], new.bytes(), comma].concat().into());
                None
            }
        };
        let renamed = self.renamed.as_ref();
        let renamed = renamed.map(|(place, value)| (place.span(), value.bytes().clone()));
        let mut edits = [renamed, changed];
        if let [Some((first, _)), Some((second, _))] = &edits
            && second.start < first.start
        {
            edits.swap(0, 1);
        }
        for (span, new) in edits.into_iter().flatten() {
            out.extend([text.slice(at..span.start), new]);
            at = span.end;
        }
        out.push(text.slice(at..));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RawParams;

    fn params(text: &str) -> RawParams {
        RawParams::parse(Some(Bytes::copy_from_slice(text.as_bytes()))).unwrap()
    }

    fn slices(params: &RawParams, meta: &MetaChange) -> Vec<Bytes> {
        let mut slices = Vec::new();
        params.slices(meta, &mut slices);
        slices
    }

    #[test]
    fn r19_arguments_are_not_copied_for_a_name() {
        let p = params(r#"{"name":"ns.tool","_meta":{"a":1},"arguments":{"x":1},"uri":"u"}"#);
        let renamed = p.with_name("first").with_name("tool");
        let written = r#"{"name":"tool","_meta":{"a":1},"arguments":{"x":1},"uri":"u"}"#;
        let parts = slices(&renamed, &MetaChange::None);
        assert_eq!(parts.concat(), written.as_bytes());
        assert_eq!(parts[2].as_ptr(), p.json().unwrap().bytes()[17..].as_ptr());
        assert_eq!(renamed.json().unwrap().as_str(), written);
        assert_eq!(renamed.name_text().as_deref(), Some("tool"));
        assert_eq!(renamed.meta().unwrap().as_str(), r#"{"a":1}"#);
        let both = renamed.with_uri("a longer one");
        let written = written.replace(r#""u""#, r#""a longer one""#);
        assert_eq!(both.json().unwrap().as_str(), written);
        assert_eq!(both.name().as_deref(), Some("tool"));
        assert_eq!(both.uri().as_deref(), Some("a longer one"));
    }

    #[test]
    fn r27_slices_have_another_meta_and_another_name() {
        let whole = MetaChange::Whole(RawJson::from_static(r#"{"b":2}"#));
        let added = MetaChange::Added(Bytes::from_static(b"\"b\":2,"));
        for (text, change, expected) in [
            (
                r#"{"name":"ns.t","_meta":{"a":1},"x":1}"#,
                &whole,
                r#"{"name":"t","_meta":{"b":2},"x":1}"#,
            ),
            (
                r#"{"_meta":{"a":1}, "name":"ns.t"}"#,
                &whole,
                r#"{"_meta":{"b":2}, "name":"t"}"#,
            ),
            (
                r#"{"_meta":{"a":1}, "name":"ns.t"}"#,
                &added,
                r#"{"_meta":{"b":2,"a":1}, "name":"t"}"#,
            ),
            (
                r#"{"name":"ns.t"}"#,
                &whole,
                r#"{"_meta":{"b":2},"name":"t"}"#,
            ),
            ("{ }", &whole, r#"{"_meta":{"b":2} }"#),
            (r#"{"name":"ns.t"}"#, &MetaChange::None, r#"{"name":"t"}"#),
        ] {
            let parts = slices(&params(text).with_name("t"), change);
            assert_eq!(String::from_utf8(parts.concat()).unwrap(), expected);
        }
        let parts = slices(&RawParams::default(), &whole);
        assert_eq!(parts.concat(), br#"{"_meta":{"b":2}}"#);
    }
}
