//! Answer bodies: one message of known length, or a stream of events.

use std::convert::Infallible;
use std::fmt;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
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

/// What is left of a message, as the slices it was put together from.
#[derive(Debug, Default)]
pub(in crate::server) struct Slices {
    /// Empty at the end alone.
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
        parts.retain(|part| !part.is_empty());
        parts.reverse();
        let next = parts.pop().unwrap_or_default();
        Self(Kind::Full(Slices {
            next,
            rest: parts,
            left: length as u64,
        }))
    }

    /// What comes next, which is all there is of a message: what comes in pieces, each larger than
    /// a connection buffers, is written in as many goes, the last of which has one brace.
    pub(in crate::server) fn poll_slices(&mut self, cx: &mut Context<'_>) -> Poll<Option<Slices>> {
        Poll::Ready(match &mut self.0 {
            Kind::Full(Slices { left: 0, .. }) => None,
            Kind::Full(slices) => Some(std::mem::take(slices)),
            Kind::Events(events) => std::task::ready!(events.poll_bytes(cx)).map(Slices::from),
        })
    }

    pub(super) fn events(events: Events) -> Self {
        Self(Kind::Events(Box::new(events)))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Kind::Full(bytes.into()))
    }
}

impl From<Bytes> for Slices {
    fn from(bytes: Bytes) -> Self {
        Self {
            left: bytes.len() as u64,
            next: bytes,
            rest: Vec::new(),
        }
    }
}

impl Buf for Slices {
    fn remaining(&self) -> usize {
        // Of bytes that are in memory.
        self.left as usize
    }

    fn chunk(&self) -> &[u8] {
        &self.next
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let all = std::iter::once(&self.next).chain(self.rest.iter().rev());
        let filled = slices.iter_mut().zip(all.filter(|part| !part.is_empty()));
        filled
            .map(|(slice, part)| *slice = IoSlice::new(part))
            .count()
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.remaining(), "cannot advance beyond the end");
        self.left -= count as u64;
        while count >= self.next.len() {
            count -= self.next.len();
            let Some(next) = self.rest.pop() else {
                self.next = Bytes::new();
                return;
            };
            self.next = next;
        }
        self.next.advance(count);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_large_message_is_one_write_and_not_copied() {
        let large = Bytes::from(vec![b'x'; SMALL]);
        let parts = vec![Bytes::from("a"), Bytes::new(), large.clone(), "}".into()];
        let whole = parts.concat();
        let mut body = Body::parts(parts);
        let first = std::future::poll_fn(|cx| body.poll_slices(cx)).await;
        let mut all = first.unwrap();
        assert!(http_body::Body::is_end_stream(&body));
        assert!(
            std::future::poll_fn(|cx| body.poll_slices(cx))
                .await
                .is_none()
        );
        let mut slices = [IoSlice::new(&[]); 8];
        assert_eq!(all.chunks_vectored(&mut slices), 3);
        assert_eq!(slices[1].as_ptr(), large.as_ptr());
        for step in [0, 1, SMALL - 1, 2] {
            assert_eq!(
                all.chunk().first(),
                whole.get(whole.len() - all.remaining())
            );
            all.advance(step);
        }
        assert!(!all.has_remaining() && all.chunk().is_empty());
    }
}
