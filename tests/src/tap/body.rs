//! Bodies that are read along while they pass.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// Reads along.
pub(super) trait Listener {
    /// The next piece.
    fn piece(&mut self, piece: &[u8]);
    /// No more will come; `whole` unless the sender or the receiver went away before the end.
    fn end(&mut self, whole: bool);
}

/// A body as it came, with somebody who reads along.
#[derive(Debug)]
pub(super) struct Overheard<L: Listener> {
    inner: Incoming,
    listener: L,
    ended: bool,
}

impl<L: Listener> Overheard<L> {
    pub(super) fn new(inner: Incoming, listener: L) -> Self {
        let mut body = Self {
            inner,
            listener,
            ended: false,
        };
        body.look_for_the_end();
        body
    }

    /// Whoever passes this on may stop asking once the last byte is there, and the answer may come
    /// before it asks again.
    fn look_for_the_end(&mut self) {
        if self.inner.is_end_stream() {
            self.end(true);
        }
    }

    fn end(&mut self, whole: bool) {
        if !std::mem::replace(&mut self.ended, true) {
            self.listener.end(whole);
        }
    }
}

impl<L: Listener + Unpin> Body for Overheard<L> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(piece) = frame.data_ref() {
                    self.listener.piece(piece);
                }
                self.look_for_the_end();
            }
            Poll::Ready(Some(Err(_))) => self.end(false),
            Poll::Ready(None) => self.end(true),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<L: Listener> Drop for Overheard<L> {
    fn drop(&mut self) {
        self.end(false);
    }
}
