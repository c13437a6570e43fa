//! Names as one kind of client can take them.
//!
//! `ns.tool` is a fine name to MCP, and no name at all to some hosts and to the model APIs behind
//! them: those take `[a-zA-Z0-9_-]` and count to 64, and one name that does not fit costs an agent
//! the whole list. So such clients get every name in another spelling. It depends on the name
//! alone, not on what else is offered or when it came, so that what an agent has learnt or a user
//! has allowed stays true; only names that are made to look like each other are told apart by
//! their order.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::name::{SEPARATOR, fnv1a};

/// What stands for [`SEPARATOR`] in a fitted name.
pub const FITTED_SEPARATOR: &str = "__";
/// Longest name that model APIs take.
pub const MAX_FITTED: usize = 64;
/// Room that every fitted name gets, however little the host leaves: a hash and some text.
const MIN_FITTED: usize = 24;
/// `_` and ten hexadecimal digits.
const MARK: usize = 11;

/// How names are spelled for a client.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Spelling(Option<usize>);

impl Spelling {
    /// Names as they are: `ns.tool`.
    pub const PLAIN: Self = Self(None);

    /// `[a-zA-Z0-9_-]` in at most `max` bytes. Less than 24 is taken for 24, more than
    /// [`MAX_FITTED`] for that.
    #[must_use]
    pub fn fitted(max: usize) -> Self {
        Self(Some(max.clamp(MIN_FITTED, MAX_FITTED)))
    }

    /// Whether names are changed at all.
    pub const fn is_plain(self) -> bool {
        self.0.is_none()
    }

    /// Whether a name can stay as it is.
    pub fn accepts(self, name: &str) -> bool {
        self.0
            .is_none_or(|max| name.len() <= max && name.bytes().all(is_fit))
    }

