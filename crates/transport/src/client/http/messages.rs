//! The messages in one response: one JSON body, or a stream of events.

use std::collections::VecDeque;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use mcp_router_protocol::{Message, RequestId};
use mcp_router_service::{CallError, Reason, Sent};
use tokio::time::Instant;

use super::body::Body;
use super::edge::SESSION_ID;
use super::silence::Beat;
use super::wire::{Reply, broken};
use crate::client::dialect::{Answer, protocol_error};
use crate::gather::Gather;
use crate::sse::{SseDecoder, SseEvent};

/// Messages in one array at most.
const BATCH: usize = 1000;

/// What a body is, by its headers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Json,
    Events,
    Other,
}

/// Reads the type of a body. Nothing compressed was asked for, so nothing compressed is read.
pub(super) fn kind(headers: &HeaderMap) -> Kind {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    if text(header::CONTENT_ENCODING).is_some_and(|e| !e.eq_ignore_ascii_case("identity")) {
        return Kind::Other;
    }
    let essence = text(header::CONTENT_TYPE).and_then(|t| t.split(';').next());
    let is = |kind: &str| essence.is_some_and(|e| e.trim().eq_ignore_ascii_case(kind));
    if is("application/json") {
        Kind::Json
    } else if is("text/event-stream") {
        Kind::Events
    } else {
        Kind::Other
    }
}

/// The messages of a response, in order.
#[derive(Debug)]
pub(super) struct Messages {
    first: Option<Message>,
    /// Those of an array behind it.
    ready: VecDeque<Message>,
    events: Option<Events>,
    /// The session that the response opened, if it did.
    pub(super) session: Option<HeaderValue>,
    refused: bool,
    /// Keeps the connection, and the place among the requests in flight.
    body: Body,
}

#[derive(Debug)]
struct Events {
    decoder: SseDecoder,
    beat: Beat,
}

impl Messages {
    /// Begins to read a response whose status says that there are messages. A JSON body is read
    /// whole, at most `limit` bytes; of a stream, each event may be so large.
    ///
    /// # Errors
    /// If the body is no MCP, is too large, or breaks off.
    pub(super) async fn open(reply: Reply, limit: usize) -> Result<Self, CallError> {
        let (head, body) = reply.into_parts();
        let mut messages = Self {
            first: None,
            ready: VecDeque::new(),
            events: None,
            session: head.headers.get(SESSION_ID).cloned(),
            refused: false,
            body,
        };
        match kind(&head.headers) {
            Kind::Json => {
                let text = read_all(&mut messages.body, limit).await?;
                messages.parse(text)?;
            }
            Kind::Events => {
                let decoder = SseDecoder::new(limit);
                let beat = Beat::new();
                messages.events = Some(Events { decoder, beat });
            }
            Kind::Other => {
                messages.body.poison();
                return Err(protocol_error("neither JSON nor an event stream"));
            }
        }
        Ok(messages)
    }

    /// The next message; `None` at the end. May be dropped while it waits and asked again.
    ///
    /// # Errors
    /// If what comes is no MCP, is too large, or breaks off.
    pub(super) async fn next(&mut self) -> Result<Option<Message>, CallError> {
        loop {
            if let Some(message) = self.first.take().or_else(|| self.ready.pop_front()) {
                return Ok(Some(message));
            }
            let Some(event) = self.event().await? else {
                return Ok(None);
            };
            if event.is_message() {
                self.parse(event.data)?;
            }
        }
    }

    /// The next event of a stream, whatever its name; `None` at the end.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub(super) async fn event(&mut self) -> Result<Option<SseEvent>, CallError> {
        let Some(events) = &mut self.events else {
            return Ok(None);
        };
        let mut fed = false;
        loop {
            let event = events.decoder.next_event();
            if std::mem::take(&mut fed) {
                events.beat.hear(matches!(event, Ok(None)));
            }
            match event {
                Ok(Some(event)) => return Ok(Some(event)),
                Ok(None) => {}
                Err(error) => return Err(too_large().because(error)),
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        events.decoder.feed(data);
                        fed = true;
                    }
                }
                Some(Err(error)) => return Err(broken(error)),
                None => return Ok(None),
            }
        }
    }

    /// When anything came last, be it only a sign of life.
    pub(super) fn heard(&self) -> Instant {
        let beat = self.events.as_ref().map(|events| events.beat.heard());
        beat.unwrap_or_else(Instant::now)
    }

    /// Whether the stream used to show that it lives, and has stopped doing so.
    pub(super) fn misses_its_beat(&self) -> bool {
        self.events.as_ref().is_some_and(|e| e.beat.misses())
    }

    /// The answer to request `id`, if that is all that came, and came as usual.
    pub(super) fn only_answer(&mut self, id: u64) -> Option<Answer> {
        let is_it = |first: &mut Message| match first {
            Message::Response { id: theirs, .. } => {
                theirs.as_ref().and_then(RequestId::as_number) == Some(id)
            }
            _ => false,
        };
        let alone = self.ready.is_empty() && self.events.is_none() && !self.refused;
        match self.first.take_if(|first| alone && is_it(first))? {
            Message::Response { answer, .. } => Some(answer),
            _ => None,
        }
    }

    /// These are the messages of a refusal after all, and `first` is the next one.
    pub(super) fn refusing(mut self, first: Message) -> Self {
        self.first = Some(first);
        self.refused = true;
        self
    }

    /// Whether they came with a status that refuses.
    pub(super) fn refused(&self) -> bool {
        self.refused
    }

    /// Where to resume, if the stream told.
    pub(super) fn last_id(&self) -> Option<&Bytes> {
        self.events.as_ref()?.decoder.last_id()
    }

    /// How long to wait before resuming, if the stream told.
    pub(super) fn retry(&self) -> Option<std::time::Duration> {
        self.events.as_ref()?.decoder.retry()
    }

    fn parse(&mut self, text: Bytes) -> Result<(), CallError> {
        let parsed = if Message::is_batch(&text) {
            let texts = Message::split_batch(&text, BATCH);
            let all = texts.and_then(|t| t.iter().map(Message::parse).collect::<Result<_, _>>());
            all.map(|messages| self.ready = messages)
        } else {
            Message::parse(&text).map(|message| self.first = Some(message))
        };
        parsed.map_err(|error| {
            self.body.poison();
            protocol_error("not a message").because(error)
        })
    }
}

/// A whole body of at most `limit` bytes. One that came in one piece is not copied.
///
/// # Errors
/// If it is larger, or breaks off.
pub(super) async fn read_all(body: &mut Body, limit: usize) -> Result<Bytes, CallError> {
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if declared > limit {
        return Err(too_large());
    }
    let mut text = Gather::expecting(declared);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(broken)?.into_data() else {
            continue;
        };
        if text.len() + data.len() > limit {
            return Err(too_large());
        }
        text.push(data);
    }
    Ok(text.take())
}

fn too_large() -> CallError {
    CallError::new(Reason::TooLarge, Sent::Unknown)
}
