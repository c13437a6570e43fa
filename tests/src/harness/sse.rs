//! Server-sent events as a client sees them.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use crate::schema::Conversation;

/// How long one event may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// One event.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SseEvent {
    /// The `event` field; empty if there was none.
    pub event: String,
    /// The `data` lines, joined by line feeds.
    pub data: String,
    /// The `id` field, if there was one.
    pub id: Option<String>,
    /// The `retry` field, milliseconds.
    pub retry: Option<u64>,
}

impl SseEvent {
    /// The data as a JSON tree, `null` if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or(Value::Null)
    }
}

/// Reads the events of one response body. Comments are counted and skipped.
#[derive(Debug)]
pub struct SseReader {
    body: Incoming,
    buffer: BytesMut,
    comments: usize,
    conversation: Arc<Conversation>,
    // A reader owns its connection, so that dropping it closes it.
    _connection: tokio_util::task::AbortOnDropHandle<()>,
}

impl SseReader {
    pub(crate) fn new(
        body: Incoming,
        connection: tokio_util::task::AbortOnDropHandle<()>,
        conversation: Arc<Conversation>,
    ) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            comments: 0,
            conversation,
            _connection: connection,
        }
    }

    /// The next event; `None` when the stream has ended or broken.
    ///
    /// # Panics
    /// If that takes longer than 30 s.
    pub async fn next(&mut self) -> Option<SseEvent> {
        tokio::time::timeout(PATIENCE, self.read())
            .await
            .expect("an event or the end of the stream within 30 s")
    }

    /// The next event that carries a JSON message, as a tree.
    ///
    /// # Panics
    /// As [`SseReader::next`], or if the stream ends before.
    pub async fn message(&mut self) -> Value {
        loop {
            let event = self.next().await.expect("a message before the stream ends");
            if !event.data.is_empty() {
                return event.json();
            }
        }
    }

    /// Reads on until the response to `id` and gives everything up to it, the response last.
    ///
    /// # Panics
    /// As [`SseReader::message`].
    pub async fn until_response(&mut self, id: &Value) -> Vec<Value> {
        let mut seen = Vec::new();
        loop {
            let message = self.message().await;
            let found = message["id"] == *id && message.get("method").is_none();
            seen.push(message);
            if found {
                return seen;
            }
        }
    }

    /// The body as one JSON text, for an answer that is no stream after all.
    ///
    /// # Panics
    /// If it is none, or takes longer than 30 s.
    pub async fn whole(&mut self) -> Value {
        let mut text = self.buffer.to_vec();
        let reading = async {
            while let Some(Ok(frame)) = self.body.frame().await {
                text.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
            }
        };
        let read = tokio::time::timeout(PATIENCE, reading).await;
        read.expect("the whole body within 30 s");
        let message = serde_json::from_slice(&text).expect("a JSON body");
        self.conversation.received(&message);
        message
    }

    /// Comments (keep-alives) skipped so far.
    #[must_use]
    pub fn comments(&self) -> usize {
        self.comments
    }

    /// Holds what the event carries against its schema.
    fn check(&self, event: &SseEvent) {
        if event.event == "endpoint" {
            return self.conversation.known_as(&event.data);
        }
        if let Ok(message) = serde_json::from_str(&event.data) {
            self.conversation.received(&message);
        }
    }

    async fn read(&mut self) -> Option<SseEvent> {
        loop {
            while let Some(block) = take_block(&mut self.buffer) {
                let (event, comments) = parse(&String::from_utf8_lossy(&block));
                self.comments += comments;
                if let Some(event) = event {
                    self.check(&event);
                    return Some(event);
                }
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}

/// Takes one block off the front: everything up to an empty line.
fn take_block(buffer: &mut BytesMut) -> Option<Bytes> {
    let end = |pattern: &[u8]| {
        let found = buffer.windows(pattern.len()).position(|w| w == pattern)?;
        Some(found + pattern.len())
    };
    let end = [end(b"\n\n"), end(b"\r\n\r\n")]
        .into_iter()
        .flatten()
        .min()?;
    Some(buffer.split_to(end).freeze())
}

/// The event of a block, if it has any field, and how many comments it holds.
fn parse(block: &str) -> (Option<SseEvent>, usize) {
    let mut event = SseEvent::default();
    let (mut fields, mut comments) = (0, 0);
    for line in block.lines().filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        fields += 1;
        match name {
            "" => {
                comments += 1;
                fields -= 1;
            }
            "event" => value.clone_into(&mut event.event),
            "data" => {
                if !event.data.is_empty() {
                    event.data.push('\n');
                }
                event.data.push_str(value);
            }
            "id" => event.id = Some(value.to_owned()),
            "retry" => event.retry = value.parse().ok(),
            _ => {}
        }
    }
    ((fields > 0).then_some(event), comments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_cut_at_empty_lines_and_comments_are_counted() {
        let mut buffer = BytesMut::from(": hi\n\nid: 7\nretry: 5\ndata: a\ndata: b\n\nrest");
        let comment = take_block(&mut buffer).expect("a block");
        let block = take_block(&mut buffer).expect("a block");

        assert_eq!(parse(&String::from_utf8_lossy(&comment)), (None, 1));
        let (event, _) = parse(&String::from_utf8_lossy(&block));
        let event = event.expect("an event");
        assert_eq!((event.data.as_str(), event.retry), ("a\nb", Some(5)));
        assert_eq!(event.id.as_deref(), Some("7"));
        assert!(take_block(&mut buffer).is_none());
    }
}
