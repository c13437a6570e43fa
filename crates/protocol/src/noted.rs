//! What the pass that checks a result notes of it.
//!
//! Each hop asks a result the same few questions: does it say that the tool failed, has it members
//! of another revision, does it name resources? Every answer was a search through the whole text,
//! which may have megabytes. The pass that checks the text sees all of it anyway.

use crate::json::JsonError;
use crate::walk::Walker;

/// What is asked of results.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Noted {
    /// A member `resultType`.
    ResultType,
    /// A member `ttlMs`.
    TtlMs,
    /// A member `cacheScope`.
    CacheScope,
    /// A member `_meta`.
    Meta,
    /// A member `structuredContent`.
    StructuredContent,
    /// A member `isError` that is true.
    IsError,
    /// A member at any depth whose name ends as `uri` and `resourceUri` do.
    Uri,
}

impl Noted {
    const fn bit(self) -> u8 {
        1 << self as u8
    }

    fn named(key: &[u8], first: Option<u8>) -> Option<Self> {
        Some(match key {
            b"resultType" => Self::ResultType,
            b"ttlMs" => Self::TtlMs,
            b"cacheScope" => Self::CacheScope,
            b"_meta" => Self::Meta,
            b"structuredContent" => Self::StructuredContent,
            b"isError" if first == Some(b't') => Self::IsError,
            _ => return None,
        })
    }
}

/// The answers, if they are known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Notes(u8);

/// Set where they are.
const KNOWN: u8 = 1 << 7;

impl Notes {
    pub(crate) const UNKNOWN: Self = Self(0);

    /// Steps over a result, which is an object.
    ///
    /// # Errors
    /// If it is no JSON.
    pub(crate) fn of(walker: &mut Walker<'_>) -> Result<Self, JsonError> {
        let (mut notes, mut twice) = (KNOWN, false);
        walker.object(|walker, key| {
            let (_, first) = walker.next();
            let bit = Noted::named(&key, first).map_or(0, Noted::bit);
            twice |= notes & bit != 0;
            notes |= bit;
            walker.value().map(drop)
        })?;
        // Whoever deals with it has to look at both.
        if twice {
            return Ok(Self::UNKNOWN);
        }
        if walker.names_uri() {
            notes |= Noted::Uri.bit();
        }
        Ok(Self(notes))
    }

    /// Whether it is so, if that is known.
    pub(crate) const fn says(self, what: Noted) -> Option<bool> {
        match self.0 & KNOWN {
            0 => None,
            _ => Some(self.0 & what.bit() != 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;

    const ALL: [Noted; 7] = [
        Noted::ResultType,
        Noted::TtlMs,
        Noted::CacheScope,
        Noted::Meta,
        Noted::StructuredContent,
        Noted::IsError,
        Noted::Uri,
    ];

    #[test]
    fn nothing_is_noted_of_a_result_with_a_member_twice() {
        let text = r#"{"jsonrpc":"2.0","id":1,"result":{"_meta":{},"_meta":{}}}"#;
        let Ok(Message::Response { answer, .. }) = Message::parse(&text.into()) else {
            panic!("a result is its client's to judge");
        };
        let answer = answer.unwrap();
        assert!(ALL.iter().all(|what| answer.says(*what).is_none()));
    }

    #[test]
    fn what_a_result_has_is_noted_and_nothing_else() {
        for (result, noted) in [
            (r#"{}"#, &[][..]),
            (
                r#"{"isError":false,"content":[{"text":"\"_meta\":1"}]}"#,
                &[],
            ),
            (r#"{"content":[{"_meta":{},"resultType":1}]}"#, &[]),
            (
                r#"{"resultType":"complete","_meta":{}}"#,
                &[Noted::ResultType, Noted::Meta],
            ),
            (
                r#"{"\u0072esultType":"x"}"#,
                &[Noted::ResultType, Noted::Uri],
            ),
            (
                r#"{"ttlMs":1,"cacheScope":"x"}"#,
                &[Noted::TtlMs, Noted::CacheScope],
            ),
            (
                r#"{"structuredContent":{}, "isError" : true}"#,
                &[Noted::StructuredContent, Noted::IsError],
            ),
            (
                r#"{"content":[{"type":"resource_link","uri":"a:1"}]}"#,
                &[Noted::Uri],
            ),
            (r#"{"a":[{"b":{"resourceUri":1}}]}"#, &[Noted::Uri]),
        ] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
            let Ok(Message::Response { answer, .. }) = Message::parse(&text.into()) else {
                panic!("{result} is a result");
            };
            let answer = answer.unwrap();
            assert_eq!(answer.as_str(), result);
            for what in ALL {
                assert_eq!(
                    answer.says(what),
                    Some(noted.contains(&what)),
                    "{result} {what:?}"
                );
            }
            let unread = crate::RawJson::from_checked(answer.into_bytes());
            assert_eq!(unread.says(Noted::Meta), None);
        }
    }
}
