//! How long a peer may take for each phase of a connection.
//!
//! ```text
//! first byte, head of a request   10 s     waiting for the next request   75 s
//! body                            the edge's own business                 any byte of an answer   30 s
//! ```
//!
//! The reader must know whether a request is being served: then silence is the router's.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::task::AtomicWaker;
use http_body::{Frame, SizeHint};
use mcp_router_service::Alarm;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::linger::Linger;
use crate::server::http::{Body, Slices};
use crate::server::params::ServeParams;

/// Whether a request is being served on a connection.
#[derive(Debug, Default)]
pub(super) struct Pace {
    busy: AtomicBool,
    /// It has brought a request.
    served: AtomicBool,
    /// Its place is needed.
    evicted: AtomicBool,
    /// A request was refused before its body was read: its peer may still be sending.
    unread: AtomicBool,
    /// The reader, if it last looked while a request was being served: nothing else would make it
    /// start its clock. Or while no request had come yet: its place may be needed.
    reader: AtomicWaker,
}

impl Pace {
    /// Closing must wait for what the peer still sends.
    pub(super) fn leave_unread(&self) {
        self.unread.store(true, Ordering::Release);
    }

    /// A request was read; the guard's end is the answer's.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.served.store(true, Ordering::Relaxed);
        self.busy.store(true, Ordering::Release);
        Busy(self.clone())
    }

    /// Whether it has brought a request.
    pub(super) fn has_served(&self) -> bool {
        self.served.load(Ordering::Relaxed)
    }

    /// Closes the connection unless a request has come.
    pub(super) fn evict(&self) {
        self.evicted.store(true, Ordering::Release);
        self.reader.wake();
    }

    /// Whether its place was asked for.
    pub(super) fn is_evicted(&self) -> bool {
        self.evicted.load(Ordering::Acquire)
    }
}

/// A request is being served.
#[derive(Debug)]
pub(super) struct Busy(Arc<Pace>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
        self.0.reader.wake();
    }
}

/// What the peer is waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Waiting {
    /// Nothing: the router is at work.
    No,
    /// Its next request.
    Idle,
    /// The rest of a head.
    Head,
}

/// A connection that ends when its peer takes too long.
#[derive(Debug)]
pub(super) struct Paced<S> {
    stream: S,
    pace: Arc<Pace>,
    waiting: Waiting,
    /// Until when; nothing before there was anything to wait for. A head that came whole needs no
    /// clock.
    until: Option<Instant>,
    alarm: Alarm,
    header: Duration,
    idle: Duration,
    stall: Duration,
    /// Runs while a write makes no progress.
    stalled: Option<Pin<Box<Sleep>>>,
    linger: Option<Linger>,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, pace: Arc<Pace>, params: &ServeParams) -> Self {
        Self {
            stream,
            pace,
            // A connection opened for nothing is as good as a slow head.
            waiting: Waiting::Head,
            until: None,
            alarm: Alarm::default(),
            header: params.header_timeout,
            idle: params.idle_timeout,
            stall: params.write_stall,
            stalled: None,
            linger: None,
        }
    }

    const fn wait_for(&mut self, what: Waiting) {
        self.waiting = what;
        self.until = None;
    }

    /// Ready once the peer has been waited for long enough, beginning with the first poll.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let time = match self.waiting {
            Waiting::No | Waiting::Idle => self.idle,
            Waiting::Head => self.header,
        };
        let until = *self.until.get_or_insert_with(|| Instant::now() + time);
        self.alarm.poll(until, cx)
    }

    /// Progress or not, of one write.
    fn wrote<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stall = self.stall;
        let timer = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(stall)));
        std::task::ready!(timer.as_mut().poll(cx));
        tracing::info!("client does not read: connection closed");
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let busy = this.pace.busy.load(Ordering::Acquire);
        match (busy, this.waiting) {
            (true, _) => this.waiting = Waiting::No,
            (false, Waiting::No) => this.wait_for(Waiting::Idle),
            (false, Waiting::Idle | Waiting::Head) => {}
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if read.is_ready() {
            if this.waiting == Waiting::Idle && buffer.filled().len() > before {
                // From its first byte on, a head has so long, however it drips.
                this.wait_for(Waiting::Head);
            }
            return read;
        }
        if this.waiting == Waiting::No {
            this.pace.reader.register(cx.waker());
            if this.pace.busy.load(Ordering::Acquire) {
                return Poll::Pending;
            }
            this.wait_for(Waiting::Idle);
        }
        if !this.pace.has_served() {
            this.pace.reader.register(cx.waker());
            if this.pace.is_evicted() {
                return Poll::Ready(Ok(()));
            }
        }
        std::task::ready!(this.poll_late(cx));
        tracing::debug!(waiting = ?this.waiting, "client took too long: connection closed");
        // As if the peer had closed: nothing is owed to it.
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.wrote(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            let shut = Pin::new(&mut this.stream).poll_shutdown(cx);
            std::task::ready!(this.wrote(shut, cx))?;
        }
        if !this.pace.unread.load(Ordering::Acquire) {
            return Poll::Ready(Ok(()));
        }
        let linger = this.linger.get_or_insert_with(Linger::start);
        linger.poll(Pin::new(&mut this.stream), cx)
    }
}

/// An answer's body that says when it is over.
#[derive(Debug)]
pub(super) struct PacedBody {
    body: Body,
    _busy: Busy,
}

impl PacedBody {
    pub(super) const fn new(body: Body, busy: Busy) -> Self {
        Self { body, _busy: busy }
    }
}

impl http_body::Body for PacedBody {
    type Data = Slices;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Slices>, Self::Error>>> {
        let next = std::task::ready!(self.body.poll_slices(cx));
        Poll::Ready(next.map(|slices| Ok(Frame::data(slices))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
