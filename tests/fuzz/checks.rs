// What must hold for any bytes at all. Shared by the fuzz targets and, on stable Rust, by the test
// that runs the corpus.

use std::collections::BTreeMap;

use bytes::Bytes;
use mcp_router_protocol::Message;
use mcp_router_protocol::jsonrpc::{join, notification_parts, request_parts, response_parts};
use serde_json::value::RawValue;

/// A message is refused with one of two codes, or comes out as it went in.
pub(crate) fn envelope(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let message = match Message::parse(&bytes) {
        Ok(message) => message,
        Err(error) => {
            assert!(matches!(error.code, -32700 | -32600), "{error:?}");
            let _ = Message::split_batch(&bytes, 50);
            return;
        }
    };
    // Stricter than JSON itself, never laxer.
    let before = members(data).expect("accepted, so it is an object");
    let written = join(&match &message {
        Message::Request { id, method, params } => request_parts(id, method, params),
        Message::Notification { method, params } => notification_parts(method, params),
        Message::Response { id, answer } => response_parts(id.as_ref(), answer.as_ref()),
    });
    let after = members(&written).expect("written, so it is an object");
    for member in ["id", "params", "result", "error"] {
        let (old, new) = (before.get(member), after.get(member));
        let null_id = member == "id" && old.is_some_and(|id| id.get() == "null");
        assert!(
            null_id || old.map(|v| v.get()) == new.map(|v| v.get()),
            "{member} changed"
        );
    }
    payload_is_untouched(data, &message);
}

type Members<'a> = BTreeMap<String, &'a RawValue>;

fn members(text: &[u8]) -> Option<Members<'_>> {
    serde_json::from_slice(text).ok()
}

/// Parameters, results and errors are slices of the text they came in.
fn payload_is_untouched(data: &[u8], message: &Message) {
    let payload = match message {
        Message::Request { params, .. } | Message::Notification { params, .. } => {
            params.json().map(|p| p.bytes().clone())
        }
        Message::Response {
            answer: Ok(result), ..
        } => Some(result.bytes().clone()),
        Message::Response {
            answer: Err(error), ..
        } => Some(error.raw().bytes().clone()),
    };
    if let Some(payload) = payload.filter(|p| !p.is_empty()) {
        assert!(
            data.windows(payload.len()).any(|w| w == payload),
            "payload was rewritten"
        );
    }
}
