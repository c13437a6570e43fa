//! Values of `Mcp-*` headers (2026-07-28, "Value Encoding").

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

const PREFIX: &str = "=?base64?";
const SUFFIX: &str = "?=";

/// A header value that starts as a sentinel and does not decode (R9).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("header value is no valid Base64 of UTF-8 text")]
pub struct InvalidSentinel;

/// Spells `value` so that it survives as a header: as it is where it is visible ASCII with inner
/// spaces or tabs, else as `=?base64?…?=`. Text that looks like a sentinel is encoded too.
pub fn encode(value: &str) -> Cow<'_, str> {
    let plain = value.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~'))
        && !value.starts_with([' ', '\t'])
        && !value.ends_with([' ', '\t'])
        && sentinel(value).is_none();
    if plain {
        Cow::Borrowed(value)
    } else {
        Cow::Owned(format!("{PREFIX}{}{SUFFIX}", STANDARD.encode(value)))
    }
}

/// Reads a header value: trimmed, and decoded where it is a whole sentinel. An incomplete
/// sentinel is ordinary text (R9).
///
/// # Errors
/// If a whole sentinel holds no Base64 of UTF-8 text.
pub fn decode(value: &str) -> Result<Cow<'_, str>, InvalidSentinel> {
    let value = value.trim_matches([' ', '\t']);
    let Some(inner) = sentinel(value) else {
        return Ok(Cow::Borrowed(value));
    };
    let bytes = STANDARD.decode(inner).map_err(|_| InvalidSentinel)?;
    String::from_utf8(bytes)
        .map(Cow::Owned)
        .map_err(|_| InvalidSentinel)
}

fn sentinel(value: &str) -> Option<&str> {
    value.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn r9_sentinels_are_decoded_malformed_ones_refused_incomplete_ones_literal() {
        assert_eq!(decode("=?base64?w6Q=?=").unwrap(), "ä");
        assert!(decode("=?base64?%%?=").is_err());
        assert_eq!(decode("=?base64?w6Q=").unwrap(), "=?base64?w6Q=");
        assert_eq!(decode("  x y\t").unwrap(), "x y");
    }

    proptest! {
        #[test]
        fn any_value_survives_as_visible_ascii(value in any::<String>()) {
            let header = encode(&value).into_owned();
            prop_assert!(header.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~')));
            prop_assert_eq!(decode(&header).unwrap(), value);
        }
    }
}
