//! HTTP messages with a length, as little of it as both peers need.

use std::io;
use std::ops::Range;

use memchr::memmem;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// The largest message, with room to spare.
const LARGEST: usize = 1 << 20;

/// Both ends of a connection, and the last message that was read.
#[derive(Debug)]
pub(crate) struct Peer {
    stream: TcpStream,
    bytes: Vec<u8>,
    body: Range<usize>,
}

impl Peer {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            bytes: Vec::with_capacity(LARGEST),
            body: 0..0,
        })
    }

    pub(crate) async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        tokio::io::AsyncWriteExt::write_all(&mut self.stream, message).await
    }

    /// Reads the next message; an error if the other side has closed, or sends one that has no
    /// length.
    pub(crate) async fn read(&mut self) -> io::Result<()> {
        self.bytes.clear();
        let body = loop {
            self.more().await?;
            if let Some(end) = memmem::find(&self.bytes, b"\r\n\r\n") {
                break end + 4;
            }
        };
        let length = length(&self.bytes[..body])
            .ok_or_else(|| io::Error::other(format!("no length: {}", self.bytes.escape_ascii())))?;
        self.body = body..body + length;
        while self.bytes.len() < self.body.end {
            self.more().await?;
        }
        Ok(())
    }

    async fn more(&mut self) -> io::Result<()> {
        if self.bytes.len() == LARGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        match self.stream.read_buf(&mut self.bytes).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    pub(crate) fn head(&self) -> &[u8] {
        &self.bytes[..self.body.start]
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.bytes[self.body.clone()]
    }
}

/// The value of a header whose name is written in lower case.
pub(crate) fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let begin = memmem::find(head, format!("\r\n{name}: ").as_bytes())? + name.len() + 4;
    let value = &head[begin..];
    let end = memchr::memchr(b'\r', value)?;
    std::str::from_utf8(&value[..end]).ok()
}

fn length(head: &[u8]) -> Option<usize> {
    header(head, "content-length")?.parse().ok()
}
