//! What is written into a line.

use std::fmt;
use std::io::Write as _;

use tracing::Metadata;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};

use crate::decimal;
use crate::plain::needs_escapes;

/// What each line of one place in the code has in common. Most lines are of the same place as the
/// one before.
#[derive(Debug)]
pub(super) struct Common {
    place: Option<Identifier>,
    pub(super) level: Vec<u8>,
    pub(super) target: Vec<u8>,
    /// The names of the members, with what stands around them before a text.
    keys: Vec<Box<[u8]>>,
}

/// A line that is being written: an object that has members already.
pub(super) struct Line<'a> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) common: &'a Common,
}

// === impl Common ===

impl Common {
    pub(super) const NONE: Self = Self {
        place: None,
        level: Vec::new(),
        target: Vec::new(),
        keys: Vec::new(),
    };

    /// Makes it that of this place.
    pub(super) fn prepare(&mut self, place: &Metadata<'_>) {
        let now = Some(place.callsite());
        if self.place == now {
            return;
        }
        self.place = now;
        let level = place.level().as_str();
        self.level = ["\",\"level\":\"", level, "\""].concat().into();
        // A module's path, or what our own code calls itself: nothing to escape.
        self.target = [",\"target\":\"", place.target(), "\""].concat().into();
        let names = place.fields().iter().map(|field| field.name());
        let names = names.map(|name| name.strip_prefix("r#").unwrap_or(name));
        let keys = names.map(|name| [",\"", name, "\":\""].concat().into_bytes().into());
        self.keys.clear();
        self.keys.extend(keys);
    }

    /// The member's name, up to the quote of a text.
    fn quoted(&self, field: &Field) -> &[u8] {
        self.keys.get(field.index()).map_or(b",\"?\":\"", |key| key)
    }
}

// === impl Line ===

impl Line<'_> {
    fn key(&mut self, field: &Field) {
        let quoted = self.common.quoted(field);
        self.out.extend_from_slice(&quoted[..quoted.len() - 1]);
    }

    fn plain(&mut self, field: &Field, value: impl fmt::Display) {
        self.key(field);
        // Writing to memory does not fail.
        let _ = write!(self.out, "{value}");
    }
}

impl Visit for Line<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.out.extend_from_slice(self.common.quoted(field));
        escape(self.out, value);
        self.out.push(b'"');
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.out.extend_from_slice(self.common.quoted(field));
        said(self.out, format_args!("{value:?}"));
        self.out.push(b'"');
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.key(field);
        decimal::push(self.out, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.key(field);
        decimal::push_signed(self.out, value);
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
            self.out.extend_from_slice(b"null"); // JSON has no other word for it
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
struct Escaped<'a>(&'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text);
        Ok(())
    }
}

/// Adds what a value says as the inside of a JSON text.
pub(super) fn said(out: &mut Vec<u8>, value: fmt::Arguments<'_>) {
    // A value that cannot be formatted leaves what it has said.
    let _ = fmt::Write::write_fmt(&mut Escaped(out), value);
}

/// Adds a text as the inside of a JSON text.
pub(super) fn escape(out: &mut Vec<u8>, text: &str) {
    let text = text.as_bytes();
    if needs_escapes(text) {
        escape_each(out, text);
    } else {
        out.extend_from_slice(text);
    }
}

// Out of the way of those that need nothing.
#[cold]
fn escape_each(out: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control @ ..b' ' => {
                // Writing to memory does not fail.
                let _ = write!(out, "\\u{control:04x}");
            }
            plain => out.push(*plain),
        }
    }
}
