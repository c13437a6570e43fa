//! Where a call is in somebody's trace: `traceparent` of the W3C, as `_meta` carries it.
//!
//! A client that is traced says under which of its spans a call is made. A router that took the
//! text as it stands could not hang its own spans there, nor those of the backend below them.
//! What is not of the W3C's form is no trace: it starts none, and passes unchanged.

use std::fmt;

use crate::params::meta;
use crate::{RawJson, RawParams};

/// Length of version 00.
const LENGTH: usize = 55;
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A span of some trace.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TraceContext {
    /// Of all spans of the trace; never zero.
    pub trace_id: [u8; 16],
    /// Of this span; never zero.
    pub span_id: [u8; 8],
    /// Whether whoever made it records it.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent`. Versions to come are read as far as they are known.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        let version = hex::<1>(text.get(..2)?)?;
        let length_fits = match version {
            [0] => text.len() == LENGTH,
            [0xff] => false,
            _ => text.len() == LENGTH || text.get(LENGTH) == Some(&b'-'),
        };
        let dashes = [2, 35, 52].iter().all(|at| text.get(*at) == Some(&b'-'));
        if !length_fits || !dashes {
            return None;
        }
        let (trace_id, span_id) = (hex(&text[3..35])?, hex(&text[36..52])?);
        let [flags] = hex::<1>(&text[53..LENGTH])?;
        (trace_id != [0; 16] && span_id != [0; 8]).then_some(Self {
            trace_id,
            span_id,
            sampled: flags & 1 != 0,
        })
    }
}

impl RawParams {
    /// The span under which the call is made, if `_meta` names one.
    pub fn trace(&self) -> Option<TraceContext> {
        // Most have none, and to know it must cost next to nothing.
        if !self.has_rare_meta() {
            return None;
        }
        let text: String = self.meta_value(meta::TRACEPARENT)?.read_owned().ok()?;
        TraceContext::parse(&text)
    }
}

/// As `traceparent` has it.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl TraceContext {
    /// As a JSON string.
    pub fn json(&self) -> RawJson {
        let text = [&b"\""[..], &self.text(), b"\""].concat();
        RawJson::from_checked(text.into())
    }

    /// Digit by digit: every traced call is written so, and formatting costs ten times that.
    fn text(&self) -> [u8; LENGTH] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        let (trace, span) = (&self.trace_id[..], &self.span_id[..]);
        for (at, bytes) in [(3, trace), (36, span), (53, &[u8::from(self.sampled)])] {
            for (pair, byte) in text[at..].chunks_exact_mut(2).zip(bytes) {
                pair[0] = DIGITS[usize::from(byte >> 4)];
                pair[1] = DIGITS[usize::from(byte & 15)];
            }
        }
        text
    }
}

/// Lower-case digits only, as the W3C wants them.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    if text.len() != 2 * N {
        return None;
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn r27_a_trace_context_is_read_and_written_as_the_w3c_has_it() {
        let read = TraceContext::parse(GOOD).unwrap();
        assert!(read.sampled);
        assert_eq!(read.trace_id[..2], [0x4b, 0xf9]);
        assert_eq!(read.to_string(), GOOD);
        let unsampled = TraceContext::parse(&GOOD.replace("-01", "-00")).unwrap();
        assert!(!unsampled.sampled);
        // A version to come, with more behind it.
        let later = GOOD.replacen("00", "cc", 1) + "-what-comes";
        assert_eq!(TraceContext::parse(&later), Some(read));
    }

    #[test]
    fn r27_what_is_no_trace_context_starts_none() {
        for bad in [
            "",
            "00-1",
            &GOOD[..54],
            &GOOD.to_uppercase(),
            &format!("{GOOD}-more"),
            &GOOD.replacen("00", "ff", 1),
            &GOOD.replace('-', "_"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn r27_the_trace_is_found_in_meta_and_nowhere_else() {
        let trace = |json: String| {
            let params = RawParams::parse(Some(json.into())).unwrap();
            params.trace().map(|t| t.to_string())
        };
        let meta = format!(r#"{{"name":"t","_meta":{{"a":1,"traceparent":"{GOOD}"}}}}"#);
        assert_eq!(trace(meta).as_deref(), Some(GOOD));
        for none in [
            format!(r#"{{"name":"t","traceparent":"{GOOD}"}}"#),
            format!(r#"{{"name":"t","_meta":{{"x":{{"traceparent":"{GOOD}"}}}}}}"#),
            r#"{"_meta":{"traceparent":5}}"#.to_owned(),
            r#"{"_meta":{}}"#.to_owned(),
            "{}".to_owned(),
        ] {
            assert_eq!(trace(none.clone()), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_trace_context_or_is_not(text in any::<String>()) {
            if let Some(read) = TraceContext::parse(&text) {
                prop_assert!(read.trace_id != [0; 16] && read.span_id != [0; 8]);
            }
        }

        #[test]
        fn every_trace_context_is_read_again(
            trace_id in any::<[u8; 16]>(), span_id in any::<[u8; 8]>(), sampled: bool
        ) {
            prop_assume!(trace_id != [0; 16] && span_id != [0; 8]);
            let written = TraceContext { trace_id, span_id, sampled };
            prop_assert_eq!(TraceContext::parse(&written.to_string()), Some(written));
        }
    }
}
