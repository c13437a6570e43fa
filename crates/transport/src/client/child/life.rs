//! One life of a child: start, handshake, watch, end.

use std::sync::Arc;
use std::time::Duration;

use mcp_router_protocol::BackendName;
use mcp_router_service::{CallError, Reason, Scope, Sent};
use tokio::process::Child;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::ChildParams;
use super::conn::Conn;
use super::pipes::{self, End};
use super::spawn::{Group, Signal, spawn};
use super::stderr;
use crate::client::events::Events;

/// What is still read of a process that has ended: its last answers.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// A running child.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) conn: Arc<Conn>,
    backend: BackendName,
    child: Child,
    group: Group,
    reader: JoinHandle<()>,
    /// Set by the reader once nothing more comes.
    end: watch::Receiver<Option<End>>,
    writer: JoinHandle<()>,
    close_input: CancellationToken,
    stop_timeout: Duration,
}

impl Life {
    /// Starts the process and what reads and writes its pipes.
    pub(super) async fn start(
        params: &ChildParams,
        events: Events,
        scope: Scope,
    ) -> Result<Self, CallError> {
        let (mut child, group) = spawn(params).await.map_err(|error| {
            let detail = format!("cannot be started: {}", error.kind());
            CallError::new(Reason::ConnectFailed, Sent::No)
                .detail(detail)
                .because(error)
        })?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(CallError::new(Reason::Internal, Sent::No).detail("no pipes"));
        };
        let backend = params.name.to_string();
        let rules = stderr::Rules {
            backend: backend.clone(),
            lines_per_second: params.stderr_lines_per_second,
            secrets: params.env.iter().map(|(_, v)| v.clone()).collect(),
        };
        // Ends with the last process that holds the pipe; those are killed at the latest here.
        tokio::spawn(stderr::drain(stderr, rules));
        let (out, lines) = mpsc::channel(params.write_queue.max(1));
        let conn = Arc::new(Conn::new(events, scope, out));
        let close_input = CancellationToken::new();
        let writing = pipes::write(stdin, lines, conn.stuck.clone(), close_input.clone());
        let reading = pipes::read(stdout, conn.mux.clone(), params.line_limit, backend);
        let (ended, end) = watch::channel(None);
        let reading = async move {
            ended.send_replace(Some(reading.await));
        };
        Ok(Self {
            conn,
            backend: params.name.clone(),
            child,
            group,
            reader: tokio::spawn(reading),
            end,
            writer: tokio::spawn(writing),
            close_input,
            stop_timeout: params.stop_timeout,
        })
    }

    /// Resolves when the child ends or can no longer be talked to, with the reason.
    pub(super) async fn ended(&mut self) -> CallError {
        let lost = |reason, detail| CallError::new(reason, Sent::Unknown).detail(detail);
        tokio::select! {
            end = end(&mut self.end) => match end {
                End::TooLong => lost(Reason::TooLarge, "line over the limit".to_owned()),
                End::Closed => match timeout(LAST_WORDS, self.child.wait()).await {
                    Ok(Ok(status)) => lost(Reason::BackendLost, status.to_string()),
                    _ => lost(Reason::BackendLost, "closed its output".to_owned()),
                },
            },
            status = self.child.wait() => {
                // What it wrote last may still be in the pipe. Its own children may hold the
                // pipe open, so the end of it is not waited for.
                let _ = timeout(LAST_WORDS, end(&mut self.end)).await;
                let text = status.map_or_else(|e| e.to_string(), |s| s.to_string());
                lost(Reason::BackendLost, text)
            }
            () = self.conn.restart.notified() => {
                lost(Reason::Timeout, "does not read its input".to_owned())
            }
        }
    }

    /// Fails every call. The writer is stopped first, so that it is known what was written.
    pub(super) async fn fail_calls(&mut self, reason: Reason, detail: &'static str) {
        self.close_input.cancel();
        if !self.writer.is_finished() {
            // Ends at its next look at the token; a panic there is an end as well.
            let _ = (&mut self.writer).await;
        }
        self.conn.mux.fail_all(reason, detail);
    }

    /// R47: closes its input, waits, SIGTERM, waits, SIGKILL; the latter two to its whole group.
    /// Nothing of the group is alive afterwards. Takes at most twice the stop timeout.
    pub(super) async fn stop(mut self) {
        self.close_input.cancel();
        if timeout(self.stop_timeout, self.child.wait()).await.is_err() {
            self.group.signal(Signal::Terminate);
            if timeout(self.stop_timeout, self.child.wait()).await.is_err() {
                tracing::warn!(
                    backend = %self.backend, pid = self.child.id(),
                    "child ignores SIGTERM; killed"
                );
            }
        }
        self.group.end();
        if self.child.id().is_some() {
            // SIGKILL cannot be ignored; what remains to be waited for is the kernel.
            let _ = self.child.start_kill();
            let _ = self.child.wait().await;
        }
        self.reader.abort();
        self.conn.mux.fail_all(Reason::BackendLost, "stopped");
    }
}

/// Waits for the reader's end, any number of times.
async fn end(end: &mut watch::Receiver<Option<End>>) -> End {
    let ended = end.wait_for(Option::is_some).await;
    // A reader that is gone without a word reads no more either.
    ended.ok().and_then(|end| *end).unwrap_or(End::Closed)
}
