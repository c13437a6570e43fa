//! Messages as server-sent events.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use crate::server::dialect::{Wire, one_line};

const OPEN: Bytes = Bytes::from_static(b"event: message\ndata: ");
const CLOSE: Bytes = Bytes::from_static(b"\n\n");
/// A comment: it says nothing and keeps what lies between from closing a silent connection.
const BEAT: Bytes = Bytes::from_static(b":\n\n");

/// A message, and the line with its id in front.
pub(super) type Numbered = (Bytes, Wire);

/// A stream of events. It is pulled: while the client does not read, nothing is asked of the
/// call, and the backend's edge decides what to drop.
pub(super) struct Events {
    source: BoxStream<'static, Numbered>,
    ready: VecDeque<Bytes>,
    beat: Pin<Box<Sleep>>,
    period: Duration,
}

impl Events {
    pub(super) fn new(source: impl Stream<Item = Wire> + Send + 'static, period: Duration) -> Self {
        Self::numbered(source.map(|wire| (Bytes::new(), wire)), period)
    }

    /// Events with ids.
    pub(super) fn numbered(
        source: impl Stream<Item = Numbered> + Send + 'static,
        period: Duration,
    ) -> Self {
        Self {
            source: Box::pin(source),
            ready: VecDeque::with_capacity(8),
            beat: Box::pin(tokio::time::sleep(period)),
            period,
        }
    }

    /// The same stream with some text in front.
    pub(super) fn after(mut self, text: Bytes) -> Self {
        self.ready.push_front(text);
        self
    }

    /// The same stream, holding its place among the streams of the edge.
    pub(super) fn holding(mut self, permit: OwnedSemaphorePermit) -> Self {
        let source = self.source.map(move |message| {
            let _held = &permit;
            message
        });
        self.source = source.boxed();
        self
    }

    pub(super) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(bytes) = self.ready.pop_front() {
            return Poll::Ready(Some(bytes));
        }
        match self.source.as_mut().poll_next(cx) {
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some((id, wire))) => {
                let head = if id.is_empty() {
                    OPEN
                } else {
                    self.ready.push_back(OPEN);
                    id
                };
                self.ready.extend(one_line(wire.parts));
                self.ready.push_back(CLOSE);
                self.rest();
                return Poll::Ready(Some(head));
            }
            Poll::Pending => {}
        }
        std::task::ready!(self.beat.as_mut().poll(cx));
        self.rest();
        // Register with the new moment.
        let _ = self.beat.as_mut().poll(cx);
        Poll::Ready(Some(BEAT))
    }

    fn rest(&mut self) {
        let next = Instant::now() + self.period;
        self.beat.as_mut().reset(next);
    }
}
