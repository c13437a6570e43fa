//! The two pipes of a child: lines out, lines in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::Message;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::mux::{Mux, SentMark};
use crate::client::rope::Rope;
use crate::line::{Ends, LineDecoder, TooLong};

/// One message on its way out.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) rope: Rope,
    pub(super) mark: SentMark,
}

impl Line {
    pub(super) fn new(message: Rope, mark: SentMark) -> Self {
        Self {
            rope: message.into_line(),
            mark,
        }
    }
}

/// Since when the writer has been stuck on the same line.
#[derive(Clone, Debug)]
pub(super) struct Stuck {
    start: Instant,
    /// Milliseconds after `start`, plus one; 0 while nothing is being written.
    since: Arc<AtomicU64>,
}

impl Stuck {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            since: Arc::default(),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    /// For how many milliseconds the line being written has not gone out.
    pub(super) fn millis(&self) -> u64 {
        match self.since.load(Ordering::Acquire) {
            0 => 0,
            since => self.now().saturating_sub(since),
        }
    }
}

/// Writes lines until told to stop, or until the child takes no more; then closes the pipe.
pub(super) async fn write(
    mut pipe: impl AsyncWrite + Unpin,
    mut lines: mpsc::Receiver<Line>,
    stuck: Stuck,
    stop: CancellationToken,
) {
    loop {
        let line = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            line = lines.recv() => line,
        };
        let Some(Line { mut rope, mark }) = line else {
            return;
        };
        if !mark.begin() {
            continue; // its caller has left
        }
        stuck.since.store(stuck.now(), Ordering::Release);
        let written = tokio::select! {
            biased;
            written = pipe.write_all_buf(&mut rope) => written,
            () = stop.cancelled() => return,
        };
        stuck.since.store(0, Ordering::Release);
        match written {
            Ok(()) => mark.written(),
            Err(error) => {
                tracing::debug!(%error, "child takes no more input");
                return;
            }
        }
    }
}

/// Why nothing more comes from a child.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    /// It closed its output, by ending or otherwise.
    Closed,
    /// It wrote a line over the limit.
    TooLong,
}

/// Reads messages until the end and gives each to whom it concerns.
pub(super) async fn read(
    mut pipe: impl AsyncRead + Unpin,
    mux: Arc<Mux>,
    limit: usize,
    backend: String,
) -> End {
    let mut decoder = LineDecoder::new(Ends::Lf, limit);
    let mut buffer = BytesMut::new();
    let mut noise = 0;
    loop {
        buffer.reserve(32 << 10);
        // An error of a pipe is its end.
        if !matches!(pipe.read_buf(&mut buffer).await, Ok(1..)) {
            return match decoder.finish() {
                Ok(line) => {
                    line.iter()
                        .for_each(|line| take(line, &mux, &mut noise, &backend));
                    End::Closed
                }
                Err(error) => too_long(&backend, error),
            };
        }
        decoder.feed(buffer.split().freeze());
        loop {
            match decoder.next_line() {
                Ok(Some(line)) => take(&line, &mux, &mut noise, &backend),
                Ok(None) => break,
                Err(error) => return too_long(&backend, error),
            }
        }
    }
}

fn too_long(backend: &str, error: TooLong) -> End {
    tracing::warn!(%backend, %error, "child writes too long a line");
    End::TooLong
}

/// Servers print banners and debug output where only messages belong (F28): skipped, counted.
fn take(line: &Bytes, mux: &Mux, noise: &mut u64, backend: &str) {
    if line.iter().all(u8::is_ascii_whitespace) {
        return;
    }
    let messages = if Message::is_batch(line) {
        Message::split_batch(line, 1000)
    } else {
        Ok(vec![line.clone()])
    };
    let parsed = messages.and_then(|texts| {
        texts
            .iter()
            .map(Message::parse)
            .collect::<Result<Vec<_>, _>>()
    });
    match parsed {
        Ok(messages) => messages.into_iter().for_each(|m| mux.dispatch(m)),
        Err(why) => {
            *noise += 1;
            dropped::count_of(Dropped::ChildNoise, backend);
            let bytes = line.len();
            if *noise == 1 {
                tracing::warn!(%backend, %why, bytes, "child writes what is no message; skipped");
            } else {
                tracing::debug!(%backend, %why, bytes, noise, "not a message; skipped");
            }
        }
    }
}
