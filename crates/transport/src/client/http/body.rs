//! The body of a response, and what becomes of its connection.

use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;

use super::conn::Conn;
use super::idle::Idle;

/// What a response came on.
pub(super) enum Carrier {
    Own(Box<Conn>),
    /// One that others use too, and where it is kept.
    Shared(Weak<Idle>),
    /// Nothing that is to be used again.
    Gone,
}

/// A body that reads itself. Once it has been read to its end, dropping it keeps its connection
/// for the next call; dropped before, it closes it.
pub(super) struct Body {
    /// There until it is dropped.
    incoming: Option<Incoming>,
    carrier: Carrier,
    /// One's place among the requests in flight.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Body {
    pub(super) fn new(
        incoming: Incoming,
        carrier: Carrier,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            incoming: Some(incoming),
            carrier,
            _permit: permit,
        }
    }

    /// F8: a connection on which nonsense came carries no further request.
    pub(super) fn poison(&mut self) {
        if let Carrier::Shared(home) = std::mem::replace(&mut self.carrier, Carrier::Gone)
            && let Some(home) = home.upgrade()
        {
            home.part();
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let Self {
            incoming, carrier, ..
        } = self.get_mut();
        let Some(incoming) = incoming else {
            return Poll::Ready(None);
        };
        match carrier {
            Carrier::Own(conn) => conn.drive(cx, |cx| Pin::new(&mut *incoming).poll_frame(cx)),
            Carrier::Shared(_) | Carrier::Gone => Pin::new(incoming).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.incoming.as_ref().map(Incoming::size_hint);
        hint.unwrap_or_default()
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Carrier::Own(conn) = std::mem::replace(&mut self.carrier, Carrier::Gone) {
            conn.rest(self.incoming.take());
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}
