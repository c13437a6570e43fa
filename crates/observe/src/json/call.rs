//! The line of a call, made in one go.
//!
//! Every call leaves one, with a dozen members. As those of an event they are handed over one by
//! one, each through tables that find its name and kind, which costs more than writing them. So the
//! log takes this line as a whole. It is the same to the byte.

use tracing::Level;

use super::line::{escape, said};
use crate::call::CallEnd;
use crate::decimal;

/// Writes all that follows the time; `trace_id` is that of the call, if it is recorded.
pub(super) fn write(out: &mut Vec<u8>, level: Level, end: &CallEnd<'_>, trace_id: Option<&str>) {
    out.extend_from_slice(match level {
        Level::INFO => b"\",\"level\":\"INFO\",\"message\":\"call\"",
        _ => b"\",\"level\":\"DEBUG\",\"message\":\"call\"",
    });
    if let Some(client) = end.client {
        text(out, b",\"client\":\"", client);
    }
    text(out, b",\"method\":\"", end.method);
    if let Some(tool) = end.tool {
        text(out, b",\"tool\":\"", tool);
    }
    if let Some(backend) = end.backend {
        text(out, b",\"backend\":\"", backend);
    }
    out.extend_from_slice(b",\"outcome\":\"");
    out.extend_from_slice(end.outcome.as_str().as_bytes());
    out.extend_from_slice(b"\",\"latency_ms\":");
    decimal::push_thousandths(out, end.duration.as_micros() as u64);
    out.extend_from_slice(b",\"attempts\":");
    decimal::push(out, end.attempts.into());
    rest(out, end, trace_id);
    out.extend_from_slice(b",\"target\":\"mcp_router_layers::trace::line\"}\n");
}

/// What hardly any call has.
fn rest(out: &mut Vec<u8>, end: &CallEnd<'_>, trace_id: Option<&str>) {
    if let Some(earlier) = end.moved_from() {
        text(out, b",\"moved_from\":\"", &earlier);
    }
    if let Some(code) = end.code {
        out.extend_from_slice(b",\"code\":");
        decimal::push_signed(out, code);
    }
    if let Some(sent) = end.sent {
        text(out, b",\"sent\":\"", sent);
    }
    if let Some(trace_id) = trace_id {
        text(out, b",\"trace_id\":\"", trace_id);
    }
    if let Some(error) = end.error {
        out.extend_from_slice(b",\"error\":\"");
        said(out, format_args!("{error}"));
        out.push(b'"');
    }
}

// Inlined, writing a name whose length is known is a store or two.
#[inline(always)]
fn text(out: &mut Vec<u8>, name: &[u8], value: &str) {
    out.extend_from_slice(name);
    escape(out, value);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use std::fmt::Display;
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use proptest::prelude::*;
    use tracing::{Event, Subscriber};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
    use tracing_subscriber::registry::LookupSpan;

    use super::super::JsonLog;
    use super::*;
    use crate::call::{Ending, Visit};

    /// A log that is told of events alone.
    struct Hidden(JsonLog);

    impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Hidden {
        fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
            self.0.on_event(event, context);
        }
    }

    fn written(log: impl FnOnce(JsonLog)) -> String {
        let text = Arc::new(Mutex::new(Vec::new()));
        let sink = text.clone();
        log(JsonLog::new(move |line| {
            sink.lock().unwrap().extend_from_slice(line);
        }));
        String::from_utf8(text.lock().unwrap().clone()).unwrap()
    }

    fn whole(tell: impl FnOnce()) -> String {
        written(|log| {
            let subscriber = tracing_subscriber::registry().with(log);
            tracing::subscriber::with_default(subscriber, tell);
        })
    }

    fn as_event(tell: impl FnOnce()) -> String {
        written(|log| {
            let subscriber = tracing_subscriber::registry().with(Hidden(log));
            tracing::subscriber::with_default(subscriber, tell);
        })
    }

    /// What follows the time.
    fn rest(line: &str) -> &str {
        line.split_once("Z\",").expect("a time").1
    }

    fn end<'a>(names: [Option<&'a str>; 3], earlier: &'a [Visit<'a>]) -> CallEnd<'a> {
        let [client, tool, backend] = names;
        CallEnd {
            method: "tools/call",
            client,
            tool,
            backend,
            outcome: Ending::Ok,
            code: None,
            error: None,
            sent: None,
            attempts: 1,
            ended: Instant::now(),
            duration: Duration::from_micros(1_230),
            last: None,
            earlier,
        }
    }

    proptest! {
        #[test]
        fn the_line_of_a_call_is_to_the_byte_what_its_event_would_be(
            (names, method) in (any::<[Option<String>; 3]>(), any::<String>()),
            (micros, attempts) in (0..=1_u64 << 50, any::<u32>()),
            (code, error) in (any::<Option<i64>>(), any::<Option<String>>()),
            (trace_id, moved) in (any::<Option<String>>(), any::<Vec<String>>()),
            (outcome, level) in (0..Ending::ALL.len(), prop_oneof![Just(Level::INFO), Just(Level::DEBUG)]),
        ) {
            let visit = |backend| Visit { backend, attempts: 1, mark: None };
            let moved: Vec<_> = moved.iter().map(|name| visit(&**name)).collect();
            let end = CallEnd {
                method: &method,
                outcome: Ending::ALL[outcome],
                duration: Duration::from_micros(micros),
                attempts,
                code,
                error: error.as_ref().map(|error| error as &dyn Display),
                sent: code.map(|_| "unknown"),
                ..end(names.each_ref().map(Option::as_deref), &moved)
            };
            let tell = || end.log(level, trace_id.as_deref());
            let (line, event) = (whole(tell), as_event(tell));
            prop_assert_eq!(rest(&line), rest(&event));
        }
    }

    #[test]
    fn a_call_within_a_span_is_told_with_it() {
        let line = whole(|| {
            let _entered = tracing::info_span!("outer", n = 1).entered();
            end([None; 3], &[]).log(Level::INFO, None);
        });
        assert!(
            line.ends_with(",\"span\":{\"n\":1,\"name\":\"outer\"}}\n"),
            "{line}"
        );
    }

    #[test]
    fn a_call_that_filters_refuse_is_not_told() {
        use tracing_subscriber::EnvFilter;
        for (filter, told) in [
            ("info", 1),
            ("warn", 0),
            ("mcp_router_layers=info", 1),
            ("info,mcp_router_layers=warn", 0),
        ] {
            let lines = written(|log| {
                let filter = EnvFilter::new(filter);
                let subscriber = tracing_subscriber::registry().with(log).with(filter);
                tracing::subscriber::with_default(subscriber, || {
                    end([None; 3], &[]).log(Level::INFO, None);
                    end([None; 3], &[]).log(Level::DEBUG, None);
                });
            });
            assert_eq!(lines.lines().count(), told, "{filter}");
        }
    }
}
