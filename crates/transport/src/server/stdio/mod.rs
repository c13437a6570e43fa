//! MCP over a pair of byte streams: one message a line, both eras.
//!
//! What hosts start as a process speaks this. Standard output carries messages and nothing else,
//! and the end of standard input is the end of the conversation.

mod lines;
mod writer;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mcp_router_protocol::EnvelopeError;
use mcp_router_service::{McpService, Principal, SessionId};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::connection::{Connection, Setup};
use super::dialect::Signature;
use super::params::StdioParams;
use lines::{Line, Lines};

/// How long the last messages may take to be written.
const FLUSH: Duration = Duration::from_secs(1);

/// Why the conversation ends.
enum End {
    /// The embedder wants it.
    Stop,
    /// The client closed its side, or broke the framing.
    Eof,
    /// Nobody reads what we write.
    Deaf(io::Result<()>),
}

/// Serves one client over `reader` and `writer` until either ends or `stop` fires.
///
/// After the end of `reader`, calls in flight get [`StdioParams::eof_grace`]; after `stop`,
/// [`StdioParams::drain`], and subscriptions end with an answer. What is left then is cancelled.
/// Dropping the future cancels everything without a word.
///
/// # Errors
/// If writing fails; then nobody is there to be told anything.
pub async fn stdio<R, W>(
    router: McpService,
    params: StdioParams,
    reader: R,
    writer: W,
    stop: CancellationToken,
) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let setup = Setup {
        session: SessionId::new("stdio"),
        principal: Principal::Anonymous,
        in_flight: Arc::new(Semaphore::new(params.in_flight)),
        batch: params.batch,
        ask: params.ask,
        signature: Arc::new(Signature::new(&params.identity)),
    };
    let (connection, queue) = Connection::new(router, setup);
    let guard = Guard(connection.clone());
    let mut writing = tokio::spawn(writer::write(writer, queue));
    let end = read(&connection, &params, reader, &mut writing, &stop).await;
    match &end {
        End::Stop => drop(tokio::time::timeout(params.drain, connection.idle()).await),
        End::Eof => tokio::select! {
            _ = tokio::time::timeout(params.eof_grace, connection.idle()) => {}
            () = stop.cancelled() => {}
        },
        End::Deaf(_) => {}
    }
    connection.close().await;
    drop(guard);
    drop(connection);
    match end {
        End::Deaf(error) => error,
        End::Stop | End::Eof => match tokio::time::timeout(FLUSH, &mut writing).await {
            Ok(written) => written.unwrap_or_else(|e| Err(io::Error::other(e))),
            Err(_) => {
                tracing::warn!("the client does not read: its last messages are lost");
                writing.abort();
                Ok(())
            }
        },
    }
}

async fn read<R: AsyncRead + Unpin>(
    connection: &Connection,
    params: &StdioParams,
    reader: R,
    writing: &mut JoinHandle<io::Result<()>>,
    stop: &CancellationToken,
) -> End {
    let mut lines = Lines::new(reader, params.line);
    loop {
        let line = tokio::select! {
            biased;
            () = stop.cancelled() => return End::Stop,
            written = &mut *writing => {
                return End::Deaf(written.unwrap_or_else(|e| Err(io::Error::other(e))));
            }
            line = lines.next() => line,
        };
        let refused = match line {
            Ok(Line::Message(text)) => match connection.take(text).await {
                Ok(()) => continue,
                Err(error) => error,
            },
            Ok(Line::TooLong) => {
                let text = format!("a line is longer than {} bytes", params.line);
                connection.refuse(&EnvelopeError::invalid(text)).await;
                return End::Eof;
            }
            Ok(Line::End) => return End::Eof,
            Err(error) => {
                tracing::warn!(%error, "standard input cannot be read");
                return End::Eof;
            }
        };
        connection.refuse(&refused).await;
    }
}

/// Cancels the calls when the future is dropped half-way.
struct Guard(Connection);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.kill();
    }
}

#[cfg(test)]
mod tests;