    /// The spelling of one name: itself if that will do; else with `__` in place of each `.`, if
    /// the name can be told from it; else as much of it as fits and a hash of the whole.
    pub fn spell(self, name: &str) -> Cow<'_, str> {
        if self.accepts(name) {
            return Cow::Borrowed(name);
        }
        let readable = self.readable(name).map(Cow::Owned);
        readable.unwrap_or_else(|| Cow::Owned(self.marked(name, 0)))
    }

    /// The spellings of `names`, in their order. They are distinct if the names are. A name whose
    /// spelling is another's name gives way; of names with one hash the first keeps it.
    pub fn spell_all<'a>(self, names: &[&'a str]) -> Vec<Cow<'a, str>> {
        let mut taken: HashSet<Cow<'a, str>> = HashSet::with_capacity(names.len());
        let kept = names.iter().filter(|name| self.accepts(name));
        taken.extend(kept.map(|name| Cow::Borrowed(*name)));
        let mut all: Vec<Option<Cow<'a, str>>> = Vec::with_capacity(names.len());
        for name in names {
            if self.accepts(name) {
                all.push(Some(Cow::Borrowed(*name)));
                continue;
            }
            let readable = self.readable(name).map(Cow::Owned);
            all.push(readable.filter(|spelled: &Cow<'a, str>| taken.insert(spelled.clone())));
        }
        let rest = names.iter().zip(all).map(|(name, spelled)| {
            spelled.unwrap_or_else(|| {
                let mut rounds = (0..).map(|round| Cow::Owned(self.marked(name, round)));
                // A hash has more values than there are names.
                let free = rounds.find(|spelled: &Cow<'a, str>| taken.insert(spelled.clone()));
                free.unwrap_or(Cow::Borrowed(*name))
            })
        });
        rest.collect()
    }

    /// With `__` for `.`, if that fits and no other name could have become the same.
    fn readable(self, name: &str) -> Option<String> {
        let tells = |piece: &str| {
            let edged = piece.starts_with('_') || piece.ends_with('_');
            !piece.is_empty()
                && !edged
                && !piece.contains(FITTED_SEPARATOR)
                && piece.bytes().all(is_fit)
        };
        if !name.split(SEPARATOR).all(tells) {
            return None;
        }
        let spelled = name.replace(SEPARATOR, FITTED_SEPARATOR);
        (spelled.len() <= self.0?).then_some(spelled)
    }

    /// As much of the name as fits, and what tells it from others.
    fn marked(self, name: &str, round: u32) -> String {
        let max = self.0.unwrap_or(MAX_FITTED);
        let mut text = String::with_capacity(max);
        for c in name.chars() {
            match c {
                '.' => text.push_str(FITTED_SEPARATOR),
                c if c.is_ascii() && is_fit(c as u8) => text.push(c),
                _ => text.push('_'),
            }
            if text.len() >= max - MARK {
                break;
            }
        }
        text.truncate(max - MARK);
        let hash = mix(fnv1a(name.as_bytes()).wrapping_add(u64::from(round)));
        format!("{}_{:010x}", text.trim_end_matches('_'), hash >> 24)
    }
}

fn is_fit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Spreads every bit over all: FNV leaves the ends of short texts in its lower half.
const fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn spelled(name: &str) -> String {
        Spelling::fitted(64).spell(name).into_owned()
    }

    #[test]
    fn names_stay_readable_wherever_they_can_be_told_apart() {
        assert_eq!(spelled("db.query"), "db__query");
        assert_eq!(spelled("a.b.tool_1"), "a__b__tool_1");
        assert_eq!(spelled("list_backends"), "list_backends");
        assert_eq!(Spelling::PLAIN.spell("db.query"), "db.query");
    }

    #[test]
    fn what_could_be_another_name_gets_a_hash() {
        for name in [
            "a.b__c",
            "a__b.c",
            "a._b",
            "a_.b",
            "a.b c",
            "a.größe",
            "a..b",
            "a.",
        ] {
            let spelling = spelled(name);
            let (_, hash) = spelling.rsplit_once('_').unwrap();
            assert_eq!(hash.len(), 10, "{name}: {spelling}");
            assert!(hash.bytes().all(|b| b.is_ascii_hexdigit()), "{spelling}");
        }
        assert!(spelled("a.Create share").starts_with("a__Create_share_"));
    }

    /// Changing these changes what agents have learnt.
    #[test]
    fn hashes_are_the_same_for_ever() {
        assert_eq!(spelled("a.b__c"), "a__b__c_8316c0faed");
        let long = format!("ns.{}", "x".repeat(100));
        let expected = format!("ns__{}_6d45e298ae", "x".repeat(49));
        assert_eq!(spelled(&long), expected);
    }

    #[test]
    fn a_name_that_looks_like_anothers_spelling_keeps_it() {
        let hashed = spelled("a.b c");
        for names in [["a.b", "a__b"], ["a__b", "a.b"]] {
            let all = Spelling::fitted(64).spell_all(&names);
            let of = |name| &*all[names.iter().position(|n| *n == name).unwrap()];
            assert_eq!(of("a__b"), "a__b");
            assert!(of("a.b").starts_with("a__b_"), "{all:?}");
        }
        let all = Spelling::fitted(64).spell_all(&["a.b c", &hashed]);
        assert_eq!(all[1], hashed);
        assert_ne!(all[0], hashed);
    }

    fn name() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-c_-]{1,3}(\\.[a-b_]{0,3}){0,3}",
            "[ -~]{1,200}",
            "[a-z]{1,3}\\.[a-z]{40,130}",
            "\\PC{1,40}",
        ]
    }

    proptest! {
        #[test]
        fn any_set_of_names_gets_distinct_spellings_that_fit(
            names in prop::collection::btree_set(name(), 0..40), max in 0usize..100,
        ) {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            let spelling = Spelling::fitted(max);
            let all = spelling.spell_all(&names);
            let distinct: BTreeSet<_> = all.iter().collect();
            prop_assert_eq!(distinct.len(), names.len());
            for (name, spelled) in names.iter().zip(&all) {
                prop_assert!(!spelled.is_empty() && spelling.accepts(spelled), "{}", spelled);
                prop_assert!(!spelling.accepts(name) || spelled == name);
            }
            // And whatever the order of arrival: only what looks alike depends on it.
            let reversed: Vec<_> = names.iter().rev().copied().collect();
            let mut again = spelling.spell_all(&reversed);
            again.reverse();
            let alone = names.iter().map(|name| spelling.spell(name));
            for ((one, other), alone) in all.iter().zip(&again).zip(alone) {
                prop_assert!(one == other || *one != alone || *other != alone);
            }
        }

        #[test]
        fn readable_spellings_read_back(name in "[a-z0-9-]{1,9}(\\.[a-z0-9]{1,9}(_[a-z0-9]{1,3})?){1,3}") {
            prop_assert_eq!(spelled(&name).replace("__", "."), name);
        }
    }
}
