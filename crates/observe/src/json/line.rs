//! What is written into a line.

use std::fmt::{self, Write as _};

use tracing::Metadata;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};

use crate::decimal;
use crate::words::{Every, Plain, every};

/// What each line of one place in the code has in common. Most lines are of the same place as the
/// one before.
#[derive(Debug)]
pub(super) struct Common {
    place: Option<Identifier>,
    text: String,
    /// Where the level, the target and the name of each member end in it.
    ends: Vec<usize>,
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
        text: String::new(),
        ends: Vec::new(),
    };

    /// Makes it that of this place.
    pub(super) fn prepare(&mut self, place: &Metadata<'_>) {
        let now = Some(place.callsite());
        if self.place == now {
            return;
        }
        self.place = now;
        self.text.clear();
        self.ends.clear();
        self.add(["\",\"level\":\"", place.level().as_str(), "\""]);
        // A module's path, or what our own code calls itself: nothing to escape.
        self.add([",\"target\":\"", place.target(), "\""]);
        for field in place.fields() {
            let name = field.name();
            let name = name.strip_prefix("r#").unwrap_or(name);
            self.add([",\"", name, "\":"]);
        }
    }

    fn add(&mut self, parts: [&str; 3]) {
        parts.iter().for_each(|part| self.text.push_str(part));
        self.ends.push(self.text.len());
    }

    pub(super) fn level(&self) -> &str {
        let end = self.ends.first().copied();
        &self.text[..end.unwrap_or_default()]
    }

    pub(super) fn target(&self) -> &str {
        self.part(0)
    }

    fn key(&self, field: &Field) -> &str {
        self.part(1 + field.index())
    }

    /// What comes after the end `at`.
    fn part(&self, at: usize) -> &str {
        let place = self.ends.get(at).zip(self.ends.get(at + 1));
        place.map_or("", |(from, to)| &self.text[*from..*to])
    }
}

// === impl Line ===

impl Line<'_> {
    fn key(&mut self, field: &Field) {
        self.out.push_str(self.common.key(field));
    }

    fn plain(&mut self, field: &Field, value: impl fmt::Display) {
        self.key(field);
        // Writing to a string does not fail.
        let _ = write!(self.out, "{value}");
    }
}

impl Visit for Line<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.key(field);
        self.out.push('"');
        escape(self.out, value);
        self.out.push('"');
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.key(field);
        self.out.push('"');
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
    if every::<Plain>(text.as_bytes()) {
        out.push_str(text);
        return;
    }
    let odd = |b: &u8| !Plain::one(*b);
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
