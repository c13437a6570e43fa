//! What a tap keeps of one HTTP exchange.

use std::sync::Arc;

use ::http::HeaderMap;
use ::http::header::CONTENT_TYPE;
use ::http::request::Parts;

use super::body::Listener;
use super::events::Events;
use super::journal::{Journal, Record};

/// A message beyond this is not kept, and the check says so. In bytes.
const MOST: usize = 32 << 20;

/// A header's value, if it is there and text.
pub(super) fn value(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.to_owned())
}

/// Reads a request along.
#[derive(Debug)]
pub(super) struct Question {
    journal: Arc<Journal>,
    record: Option<Record>,
    bytes: Vec<u8>,
}

impl Question {
    pub(super) fn new(exchange: u64, head: &Parts, journal: Arc<Journal>) -> Self {
        let target = head.uri.path_and_query();
        let record = Record::Ask {
            exchange,
            method: head.method.to_string(),
            target: target.map_or_else(String::new, ToString::to_string),
            session: value(&head.headers, "mcp-session-id"),
            version: value(&head.headers, "mcp-protocol-version"),
            body: String::new(),
            whole: false,
        };
        Self {
            journal,
            record: Some(record),
            bytes: Vec::new(),
        }
    }
}

impl Listener for Question {
    fn piece(&mut self, piece: &[u8]) {
        if self.bytes.len() <= MOST {
            self.bytes.extend_from_slice(piece);
        }
    }

    fn end(&mut self, complete: bool) {
        let Some(mut record) = self.record.take() else {
            return;
        };
        if let Record::Ask {
            exchange,
            body,
            whole,
            ..
        } = &mut record
        {
            if self.bytes.len() > MOST {
                let exchange = *exchange;
                self.journal.note(&Record::Overlong { exchange });
            }
            *body = String::from_utf8_lossy(&self.bytes).into_owned();
            *whole = complete;
        }
        self.journal.note(&record);
    }
}

/// Reads an answer along.
#[derive(Debug)]
pub(super) struct Reply {
    exchange: u64,
    journal: Arc<Journal>,
    /// Of a stream of events; else the body is kept whole.
    events: Option<Events>,
    bytes: Vec<u8>,
    overlong: bool,
}

impl Reply {
    pub(super) fn new(
        exchange: u64,
        status: u16,
        headers: &HeaderMap,
        journal: &Arc<Journal>,
    ) -> Self {
        let kind = value(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
        let events = kind.starts_with("text/event-stream").then(Events::default);
        journal.note(&Record::Answer {
            exchange,
            status,
            kind,
            session: value(headers, "mcp-session-id"),
        });
        Self {
            exchange,
            journal: journal.clone(),
            events,
            bytes: Vec::new(),
            overlong: false,
        }
    }

    fn note(&self, event: &str, text: String) {
        self.journal.note(&Record::Message {
            exchange: self.exchange,
            event: event.to_owned(),
            text,
        });
    }
}

impl Listener for Reply {
    fn piece(&mut self, piece: &[u8]) {
        if self.overlong {
            return;
        }
        let kept = match self.events.take() {
            Some(mut events) => {
                events.feed(piece, |event, text| self.note(event, text));
                let kept = events.kept();
                self.events = Some(events);
                kept
            }
            None => {
                self.bytes.extend_from_slice(piece);
                self.bytes.len()
            }
        };
        if kept > MOST {
            self.overlong = true;
            let exchange = self.exchange;
            self.journal.note(&Record::Overlong { exchange });
        }
    }

    fn end(&mut self, whole: bool) {
        // What is cut off is no message yet, of an event as of a body.
        if whole && !self.overlong && self.events.is_none() && !self.bytes.is_empty() {
            self.note("", String::from_utf8_lossy(&self.bytes).into_owned());
        }
    }
}
