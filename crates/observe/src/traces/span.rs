//! One span, from its start to its end.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{Span as Record, Status, status::StatusCode};

use super::SpanIds;
use super::queue::Shared;
use crate::printable;

/// The parent of a span is known, and whether it is of another process.
const KNOWS_PARENT: u32 = 0x100;
const PARENT_IS_REMOTE: u32 = 0x200;
/// The span is recorded.
const SAMPLED: u32 = 1;

/// What a span is called.
pub type SpanName = String;

/// On which side of a hop a span was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SpanKind {
    /// By the one who was called.
    Server,
    /// By the one who calls.
    Client,
}

/// A span that has begun. It ends, and goes to the collector, when it is dropped.
#[derive(Debug)]
pub struct Span {
    shared: Arc<Shared>,
    ids: SpanIds,
    /// The clock that does not jump, for the length.
    began: Instant,
    record: Record,
}

impl Span {
    pub(super) fn start(
        shared: Arc<Shared>,
        ids: SpanIds,
        parent: Option<(SpanIds, bool)>,
        kind: SpanKind,
        name: SpanName,
    ) -> Self {
        let remote = parent.is_some_and(|(_, remote)| remote);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let record = Record {
            trace_id: ids.trace_id.to_vec(),
            span_id: ids.span_id.to_vec(),
            parent_span_id: parent.map_or_else(Vec::new, |(ids, _)| ids.span_id.to_vec()),
            flags: SAMPLED | KNOWS_PARENT | if remote { PARENT_IS_REMOTE } else { 0 },
            name,
            // As the protocol numbers them.
            kind: match kind {
                SpanKind::Server => 2,
                SpanKind::Client => 3,
            },
            start_time_unix_nano: now.map_or(0, |now| nanos(now.as_nanos())),
            attributes: Vec::with_capacity(10),
            ..Record::default()
        };
        Self {
            shared,
            ids,
            began: Instant::now(),
            record,
        }
    }

    /// Under which ids those below it are made.
    pub const fn ids(&self) -> SpanIds {
        self.ids
    }

    /// The id of its trace, as collectors and log lines have it.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.ids.trace_id))
    }

    /// Says something about it. Foreign text is cut and made printable, as in the log.
    pub fn set(&mut self, key: &'static str, value: &str) {
        let value = Value::StringValue(printable(value).into_owned());
        self.put(key, value);
    }

    /// Says a number about it.
    pub fn set_number(&mut self, key: &'static str, value: i64) {
        self.put(key, Value::IntValue(value));
    }

    fn put(&mut self, key: &'static str, value: Value) {
        self.record.attributes.push(KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        });
    }

    /// It failed, for a reason of which there are few.
    pub fn fail(&mut self, kind: &str) {
        self.set("error.type", kind);
        self.record.status = Some(Status {
            message: String::new(),
            code: StatusCode::Error.into(),
        });
    }
}

/// Since 1970, until the year 2554.
fn nanos(nanos: u128) -> u64 {
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

impl Drop for Span {
    fn drop(&mut self) {
        let length = nanos(self.began.elapsed().as_nanos());
        let start = self.record.start_time_unix_nano;
        self.record.end_time_unix_nano = start.saturating_add(length);
        self.shared.take(std::mem::take(&mut self.record));
    }
}
