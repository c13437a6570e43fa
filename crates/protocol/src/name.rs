//! Names: of backends, of namespaces, and of what clients see.
//!
//! `ToolName`s of two backends may be equal; what clients see must not. Only this module joins
//! and splits names, so no other crate ever guesses where a namespace ends.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::json::is_invisible;
use crate::spelling::FITTED_SEPARATOR;

/// Longest exposed name; a longer one is cut and gets a hash (protocol: our choice).
pub const MAX_EXPOSED: usize = 128;
/// Longest name of a tool or prompt that is taken from a backend (B27).
pub const MAX_NAME: usize = 1024;
/// What stands between namespace and name.
pub const SEPARATOR: &str = ".";

/// Why a name is not acceptable.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// Nothing there.
    #[error("name is empty")]
    Empty,
    /// Longer than its kind allows.
    #[error("name is longer than {0} bytes")]
    TooLong(usize),
    /// A character its kind does not allow.
    #[error("name has the character {0:?}, which is not allowed")]
    Character(char),
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;
            fn from_str(s: &str) -> Result<Self, InvalidName> {
                let check: fn(&str) -> Result<(), InvalidName> = $check;
                check(s)?;
                Ok(Self(s.into()))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The name of a backend in the operator's file: one visible line, at most 128 bytes.
    BackendName,
    |s| check(s, 128, |c| !c.is_control() && !is_invisible(c))
);
name!(
    /// The prefix of what a backend offers: `[a-z0-9_-]`, at most 64 bytes.
    Namespace,
    |s| check(s, 64, |c| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-'))
);
name!(
    /// A name as clients see it, unique in the catalogue. Any text that [`check_item_name`]
    /// accepts, exposed by [`expose`].
    QualifiedName,
    |s| check(s, MAX_NAME + 65, |_| true)
);

fn check(s: &str, max: usize, allowed: impl Fn(char) -> bool) -> Result<(), InvalidName> {
    if s.is_empty() {
        return Err(InvalidName::Empty);
    }
    if s.len() > max {
        return Err(InvalidName::TooLong(max));
    }
    match s.chars().find(|c| !allowed(*c)) {
        Some(c) => Err(InvalidName::Character(c)),
        None => Ok(()),
    }
}

/// Whether a tool's or prompt's own name can be exposed (B26, B27): not empty, at most 1 KiB,
/// nothing invisible in it. Homoglyphs are the operator's business: names compare as bytes.
///
/// # Errors
/// Says what is wrong with the name.
pub fn check_item_name(name: &str) -> Result<(), InvalidName> {
    check(name, MAX_NAME, |c| !c.is_control() && !is_invisible(c))
}

/// The name under which an item of a backend is offered: `namespace.name`, or the name itself
/// without namespaces. Longer than [`MAX_EXPOSED`] bytes, it is cut and ends in a hash of the
/// whole, so that two long names stay two.
pub fn expose(namespace: Option<&Namespace>, name: &str) -> QualifiedName {
    let whole = match namespace {
        Some(ns) => format!("{ns}{SEPARATOR}{name}"),
        None => name.to_owned(),
    };
    if whole.len() <= MAX_EXPOSED {
        return QualifiedName(whole.into());
    }
    let hash = format!("-{:016x}", fnv1a(whole.as_bytes()));
    let cut = whole.floor_char_boundary(MAX_EXPOSED - hash.len());
    QualifiedName(format!("{}{hash}", &whole[..cut]).into())
}

/// Splits an exposed name, in any spelling, at a namespace that `known` accepts. Only for names
/// that the catalogue does not hold: routing is by look-up of the whole name (B25). Of namespaces
/// that fit a fitted name the longest is taken.
pub fn split(name: &str, known: impl Fn(&str) -> bool) -> Option<(Namespace, &str)> {
    let at = |(prefix, rest): (&str, &str)| !rest.is_empty() && known(prefix);
    let plain = name.split_once(SEPARATOR).filter(|parts| at(*parts));
    let (prefix, rest) = plain.or_else(|| {
        let separators = name.match_indices(FITTED_SEPARATOR);
        let cuts = separators.map(|(from, s)| (&name[..from], &name[from + s.len()..]));
        cuts.filter(|parts| at(*parts)).last()
    })?;
    Some((prefix.parse().ok()?, rest))
}

/// Turns any text into a namespace: letters in lower case, `[a-z0-9_-]`, everything else a `-`.
pub fn slug(text: &str) -> Option<Namespace> {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' | '_' | '-' => out.push(c),
            _ if out.ends_with('-') || out.is_empty() => {}
            _ => out.push('-'),
        }
    }
    out.truncate(64);
    out.trim_end_matches('-').parse().ok()
}

/// 64-bit FNV-1a: short, stable over releases and machines. Not for anything secret.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn b26_b27_names_that_deceive_or_are_empty_are_refused() {
        for name in [
            "",
            "a\u{200b}b",
            "a\u{202e}b",
            "a\nb",
            "\u{e0041}",
            &"x".repeat(1025),
        ] {
            assert!(check_item_name(name).is_err(), "{name:?}");
        }
        for name in [
            "../x",
            "a.b.c",
            "\u{430}dmin",
            "with space",
            &"x".repeat(1024),
        ] {
            assert!(check_item_name(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn slugs_are_namespaces() {
        assert_eq!(slug("My Server (2)").unwrap().as_str(), "my-server-2");
        assert!(slug("***").is_none());
    }

    #[test]
    fn b25_split_only_at_a_known_namespace() {
        assert_eq!(split("a.b.c", |n| n == "a").unwrap().1, "b.c");
        assert!(split("a.b", |_| false).is_none());
        assert!(split("a.", |_| true).is_none());
        assert_eq!(split("a__b__c", |n| n == "a").unwrap().1, "b__c");
        assert_eq!(
            split("a__b__c", |n| n == "a" || n == "a__b").unwrap().1,
            "c"
        );
        assert!(split("b__", |_| true).is_none());
    }

    proptest! {
        #[test]
        fn exposed_names_are_short_unique_and_split_back(
            ns in "[a-z0-9_-]{1,64}", a in "[ -~]{1,300}", b in "[ -~]{1,300}",
        ) {
            let ns: Namespace = ns.parse().unwrap();
            let (x, y) = (expose(Some(&ns), &a), expose(Some(&ns), &b));
            prop_assert!(x.as_str().len() <= MAX_EXPOSED);
            prop_assert_eq!(a == b, x == y);
            if ns.as_str().len() + 1 + a.len() <= MAX_EXPOSED {
                let (back, name) = split(x.as_str(), |n| n == ns.as_str()).unwrap();
                prop_assert_eq!((&back, name), (&ns, a.as_str()));
            }
        }
    }
}
