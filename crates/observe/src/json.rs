//! A log line as one JSON object, in one pass.
//!
//! Every call writes a line, so what a line costs every call pays. Made by serializing through a
//! writer that checks each fragment, a line was a seventh of all that the router does for a call;
//! this makes it as one text: time, level, the event's own members, target, and the span if there
//! is one.

use std::cell::RefCell;
use std::fmt;
use std::time::SystemTime;

use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Subscriber};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::fmt::{FormatFields, FormattedFields};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

mod call;
mod line;

use line::{Common, Line, escape};

use crate::call::CallEnd;
use crate::date::Stamp;

/// What most lines fit into.
const USUAL: usize = 384;

/// A line's room is kept for the next one up to this size.
const KEPT: usize = 16 << 10;

/// Gives each event as a line of JSON, its members at the top, to whoever takes lines.
pub(crate) struct JsonLog {
    to: Box<Takes>,
}

type Takes = dyn Fn(&[u8]) + Send + Sync;

type Fields = FormattedFields<JsonFields>;

impl JsonLog {
    /// Gives lines to `to`.
    pub(crate) fn new(to: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        Self { to: Box::new(to) }
    }

    /// Gives the line of a call that ended outside all spans, as if it were an event. Whether it is
    /// enabled is not asked.
    ///
    /// Tells `false`, and does nothing, if events go somewhere else or would tell of a span.
    pub(crate) fn call(level: Level, end: &CallEnd<'_>, trace_id: Option<&str>) -> bool {
        let give = |log: &Self| Self::with_own(|own| own.call(level, end, trace_id, &log.to));
        let done = |events: &Dispatch| match events.downcast_ref::<Self>() {
            Some(log) if events.current_span().id().is_none() => {
                give(log);
                true
            }
            _ => false,
        };
        tracing::dispatcher::get_default(done)
    }

    /// Has a line written with what this thread keeps.
    fn with_own(write: impl Fn(&mut Own)) {
        let written = OWN.try_with(|own| {
            // A value may log something itself while it is written.
            own.try_borrow_mut().map(|mut own| write(&mut own))
        });
        if !matches!(written, Ok(Ok(()))) {
            let mut own = Own::NONE;
            write(&mut own);
        }
    }
}

impl<S> Layer<S> for JsonLog
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else {
            return;
        };
        let mut fields = Fields::new(String::new());
        // Fields that cannot be written are left out.
        if JsonFields::new()
            .format_fields(fields.as_writer(), attributes)
            .is_ok()
        {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            // As above.
            let _ = JsonFields::new().add_fields(fields, values);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let span = context.lookup_current();
        Self::with_own(|own| own.write(event, span.as_ref(), &self.to));
    }
}

impl fmt::Debug for JsonLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLog").finish_non_exhaustive()
    }
}

thread_local! {
    /// What a thread keeps from one line to the next.
    static OWN: RefCell<Own> = const { RefCell::new(Own::NONE) };
}

/// The room of the last line, the second in which it was written, and what it has in common with
/// others.
struct Own {
    line: Vec<u8>,
    stamp: Stamp,
    common: Common,
}

impl Own {
    const NONE: Self = Self {
        line: Vec::new(),
        stamp: Stamp::NEVER,
        common: Common::NONE,
    };

    fn write<S>(&mut self, event: &Event<'_>, span: Option<&SpanRef<'_, S>>, to: impl Fn(&[u8]))
    where
        S: for<'a> LookupSpan<'a>,
    {
        self.common.prepare(event.metadata());
        self.begin();
        let line = &mut self.line;
        line.extend_from_slice(&self.common.level);
        event.record(&mut Line {
            out: line,
            common: &self.common,
        });
        line.extend_from_slice(&self.common.target);
        if let Some(span) = span {
            write_span(span, line);
        }
        line.extend_from_slice(b"}\n");
        self.end(to);
    }

    fn call(
        &mut self,
        level: Level,
        end: &CallEnd<'_>,
        trace_id: Option<&str>,
        to: impl Fn(&[u8]),
    ) {
        self.begin();
        call::write(&mut self.line, level, end, trace_id);
        self.end(to);
    }

    /// Begins a line with the time.
    fn begin(&mut self) {
        self.line.clear();
        self.line.reserve(USUAL);
        self.line.extend_from_slice(b"{\"timestamp\":\"");
        self.stamp.write(SystemTime::now(), &mut self.line);
    }

    fn end(&mut self, to: impl Fn(&[u8])) {
        to(&self.line);
        self.line.clear();
        self.line.shrink_to(KEPT);
    }
}

fn write_span<S: for<'a> LookupSpan<'a>>(span: &SpanRef<'_, S>, line: &mut Vec<u8>) {
    let extensions = span.extensions();
    let fields = extensions.get::<Fields>();
    let fields = fields.and_then(|f| f.fields.strip_suffix('}'));
    line.extend_from_slice(b",\"span\":");
    line.extend_from_slice(fields.unwrap_or("{").as_bytes());
    if line.ends_with(b"{") {
        line.extend_from_slice(b"\"name\":\"");
    } else {
        line.extend_from_slice(b",\"name\":\"");
    }
    escape(line, span.name());
    line.extend_from_slice(b"\"}");
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;
    use serde_json::Value;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// What `log` logs, a value a line.
    fn lines(log: impl FnOnce()) -> Vec<Value> {
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = written.clone();
        let log_to = JsonLog::new(move |line| sink.lock().unwrap().extend_from_slice(line));
        let subscriber = tracing_subscriber::registry().with(log_to);
        tracing::subscriber::with_default(subscriber, log);
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
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

    #[test]
    fn lines_of_several_places_do_not_get_mixed_up() {
        let lines = lines(|| {
            for number in 0..2 {
                tracing::info!(number, r#type = "a", "one");
                tracing::warn!(target: "other", kind = "b", number, "two");
            }
        });
        for (at, line) in lines.iter().enumerate() {
            assert_eq!(line["number"], at / 2);
            let (level, message) = [("INFO", "one"), ("WARN", "two")][at % 2];
            assert_eq!(
                (&line["level"], &line["message"]),
                (&level.into(), &message.into())
            );
            let own = ["type", "kind"].map(|key| line.get(key).is_some());
            assert_eq!(own, [at % 2 == 0, at % 2 == 1]);
        }
        assert_eq!(lines[1]["target"], "other");
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn a_value_that_logs_while_it_is_written_spoils_no_line() {
        struct Talks;
        impl std::fmt::Display for Talks {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                tracing::info!(inner = 1, "within");
                f.write_str("said")
            }
        }
        let lines = lines(|| tracing::info!(outer = %Talks, "around"));
        let around = lines.iter().find(|line| line["message"] == "around");
        assert_eq!(around.unwrap()["outer"], "said");
    }

    #[test]
    fn what_is_recorded_in_a_span_later_is_told() {
        let lines = lines(|| {
            let span = tracing::info_span!("call", tool = tracing::field::Empty);
            span.record("tool", "t");
            span.in_scope(|| tracing::info!("one"));
        });
        assert_eq!(
            lines[0]["span"],
            serde_json::json!({ "name": "call", "tool": "t" })
        );
    }

    proptest! {
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
