//! A log line as one JSON object, in one pass.
//!
//! Every call writes a line, so what a line costs every call pays. Made by serializing through a
//! writer that checks each fragment, a line was a seventh of all that the router does for a call;
//! this makes it as one text: time, level, the event's own members, target, and the span if there
//! is one.

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::date::Stamp;
use crate::decimal;

/// What most lines fit into.
const USUAL: usize = 384;

/// A line's room is kept for the next one up to this size.
const KEPT: usize = 16 << 10;

/// Formats events as JSON, their members at the top of each line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut own = OWN.try_with(Cell::take).unwrap_or_default();
        let mut line = Line(std::mem::take(&mut own.line));
        line.0.clear();
        line.0.reserve(USUAL);
        line.0.push_str("{\"timestamp\":\"");
        own.stamp.write(SystemTime::now(), &mut line.0);
        line.0.push_str("\",\"level\":\"");
        line.0.push_str(event.metadata().level().as_str());
        line.0.push('"');
        event.record(&mut line);
        // A module's path, or what our own code calls itself: nothing to escape.
        line.key("target");
        line.0.push('"');
        line.0.push_str(event.metadata().target());
        line.0.push('"');
        if let Some(span) = context.lookup_current() {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<N>>();
            let fields = fields.and_then(|f| f.fields.strip_suffix('}'));
            line.0.push_str(",\"span\":");
            line.0.push_str(fields.unwrap_or("{"));
            if line.0.ends_with('{') {
                line.0.push_str("\"name\":\"");
            } else {
                line.0.push_str(",\"name\":\"");
            }
            escape(&mut line.0, span.name());
            line.0.push_str("\"}");
        }
        line.0.push_str("}\n");
        let written = writer.write_str(&line.0);
        if line.0.capacity() <= KEPT {
            own.line = line.0;
            let _ = OWN.try_with(|kept| kept.set(own));
        }
        written
    }
}

thread_local! {
    /// What a thread keeps from one line to the next.
    static OWN: Cell<Own> = const { Cell::new(Own::NONE) };
}

/// The room of the last line, and the second in which it was written.
struct Own {
    line: String,
    stamp: Stamp,
}

impl Own {
    const NONE: Self = Self {
        line: String::new(),
        stamp: Stamp::NEVER,
    };
}

impl Default for Own {
    fn default() -> Self {
        Self::NONE
    }
}

/// A line that is being written: an object that has members already.
struct Line(String);

impl Line {
    fn key(&mut self, name: &str) {
        let name = match name.as_bytes() {
            [b'r', b'#', ..] => &name[2..],
            _ => name,
        };
        // Once for the name and most values.
        self.0.reserve(name.len() + 32);
        self.0.push_str(",\"");
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    fn text(&mut self, name: &str, value: &str) {
        self.key(name);
        self.0.push('"');
        escape(&mut self.0, value);
        self.0.push('"');
    }

    fn plain(&mut self, field: &Field, value: impl fmt::Display) {
        self.key(field.name());
        // Writing to a string does not fail.
        let _ = write!(self.0, "{value}");
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.key(field.name());
        self.0.push('"');
        // A value that cannot be formatted leaves what it has said.
        let _ = write!(Escaped(&mut self.0), "{value:?}");
        self.0.push('"');
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.key(field.name());
        decimal::push(&mut self.0, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.key(field.name());
        if value < 0 {
            self.0.push('-');
        }
        decimal::push(&mut self.0, value.unsigned_abs());
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
            self.key(field.name());
            self.0.push_str("null"); // JSON has no other word for it
            return;
        }
        // A number of milliseconds, to the microsecond: three divisions instead of a search for
        // the shortest text that means the same.
        let micros = value * 1000.0;
        if (0.0..1e12).contains(&micros) && micros.fract() == 0.0 {
            self.key(field.name());
            decimal::push_thousandths(&mut self.0, micros as u64);
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

fn escape(out: &mut String, text: &str) {
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
    use std::io;
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;
    use serde_json::Value;
    use tracing_subscriber::fmt::format::JsonFields;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `log` logs, a value a line.
    fn lines(log: impl FnOnce()) -> Vec<Value> {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .fmt_fields(JsonFields::new())
            .event_format(JsonLines)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = sink.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        let read = |line| serde_json::from_str(line).unwrap();
        text.lines().map(read).collect()
    }

    #[test]
    fn a_line_is_one_flat_object_with_every_kind_of_member() {
        let lines = lines(|| {
            let nothing: Option<&str> = None;
            tracing::info!(
                text = "a\"b", number = 7_u64, less = -7, part = 0.25, yes = true, nothing,
                shown = %"c\\d\n", not_a_number = f64::NAN, r#type = "t",
                "hello\u{1}"
            );
        });
        let [line] = &lines[..] else {
            panic!("{lines:?}")
        };
        let expected = serde_json::json!({
            "level": "INFO", "message": "hello\u{1}", "text": "a\"b", "number": 7, "less": -7,
            "part": 0.25, "yes": true, "shown": "c\\d\n", "not_a_number": null, "type": "t",
            "target": module_path!(),
        });
        let mut got = line.clone();
        let time = got.as_object_mut().unwrap().remove("timestamp").unwrap();
        assert_eq!(got, expected);
        assert_eq!(
            time.as_str().unwrap().len(),
            "2026-01-01T00:00:00.000000Z".len()
        );
    }

    #[test]
    fn fractions_read_as_what_they_are() {
        let parts = [
            0.0, 0.001, 0.25, 1.5, 12.034, 1234.5, 7.0, 0.1234, -2.5, 1e300, 1e-9,
        ];
        for value in parts {
            let lines = lines(|| tracing::info!(value));
            assert_eq!(lines[0]["value"].as_f64(), Some(value));
        }
    }

    #[test]
    fn a_line_within_a_span_tells_its_fields_and_name() {
        let lines = lines(|| {
            let bare = tracing::debug_span!("bare");
            bare.in_scope(|| tracing::debug!("one"));
            let full = tracing::debug_span!("full", tool = "a\"b");
            full.in_scope(|| tracing::debug!("two"));
        });
        assert_eq!(lines[0]["span"], serde_json::json!({ "name": "bare" }));
        let full = serde_json::json!({ "name": "full", "tool": "a\"b" });
        assert_eq!(lines[1]["span"], full);
    }

    proptest! {
        #[test]
        fn a_text_is_plain_where_none_of_its_bytes_is_odd(bytes in any::<Vec<u8>>()) {
            let odd = bytes.iter().copied().any(is_odd);
            prop_assert_eq!(is_plain(&bytes), !odd);
            let letters: Vec<_> = bytes.iter().map(|b| b | 0x60).collect();
            prop_assert!(is_plain(&letters));
        }

        #[test]
        fn b36_no_text_breaks_a_line_or_adds_a_member(text in any::<String>()) {
            let lines = lines(|| tracing::info!(text, shown = %text, "{text}"));
            prop_assert_eq!(lines.len(), 1);
            for member in ["text", "shown", "message"] {
                prop_assert_eq!(&lines[0][member], &Value::from(text.as_str()));
            }
            prop_assert_eq!(lines[0].as_object().unwrap().len(), 6);
        }
    }
}
