//! What is written into a line.

use std::fmt::{self, Write as _};

use tracing::Metadata;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};

use crate::decimal;

/// What each line of one place in the code has in common. Most lines are of the same place as the
/// one before.
#[derive(Debug)]
pub(super) struct Common {
    place: Option<Identifier>,
    pub(super) level: String,
    pub(super) target: String,
    /// The names of the members, with what stands around them before a text.
    keys: Vec<Box<str>>,
}

/// A line that is being written: an object that has members already.
pub(super) struct Line<'a> {
    pub(super) out: &'a mut String,
    pub(super) common: &'a Common,
}

// === impl Common ===

impl Common {
    pub(super) const NONE: Self = Self {
        place: None,
        level: String::new(),
        target: String::new(),
        keys: Vec::new(),
    };

    /// Makes it that of this place.
    pub(super) fn prepare(&mut self, place: &Metadata<'_>) {
        let now = Some(place.callsite());
        if self.place == now {
            return;
        }
        self.place = now;
        self.level = ["\",\"level\":\"", place.level().as_str(), "\""].concat();
        // A module's path, or what our own code calls itself: nothing to escape.
        self.target = [",\"target\":\"", place.target(), "\""].concat();
        let names = place.fields().iter().map(|field| field.name());
        let names = names.map(|name| name.strip_prefix("r#").unwrap_or(name));
        let keys = names.map(|name| [",\"", name, "\":\""].concat().into());
        self.keys.clear();
        self.keys.extend(keys);
    }

    /// The member's name, up to the quote of a text.
    fn quoted(&self, field: &Field) -> &str {
        self.keys.get(field.index()).map_or(",\"?\":\"", |key| key)
    }
}

// === impl Line ===

impl Line<'_> {
    fn key(&mut self, field: &Field) {
        let quoted = self.common.quoted(field);
        self.out.push_str(&quoted[..quoted.len() - 1]);
    }

    fn plain(&mut self, field: &Field, value: impl fmt::Display) {
        self.key(field);
        // Writing to a string does not fail.
        let _ = write!(self.out, "{value}");
    }
}

impl Visit for Line<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.out.push_str(self.common.quoted(field));
        escape(self.out, value);
        self.out.push('"');
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.out.push_str(self.common.quoted(field));
        // A value that cannot be formatted leaves what it has said.
        let _ = write!(Escaped(self.out), "{value:?}");
        self.out.push('"');
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.key(field);
        decimal::push(self.out, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.key(field);
        if value < 0 {
            self.out.push('-');
        }
        decimal::push(self.out, value.unsigned_abs());
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.plain(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.plain(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if !value.is_finite() {
            self.key(field);
            self.out.push_str("null"); // JSON has no other word for it
            return;
        }
        // A number of milliseconds, to the microsecond: three divisions instead of a search for
        // the shortest text that means the same.
        let micros = value * 1000.0;
        let whole = micros as u64;
        if (0.0..1e12).contains(&micros) && whole as f64 == micros {
            self.key(field);
            decimal::push_thousandths(self.out, whole);
        } else {
            self.plain(field, value);
        }
    }
}

/// Whatever is written comes out as the inside of a JSON text.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text);
        Ok(())
    }
}

pub(super) fn escape(out: &mut String, text: &str) {
    if is_plain(text.as_bytes()) {
        out.push_str(text);
        return;
    }
    let odd = |b: &u8| is_odd(*b);
    let mut rest = text;
    while let Some(at) = rest.as_bytes().iter().position(odd) {
        let (plain, from) = rest.split_at(at);
        out.push_str(plain);
        match from.as_bytes()[0] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            control => {
                let _ = write!(out, "\\u{control:04x}");
            }
        }
        rest = &from[1..];
    }
    out.push_str(rest);
}

/// Whether a byte of a text cannot stand in JSON as it is.
const fn is_odd(byte: u8) -> bool {
    byte < b' ' || matches!(byte, b'"' | b'\\')
}

/// The same by the byte: one look instead of three comparisons.
static ODD: [bool; 256] = {
    let mut odd = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        odd[byte] = is_odd(byte as u8);
        byte += 1;
    }
    odd
};

/// Whether no byte is [odd](is_odd).
fn is_plain(text: &[u8]) -> bool {
    !text.iter().any(|byte| ODD[usize::from(*byte)])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_is_plain_where_none_of_its_bytes_is_odd(bytes in any::<Vec<u8>>()) {
            let odd = bytes.iter().copied().any(is_odd);
            prop_assert_eq!(is_plain(&bytes), !odd);
            let letters: Vec<_> = bytes.iter().map(|b| b | 0x60).collect();
            prop_assert!(is_plain(&letters));
        }
    }
}
