//! Patterns over the names of tools, as Python's `fnmatch` reads them.
//!
//! Users bring their patterns from a Python router, so `*`, `?`, `[seq]` and `[!seq]` mean here
//! what they meant there, character by character, and nothing else is special: neither `{a,b}` nor
//! `**` nor `\`. Glob libraries for files disagree on each of these, and `?` is one *byte* to some.
//!
//! Matching goes back to the last star only, so a pattern full of stars costs at most its length
//! times that of the name (B34).

use std::fmt;
use std::str::FromStr;

/// Longest pattern, in bytes. Tool names are at most 1 KiB.
const MAX_PATTERN: usize = 1024;

/// A pattern that was checked and taken apart. Case counts.
#[derive(Clone, Eq, PartialEq)]
pub struct RoutePattern {
    text: String,
    tokens: Vec<Token>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Token {
    /// This character.
    Literal(char),
    /// Any one character.
    One,
    /// Any number of characters.
    Many,
    /// One character inside (or, negated, outside) the ranges.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPattern {
    /// Nothing there: it would match only the empty name, which no tool has.
    #[error("pattern is empty")]
    Empty,
    /// Longer than any name of a tool.
    #[error("pattern is longer than {MAX_PATTERN} bytes")]
    TooLong,
    /// A range whose end lies before its start, which matches nothing.
    #[error("pattern has the range `{0}-{1}`, which is empty")]
    EmptyRange(char, char),
}

// === impl RoutePattern ===

impl RoutePattern {
    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the pattern matches the whole of `name`.
    pub fn matches(&self, name: &str) -> bool {
        let mut tokens = self.tokens.as_slice();
        let mut rest = name.chars();
        // What to return to: the tokens after the last star, and the name from where it gave up.
        let mut retry: Option<(&[Token], std::str::Chars<'_>)> = None;
        loop {
            if let [Token::Many, after @ ..] = tokens {
                retry = Some((after, rest.clone()));
                tokens = after;
                continue;
            }
            let mut ahead = rest.clone();
            match (tokens.split_first(), ahead.next()) {
                (None, None) => return true,
                (Some((token, after)), Some(c)) if token.takes(c) => {
                    (tokens, rest) = (after, ahead);
                    continue;
                }
                _ => {}
            }
            // A mismatch: the last star takes one character more.
            let Some((after, from)) = &mut retry else {
                return false;
            };
            if from.next().is_none() {
                return false;
            }
            (tokens, rest) = (*after, from.clone());
        }
    }
}

impl FromStr for RoutePattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        if text.is_empty() {
            return Err(InvalidPattern::Empty);
        }
        if text.len() > MAX_PATTERN {
            return Err(InvalidPattern::TooLong);
        }
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            match c {
                '*' if tokens.last() == Some(&Token::Many) => {}
                '*' => tokens.push(Token::Many),
                '?' => tokens.push(Token::One),
                '[' => match class_end(rest) {
                    Some(end) => {
                        tokens.push(class(&rest[..end])?);
                        rest = &rest[end + 1..];
                    }
                    // As in Python, a bracket that is never closed is an ordinary character.
                    None => tokens.push(Token::Literal('[')),
                },
                c => tokens.push(Token::Literal(c)),
            }
        }
        Ok(Self {
            text: text.to_owned(),
            tokens,
        })
    }
}

impl fmt::Display for RoutePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RoutePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RoutePattern").field(&self.text).finish()
    }
}

// === impl Token ===

impl Token {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Literal(literal) => *literal == c,
            Self::One => true,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
            Self::Many => false,
        }
    }
}

/// Where the class ends that starts `rest`: a `]` right at its start is a member, not the end.
fn class_end(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('!').unwrap_or(rest);
    let skipped = rest.len() - body.len() + usize::from(body.starts_with(']'));
    rest[skipped..].find(']').map(|at| at + skipped)
}

