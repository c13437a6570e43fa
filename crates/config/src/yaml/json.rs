//! JSON, as people and editors write it.
//!
//! JSON is nearly YAML. What is not (tabs, surrogate pairs) and what VS Code adds (comments,
//! trailing commas) is taken out here, character for character where possible, so that places stay
//! true.

use serde::de::IgnoredAny;

/// The text as plain JSON that is also YAML; `None` if it is not JSON at all.
pub(super) fn normalize(text: &str) -> Option<String> {
    if !text.trim_start().starts_with(['{', '[', '/']) {
        return None;
    }
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    // Where in `out` the last thing stands that is neither space nor comment.
    let mut last = None;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let end = string_end(bytes, at);
                last = Some(out.len());
                push_string(&mut out, &text[at..end]);
                at = end;
                continue;
            }
            b'/' if matches!(bytes.get(at + 1), Some(b'/' | b'*')) => {
                let end = comment_end(text, at);
                // Line by line and character by character, so that columns stay.
                let blank = |c: char| if c == '\n' { b'\n' } else { b' ' };
                out.extend(text[at..end].chars().map(blank));
                at = end;
                continue;
            }
            b'\t' | b' ' => out.push(b' '),
            b'\r' if bytes.get(at + 1) == Some(&b'\n') => {}
            b'\r' | b'\n' => out.push(b'\n'),
            _ => {
                if matches!(byte, b'}' | b']')
                    && let Some(comma) = last.filter(|last| out.get(*last) == Some(&b','))
                {
                    out[comma] = b' ';
                }
                last = Some(out.len());
                out.push(byte);
            }
        }
        at += 1;
    }
    let out = String::from_utf8(out).ok()?;
    serde_json::from_str::<IgnoredAny>(&out).ok()?;
    Some(out)
}

/// Where the string that starts at `start` is over, behind its closing quote.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    // Never closed: the parser will say so. A backslash at the very end must not lead beyond it.
    bytes.len()
}

/// Where the comment that starts at `start` is over.
fn comment_end(text: &str, start: usize) -> usize {
    let rest = &text[start..];
    let length = if rest.starts_with("//") {
        rest.find('\n')
    } else {
        rest[2..].find("*/").map(|end| end + 4)
    };
    length.map_or(text.len(), |length| start + length)
}

/// A string as it is, but for pairs of surrogates, which YAML does not know: they become the
/// character they stand for.
fn push_string(out: &mut Vec<u8>, string: &str) {
    let mut rest = string;
    while let Some(backslash) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..backslash]);
        rest = &rest[backslash..];
        match surrogates(rest) {
            Some(c) => {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[12..];
            }
            None => {
                // The backslash and what it escapes, so that an escaped one starts nothing.
                let length = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                out.extend_from_slice(&rest.as_bytes()[..length]);
                rest = &rest[length..];
            }
        }
    }
    out.extend_from_slice(rest.as_bytes());
}

/// The character of `\uD83D\uDE00` at the start of `text`.
fn surrogates(text: &str) -> Option<char> {
    let unit = |at: usize| {
        let hex = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(hex, 16).ok()
    };
    let pair = [unit(0)?, unit(6)?];
    if !(0xd800..0xdc00).contains(&pair[0]) {
        return None;
    }
    char::decode_utf16(pair).next()?.ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_vs_code_writes_is_json() {
        let text = "// top\n{\t\"a\": [1, 2,], /* x\ny */ \"b\": \"http://c\", // z\r\n}";
        let json = normalize(text).unwrap();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value, serde_json::json!({"a": [1, 2], "b": "http://c"}));
        assert_eq!(json.lines().count(), text.lines().count());
        assert_eq!(json.lines().nth(1).unwrap().find("\"a\""), Some(2));
    }

    #[test]
    fn surrogate_pairs_become_characters() {
        let json = normalize(r#"{"a": "\ud83d\ude00 \\ud83d \/"}"#).unwrap();
        assert_eq!(json, "{\"a\": \"😀 \\\\ud83d \\/\"}");
    }

    #[test]
    fn flow_yaml_is_not_taken_for_json() {
        for text in [
            "{a: http://x}",
            "{\"a\": 'b'}",
            "a: 1",
            "",
            "{\"a\": \"",
            "{\"a\\",
            "[1,,]",
        ] {
            assert_eq!(normalize(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_json_or_is_not(text in r#"[\[\]{}",:/*\\u0-9a-fD \t\r\n-]{0,60}"#) {
            if let Some(json) = normalize(&text) {
                prop_assert!(serde_json::from_str::<IgnoredAny>(&json).is_ok());
            }
        }

        #[test]
        fn json_keeps_its_meaning(text in any::<String>(), n in any::<u32>()) {
            let value = serde_json::json!({"k": [text, n, {"x": null}]});
            let json = normalize(&serde_json::to_string_pretty(&value).unwrap()).unwrap();
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), value);
        }
    }
}
