//! Many clients that have said hello and wait.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Opens a session.
const HELLO: &str = concat!(
    r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
    r#""capabilities":{},"clientInfo":{"name":"crowd","version":"1"}}}"#,
);

/// Says that the session is open.
const READY: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// A connection on which one request follows another.
pub(super) struct Line {
    stream: TcpStream,
    addr: SocketAddr,
}

impl Line {
    pub(super) async fn connect(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, addr })
    }

    /// Opens a session and gives its id.
    pub(super) async fn open(&mut self) -> io::Result<String> {
        let head = self.ask("POST", "", HELLO).await?;
        let id = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("mcp-session-id")
                .then(|| value.trim().to_owned())
        });
        let id = id.ok_or_else(|| io::Error::other(format!("no session: {head}")))?;
        self.ask("POST", &id, READY).await?;
        Ok(id)
    }

    /// Ends a session.
    pub(super) async fn end(&mut self, id: &str) -> io::Result<()> {
        self.ask("DELETE", id, "").await.map(drop)
    }

    /// Opens the standing stream of a session; the connection is the stream's from then on.
    pub(super) async fn stream(mut self, id: &str) -> io::Result<TcpStream> {
        self.send("GET", id, "").await?;
        let (head, _) = self.head().await?;
        expect_success(&head)?;
        Ok(self.stream)
    }

    async fn ask(&mut self, method: &str, id: &str, body: &str) -> io::Result<String> {
        self.send(method, id, body).await?;
        let (head, read) = self.head().await?;
        expect_success(&head)?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let length = name.eq_ignore_ascii_case("content-length");
            length.then(|| value.trim().parse::<usize>().ok()).flatten()
        });
        let left = length.unwrap_or(0).saturating_sub(read);
        self.stream.read_exact(&mut vec![0; left]).await?;
        Ok(head)
    }

    async fn send(&mut self, method: &str, id: &str, body: &str) -> io::Result<()> {
        let session = match id {
            "" => String::new(),
            id => format!("Mcp-Session-Id: {id}\r\nMcp-Protocol-Version: 2025-11-25\r\n"),
        };
        let accept = match method {
            "GET" => "text/event-stream",
            _ => "application/json, text/event-stream",
        };
        let text = format!(
            "{method} /mcp HTTP/1.1\r\nHost: {}\r\nAccept: {accept}\r\nContent-Type: \
             application/json\r\n{session}Content-Length: {}\r\n\r\n{body}",
            self.addr,
            body.len()
        );
        self.stream.write_all(text.as_bytes()).await
    }

    /// The next response's head, and how much of its body came with it.
    async fn head(&mut self) -> io::Result<(String, usize)> {
        let mut text = Vec::with_capacity(1024);
        loop {
            if self.stream.read_buf(&mut text).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(end) = text.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&text[..end]).into_owned();
                return Ok((head, text.len() - end - 4));
            }
        }
    }
}

fn expect_success(head: &str) -> io::Result<()> {
    if head.starts_with("HTTP/1.1 2") {
        Ok(())
    } else {
        Err(io::Error::other(head.to_owned()))
    }
}
