//! Names of fields in log lines and spans, and text that is safe to put into them.

use std::borrow::Cow;

use crate::plain::is_exotic;

/// The address a listener is bound to.
pub const ADDR: &str = "addr";
/// A backend's name in the operator's file.
pub const BACKEND: &str = "backend";
/// The client's own name (`clientInfo.name`).
pub const CLIENT: &str = "client";
/// The exposed name of a tool or prompt.
pub const TOOL: &str = "tool";
/// The method of a call.
pub const METHOD: &str = "method";
/// How a call ended: `ok`, `error`, `input_required`, `cancelled`, or the reason of a failure.
pub const OUTCOME: &str = "outcome";
/// The trace of a call that is recorded, as its collector knows it.
pub const TRACE_ID: &str = "trace_id";
/// How long a call took, in milliseconds.
pub const LATENCY_MS: &str = "latency_ms";
/// How many times a call was given to a backend.
pub const ATTEMPTS: &str = "attempts";

/// Longest text of foreign origin in a log line, in characters.
pub const MAX_FOREIGN: usize = 80;

/// Text that a client or backend chose, made safe for one log line: control and invisible
/// characters are escaped, so that none forges a line or hides a part of it (B36), and everything
/// beyond [`MAX_FOREIGN`] characters is cut. Ordinary names are borrowed, not copied.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_FOREIGN && !is_exotic(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(shown(text))
}

// Out of the way of ordinary names.
#[cold]
fn shown(text: &str) -> String {
    let mut out: String = text
        .chars()
        .take(MAX_FOREIGN)
        .flat_map(|c| {
            let plain = c == ' ' || c.is_alphanumeric() || c.is_ascii_punctuation();
            let escaped = (!plain).then(|| c.escape_unicode());
            let kept = plain.then_some(c);
            escaped.into_iter().flatten().chain(kept)
        })
        .collect();
    if text.chars().nth(MAX_FOREIGN).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b36_foreign_text_forges_no_line_and_hides_nothing() {
        for (text, shown) in [
            ("search.query", "search.query"),
            ("größe", "größe"),
            ("a\nERROR b", "a\\u{a}ERROR b"),
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("a\u{202e}b\u{200b}", "a\\u{202e}b\\u{200b}"),
        ] {
            assert_eq!(printable(text), shown);
        }
        assert!(matches!(printable("plain"), Cow::Borrowed(_)));
        assert_eq!(printable(&"x".repeat(500)).chars().count(), MAX_FOREIGN + 1);
    }
}
