//! Closing a connection on which the peer is still sending.
//!
//! A socket closed with unread bytes in it is reset, and a reset overtakes the answer: a client
//! that sends too large a body would see a broken pipe instead of the 413. So after the last byte
//! written, what still comes is read and thrown away, for a moment.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Sleep;

/// How long.
const TIME: Duration = Duration::from_secs(2);
/// How much.
const MOST: usize = 32 << 20;

/// The state of one closing.
#[derive(Debug)]
pub(super) struct Linger {
    until: Pin<Box<Sleep>>,
    left: usize,
}

impl Linger {
    pub(super) fn start() -> Self {
        Self {
            until: Box::pin(tokio::time::sleep(TIME)),
            left: MOST,
        }
    }

    /// Reads and forgets until the peer is done, or long enough.
    pub(super) fn poll<R: AsyncRead>(
        &mut self,
        mut reader: Pin<&mut R>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut scrap = [0; 4096];
        while self.left > 0 {
            if self.until.as_mut().poll(cx).is_ready() {
                break;
            }
            let mut buffer = ReadBuf::new(&mut scrap);
            match std::task::ready!(reader.as_mut().poll_read(cx, &mut buffer)) {
                // The peer is gone, one way or the other.
                Err(_) => break,
                Ok(()) if buffer.filled().is_empty() => break,
                Ok(()) => self.left = self.left.saturating_sub(buffer.filled().len()),
            }
        }
        Poll::Ready(Ok(()))
    }
}