/// The class between two brackets.
fn class(body: &str) -> Result<Token, InvalidPattern> {
    let (negated, body) = match body.strip_prefix('!') {
        Some(body) => (true, body),
        None => (false, body),
    };
    let mut ranges = Vec::new();
    let mut chars = body.chars();
    while let Some(low) = chars.next() {
        let mut ahead = chars.clone();
        match (ahead.next(), ahead.next()) {
            (Some('-'), Some(high)) => {
                if high < low {
                    return Err(InvalidPattern::EmptyRange(low, high));
                }
                ranges.push((low, high));
                chars = ahead;
            }
            _ => ranges.push((low, low)),
        }
    }
    Ok(Token::Class { negated, ranges })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        pattern.parse::<RoutePattern>().unwrap().matches(name)
    }

    #[test]
    fn patterns_mean_what_they_meant_in_python() {
        for (pattern, yes, no) in [
            (
                "analyze_*",
                &["analyze_", "analyze_x"][..],
                &["Analyze_x", "analyze"][..],
            ),
            ("*_user", &["get_user", "_user"], &["get_users", "user"]),
            ("query*", &["query", "query_all"], &["a_query"]),
            ("get_?", &["get_a", "get_é"], &["get_", "get_ab"]),
            ("[a-c]x", &["ax", "cx"], &["dx", "x"]),
            ("[!a-c]x", &["dx"], &["ax", "x"]),
            ("[]x]", &["]", "x"], &["[]x]"]),
            ("[!]]", &["x"], &["]"]),
            ("[a-]", &["a", "-"], &["b"]),
            ("[^a]", &["^", "a"], &["b"]),
            ("[abc", &["[abc"], &["a"]),
            ("{a,b}", &["{a,b}"], &["a"]),
            ("a\\*", &["a\\", "a\\b"], &["a*"]),
            ("**", &["", "x"], &[]),
            ("*a*b", &["ab", "aab", "xaxb", "abab"], &["ba", "aba"]),
            ("a/b*", &["a/b/c"], &["a"]),
        ] {
            for name in yes {
                assert!(matches(pattern, name), "{pattern} should match {name}");
            }
            for name in no {
                assert!(!matches(pattern, name), "{pattern} should not match {name}");
            }
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        assert_eq!("".parse::<RoutePattern>(), Err(InvalidPattern::Empty));
        assert_eq!(
            "x".repeat(1025).parse::<RoutePattern>(),
            Err(InvalidPattern::TooLong)
        );
        let range = "[z-a]".parse::<RoutePattern>();
        assert_eq!(range, Err(InvalidPattern::EmptyRange('z', 'a')));
    }

    #[test]
    fn b34_a_pattern_full_of_stars_is_no_bomb() {
        let pattern: RoutePattern = "*a".repeat(512).parse().unwrap();
        let name = format!("{}b", "a".repeat(1023));
        let start = Instant::now();
        assert!(!pattern.matches(&name));
        // Backtracking over every star would take longer than the universe has existed.
        assert!(start.elapsed() < Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_a_pattern(text in any::<String>(), name in any::<String>()) {
            if let Ok(pattern) = text.parse::<RoutePattern>() {
                pattern.matches(&name);
                prop_assert_eq!(pattern.to_string(), text);
            }
        }

        #[test]
        fn agrees_with_a_plain_recursive_matcher(
            pattern in "[ab*?]{1,8}", name in "[ab]{0,8}",
        ) {
            prop_assert_eq!(matches(&pattern, &name), plain(pattern.as_bytes(), name.as_bytes()));
        }
    }

    fn plain(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => {
                plain(rest, name) || (!name.is_empty() && plain(pattern, &name[1..]))
            }
            ([b'?', p @ ..], [_, n @ ..]) => plain(p, n),
            ([a, p @ ..], [b, n @ ..]) if a == b => plain(p, n),
            _ => false,
        }
    }
}
