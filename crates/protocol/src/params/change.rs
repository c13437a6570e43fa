//! What a hop has to change in `_meta`.
//!
//! Nearly every client says there what the router says to the backend, so that hardly anything
//! changes. What the pass that checked the message noted is enough to see that, and to put a member
//! in front; only what is replaced or taken out is looked for once more.

use bytes::Bytes;

use super::{META, RARE, RawParams};
use crate::json::{JsonError, RawJson, set_members, write_members};

/// What makes a `_meta` say what it should.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MetaChange {
    /// Nothing: it says so.
    None,
    /// These members, put behind its opening brace. They end in a comma if others follow.
    Added(Bytes),
    /// Another one in its place, or the first.
    Whole(RawJson),
}

impl RawParams {
    /// How `_meta` must change to have these members of a hop set (`Some`), or not have them
    /// (`None`). Apart from them it stays as it is; without a `_meta` and any to be set there will
    /// be none.
    ///
    /// # Errors
    /// None for parameters that were parsed.
    pub fn meta_change(&self, changes: &[(&str, Option<&[u8]>)]) -> Result<MetaChange, JsonError> {
        let Some(old) = self.meta() else {
            let added: Vec<_> = changes
                .iter()
                .filter_map(|(k, v)| Some((*k, (*v)?)))
                .collect();
            return Ok(match added.is_empty() {
                true => MetaChange::None,
                false => MetaChange::Whole(object(&added)),
            });
        };
        if let Some(added) = self.only_added(changes) {
            return Ok(match added.is_empty() {
                true => MetaChange::None,
                false => MetaChange::Added(in_front(&old, &added)),
            });
        }
        let new = set_members(&old, changes)?;
        Ok(match new == old {
            true => MetaChange::None,
            false => MetaChange::Whole(new),
        })
    }

    /// The members that are missing, if nothing else has to change.
    fn only_added<'c>(
        &self,
        changes: &[(&'c str, Option<&'c [u8]>)],
    ) -> Option<Vec<(&'c str, &'c [u8])>> {
        let own = self.0.as_ref()?;
        let mut added = Vec::new();
        for (key, new) in changes {
            let place = match META.iter().position(|known| known == key) {
                Some(at) => own.index.meta[at],
                None if RARE.contains(key) && !own.index.rare => None,
                None => return None,
            };
            let old = place.map(|place| own.bytes(place));
            match (old, new) {
                (None, Some(new)) => added.push((*key, *new)),
                (old, new) if old == *new => {}
                _ => return None,
            }
        }
        Some(added)
    }
}

/// The members as they go behind the brace of `meta`.
fn in_front(meta: &RawJson, added: &[(&str, &[u8])]) -> Bytes {
    let mut text = write_members(added);
    let behind = meta.bytes().get(1..).unwrap_or_default();
    let next = behind.iter().find(|b| !b.is_ascii_whitespace());
    if next != Some(&b'}') {
        text.push(b',');
    }
    text.into()
}

fn object(members: &[(&str, &[u8])]) -> RawJson {
    let text = [&b"{"[..], &write_members(members), b"}"].concat();
    RawJson::from_checked(text.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::params::meta;

    /// The `_meta` that is written after the change.
    fn changed(params: &RawParams, change: &MetaChange) -> Option<String> {
        let mut slices = Vec::new();
        params.slices(change, &mut slices);
        let written = RawParams::parse(Some(slices.concat().into())).unwrap();
        written.meta().map(|meta| meta.as_str().to_owned())
    }

    /// What the general way makes of it.
    fn expected(params: &RawParams, changes: &[(&str, Option<&[u8]>)]) -> Option<String> {
        let changed = params.with_meta(changes).unwrap();
        changed.meta().map(|meta| meta.as_str().to_owned())
    }

    #[test]
    fn r27_a_meta_that_says_so_stays_and_what_is_missing_comes_in_front() {
        let version: (&str, Option<&[u8]>) = (meta::PROTOCOL_VERSION, Some(b"\"1\""));
        let trace: (&str, Option<&[u8]>) = (meta::TRACEPARENT, Some(b"\"t\""));
        let says = format!(r#"{{"_meta":{{ "{}":"1", "x/y": 1.0}}}}"#, version.0);
        let params = RawParams::parse(Some(says.into())).unwrap();
        assert_eq!(params.meta_change(&[version]).unwrap(), MetaChange::None);
        let added = MetaChange::Added(Bytes::from_static(br#""traceparent":"t","#));
        assert_eq!(params.meta_change(&[version, trace]).unwrap(), added);
        let nothing: (&str, Option<&[u8]>) = (version.0, None);
        let gone = MetaChange::Whole(RawJson::from_static(r#"{"x/y": 1.0}"#));
        assert_eq!(params.meta_change(&[nothing]).unwrap(), gone);
    }

    proptest! {
        #[test]
        fn r27_every_change_comes_to_what_setting_the_members_would(
            olds in prop::collection::vec(prop::option::of(0..3u8), 6),
            news in prop::collection::vec(prop::option::of(0..3u8), 5),
            is_there in any::<bool>(),
            blank in prop::sample::select(vec!["", " ", "\n"]),
        ) {
            let keys = [
                meta::PROTOCOL_VERSION,
                meta::CLIENT_INFO,
                meta::PROGRESS_TOKEN,
                meta::SUBSCRIPTION_ID,
                meta::TRACEPARENT,
                "x/y",
            ];
            let member = |(key, old): (&&str, &Option<u8>)| {
                old.map(|old| format!(r#"{blank}"{key}":{blank}{old}"#))
            };
            let members: Vec<_> = keys.iter().zip(&olds).filter_map(member).collect();
            let text = match is_there {
                true => format!(r#"{{"a":1,"_meta":{{{}{blank}}}}}"#, members.join(",")),
                false => r#"{"a":1}"#.to_owned(),
            };
            let params = RawParams::parse(Some(text.into())).unwrap();
            let values = [&b"0"[..], b"1", b"2"];
            let news = news.iter().map(|new| new.map(|n| values[usize::from(n)]));
            let changes: Vec<_> = keys.into_iter().zip(news).collect();
            let change = params.meta_change(&changes).unwrap();
            let same = matches!(change, MetaChange::None);
            prop_assert_eq!(same, params.with_meta(&changes).unwrap().meta() == params.meta());
            if is_there || !same {
                prop_assert_eq!(changed(&params, &change), expected(&params, &changes));
            }
        }
    }
}
