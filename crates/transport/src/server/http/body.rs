//! Answer bodies: one message of known length, or a stream of events.

use std::collections::VecDeque;
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
    /// Slices of one message, and how many bytes they still hold.
    Full(VecDeque<Bytes>, u64),
    Events(Box<Events>),
}

impl Body {
    /// Nothing.
    pub const fn empty() -> Self {
        Self(Kind::Full(VecDeque::new(), 0))
    }

    pub(super) fn parts(parts: Vec<Bytes>) -> Self {
        let length = parts.iter().map(|p| p.len() as u64).sum();
        Self(Kind::Full(parts.into(), length))
    }

    pub(super) fn events(events: Events) -> Self {
        Self(Kind::Events(Box::new(events)))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        let length = bytes.len() as u64;
        Self(Kind::Full(VecDeque::from([bytes]), length))
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
            Kind::Full(parts, left) => {
                let part = parts.pop_front();
                *left -= part.as_ref().map_or(0, |p| p.len() as u64);
                part
            }
            Kind::Events(events) => std::task::ready!(events.poll_bytes(cx)),
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Kind::Full(_, 0))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(_, left) => SizeHint::with_exact(*left),
            Kind::Events(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Full(_, left) => write!(f, "Body({left} bytes)"),
            Kind::Events(_) => f.write_str("Body(events)"),
        }
    }
}
