//! Answer bodies: one message of known length, or a stream of events.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::events::Events;

/// The body of every answer of the edge. It never fails: a call that goes wrong ends in a message
/// that says so.
pub struct Body(Kind);

enum Kind {
    /// Slices of one message.
    Full(Slices),
    Events(Box<Events>),
}

struct Slices {
    next: Bytes,
    /// What follows, the last one first.
    rest: Vec<Bytes>,
    /// How many bytes are still to come.
    left: u64,
}

/// A message of at most so many bytes is cheaper copied into one piece than written in several.
const SMALL: usize = 4 << 10;

impl Body {
    /// Nothing.
    pub const fn empty() -> Self {
        Self(Kind::Full(Slices {
            next: Bytes::new(),
            rest: Vec::new(),
            left: 0,
        }))
    }

    pub(super) fn parts(mut parts: Vec<Bytes>) -> Self {
        let length: usize = parts.iter().map(Bytes::len).sum();
        if length <= SMALL {
            return Bytes::from(parts.concat()).into();
        }
        parts.reverse();
        let next = parts.pop().unwrap_or_default();
        Self(Kind::Full(Slices {
            next,
            rest: parts,
            left: length as u64,
        }))
    }

    pub(super) fn events(events: Events) -> Self {
        Self(Kind::Events(Box::new(events)))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Kind::Full(Slices {
            left: bytes.len() as u64,
            next: bytes,
            rest: Vec::new(),
        }))
    }
}

impl Slices {
    fn take(&mut self) -> Option<Bytes> {
        if self.left == 0 {
            return None;
        }
        let following = self.rest.pop().unwrap_or_default();
        let next = std::mem::replace(&mut self.next, following);
        self.left -= next.len() as u64;
        Some(next)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match &mut self.0 {
            Kind::Full(slices) => slices.take(),
            Kind::Events(events) => std::task::ready!(events.poll_bytes(cx)),
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Kind::Full(Slices { left: 0, .. }))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(slices) => SizeHint::with_exact(slices.left),
            Kind::Events(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Full(slices) => write!(f, "Body({} bytes)", slices.left),
            Kind::Events(_) => f.write_str("Body(events)"),
        }
    }
}
