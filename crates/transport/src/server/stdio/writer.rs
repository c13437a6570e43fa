//! The one task that owns standard output.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::server::dialect::{Wire, one_line};

/// Bytes gathered before they are written although more messages wait.
const BATCH: usize = 64 << 10;

/// Writes messages, one a line, until the queue is closed and empty.
pub(super) async fn write<W>(mut writer: W, mut queue: mpsc::Receiver<Wire>) -> io::Result<()>
where
    W: AsyncWrite + Unpin,
{
    let mut buffer = BytesMut::new();
    while let Some(wire) = queue.recv().await {
        push(&mut buffer, wire);
        while buffer.len() < BATCH
            && let Ok(wire) = queue.try_recv()
        {
            push(&mut buffer, wire);
        }
        writer.write_all(&buffer).await?;
        writer.flush().await?;
        buffer.clear();
        if buffer.capacity() > 4 * BATCH {
            // One large answer must not cost its size for ever.
            buffer = BytesMut::new();
        }
    }
    writer.shutdown().await
}

fn push(buffer: &mut BytesMut, wire: Wire) {
    for part in one_line(wire.parts) {
        buffer.extend_from_slice(&part);
    }
    buffer.extend_from_slice(b"\n");
}
