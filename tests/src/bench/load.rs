//! The load generator: so many connections, each sending its next request when it has its answer.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::table::print;
use crate::fixture::{Era, MODERN};

/// What is printed when the warm-up is over and counting begins.
pub(super) const STARTED: &str = "started";

/// Generates load.
#[derive(Args, Clone, Debug, Serialize)]
pub(super) struct Load {
    /// Where to send it
    #[arg(long)]
    pub(super) addr: SocketAddr,
    /// `legacy` or `modern`
    #[arg(long, value_enum)]
    pub(super) era: Era,
    /// Tools to call in turn; none: `tools/list`
    #[arg(long)]
    pub(super) tool: Vec<String>,
    /// Call the `sleep` tool for so many milliseconds instead of one that echoes; 0: do not
    #[arg(long, default_value_t = 0)]
    pub(super) sleep_ms: u64,
    /// Length of the argument, and so of the answer
    #[arg(long, default_value_t = 2)]
    pub(super) payload: usize,
    /// Connections, each with one request at a time
    #[arg(long)]
    pub(super) connections: usize,
    /// Not counted at the start, milliseconds
    #[arg(long, default_value_t = 500)]
    pub(super) warm_ms: u64,
    /// Counted after that, milliseconds
    #[arg(long)]
    pub(super) run_ms: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Figures {
    /// Requests answered well in the counted time.
    pub(super) requests: u64,
    /// Requests refused as too many in the counted time.
    pub(super) refused: u64,
    /// 99th percentile of their times, microseconds.
    pub(super) refused_p99_us: f64,
    /// Requests answered otherwise, the warm-up included.
    pub(super) errors: u64,
    /// What the first of them was.
    pub(super) first_error: Option<String>,
    /// Counted time, seconds.
    pub(super) seconds: f64,
    /// Median, microseconds.
    pub(super) p50_us: f64,
    /// 99th percentile, microseconds.
    pub(super) p99_us: f64,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Load {
    /// Generates the load and prints the figures.
    pub(super) fn run(self) -> ExitCode {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let figures = runtime.block_on(self.generate());
        let text = serde_json::to_string(&figures).expect("figures are JSON");
        print(&text);
        ExitCode::SUCCESS
    }

    async fn generate(self) -> Figures {
        let from = Instant::now() + Duration::from_millis(self.warm_ms);
        let until = from + Duration::from_millis(self.run_ms);
        let workers: Vec<_> = (0..self.connections)
            .map(|number| {
                let mut worker = Worker {
                    load: self.clone(),
                    next: number,
                    session: None,
                    took: Vec::with_capacity(1 << 12),
                    refused: Vec::new(),
                    errors: Vec::new(),
                };
                tokio::spawn(async move {
                    worker.work(from, until).await;
                    worker
                })
            })
            .collect();
        tokio::time::sleep_until(from).await;
        print(STARTED);
        let (mut took, mut refused) = (Vec::new(), Vec::new());
        let mut figures = Figures {
            seconds: Duration::from_millis(self.run_ms).as_secs_f64(),
            ..Figures::default()
        };
        for worker in workers {
            let mut worker = worker.await.expect("a worker does not panic");
            took.append(&mut worker.took);
            refused.append(&mut worker.refused);
            figures.errors += worker.errors.len() as u64;
            figures.first_error = figures.first_error.or(worker.errors.into_iter().next());
        }
        took.sort_unstable();
        refused.sort_unstable();
        figures.refused = refused.len() as u64;
        figures.refused_p99_us = percentile(&refused, 99);
        figures.requests = took.len() as u64;
        figures.p50_us = percentile(&took, 50);
        figures.p99_us = percentile(&took, 99);
        figures
    }
}

/// The percentile of sorted times, microseconds.
pub(super) fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let at = (sorted.len() * percent / 100).min(last);
    sorted.get(at).map_or(0.0, |d| d.as_secs_f64() * 1e6)
}

struct Worker {
    load: Load,
    next: usize,
    session: Option<String>,
    took: Vec<Duration>,
    refused: Vec<Duration>,
    errors: Vec<String>,
}

/// How a request ended that did not fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Answer {
    Served,
    /// There were too many.
    Refused,
}

/// How long a client that was refused waits before it comes again.
const REFUSED: Duration = Duration::from_millis(20);

impl Worker {
    /// Sends until the time is over. After an error it connects anew.
    async fn work(&mut self, from: Instant, until: Instant) {
        while Instant::now() < until {
            if let Err(error) = self.connected(from, until).await {
                self.errors.push(error.to_string());
                // Whoever refuses at once must not be hammered.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    async fn connected(&mut self, from: Instant, until: Instant) -> Result<(), BoxError> {
        let stream = TcpStream::connect(self.load.addr).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        if self.load.era == Era::Legacy && self.session.is_none() {
            self.initialize(&mut sender).await?;
        }
        loop {
            let request = self.request();
            let begin = Instant::now();
            if begin >= until {
                return Ok(());
            }
            if sender.ready().await.is_err() {
                // An idle connection that the server closed is its right, not an error.
                return Ok(());
            }
            let answer = self.exchange(&mut sender, request).await?;
            let end = Instant::now();
            if begin >= from && end <= until {
                match answer {
                    Answer::Served => self.took.push(end - begin),
                    Answer::Refused => self.refused.push(end - begin),
                }
            }
            if answer == Answer::Refused {
                tokio::time::sleep(REFUSED).await;
            }
        }
    }

    async fn exchange(
        &self,
        sender: &mut SendRequest<Full<Bytes>>,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, BoxError> {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let expected = if self.load.tool.is_empty() || self.load.sleep_ms > 0 {
            0
        } else {
            self.load.payload
        };
        if status == 200 && body.len() >= expected && is_result(&body) {
            return Ok(Answer::Served);
        }
        if status == 503 || has(&body, r#""reason":"overloaded""#) {
            return Ok(Answer::Refused);
        }
        let shown = String::from_utf8_lossy(&body[..body.len().min(300)]);
        Err(format!("{status}: {shown}").into())
    }

    async fn initialize(&mut self, sender: &mut SendRequest<Full<Bytes>>) -> Result<(), BoxError> {
        let hello = concat!(
            r#"{"jsonrpc":"2.0","id":"hello","method":"initialize","params":{"#,
            r#""protocolVersion":"2025-11-25","capabilities":{},"#,
            r#""clientInfo":{"name":"bench","version":"1"}}}"#,
        );
        let response = sender.send_request(self.post(hello)).await?;
        let session = response.headers().get("mcp-session-id");
        self.session = session.and_then(|id| id.to_str().ok()).map(str::to_owned);
        response.into_body().collect().await?;
        let ready = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        sender.ready().await?;
        let accepted = sender.send_request(self.post(ready)).await?;
        accepted.into_body().collect().await?;
        Ok(())
    }

    /// The next request of this connection.
    fn request(&mut self) -> Request<Full<Bytes>> {
        let id = self.next;
        self.next += self.load.connections;
        let modern = self.load.era == Era::Modern;
        let meta = if modern {
            concat!(
                r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
                r#""io.modelcontextprotocol/clientCapabilities":{}}"#
            )
        } else {
            r#""_meta":{}"#
        };
        let tool = match self.load.tool.len() {
            0 => None,
            count => self.load.tool.get((id / self.load.connections) % count),
        };
        let (method, body) = match tool {
            Some(tool) => {
                let arguments = match self.load.sleep_ms {
                    0 => format!(r#"{{"text":"{}"}}"#, "x".repeat(self.load.payload)),
                    ms => format!(r#"{{"ms":{ms}}}"#),
                };
                let body = format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments},{meta}}}}}"#
                );
                ("tools/call", body)
            }
            None => {
                let body = format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list","params":{{{meta}}}}}"#
                );
                ("tools/list", body)
            }
        };
        let mut request = self.post(body);
        if modern {
            let headers = request.headers_mut();
            headers.insert(
                "mcp-protocol-version",
                header::HeaderValue::from_static(MODERN),
            );
            headers.insert("mcp-method", header::HeaderValue::from_static(method));
            if let Some(name) = tool.and_then(|tool| tool.parse().ok()) {
                headers.insert("mcp-name", name);
            }
        }
        request
    }

    fn post(&self, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
        let mut builder = Request::builder()
            .method(Method::POST)
            .uri("/mcp")
            .header(header::HOST, self.load.addr.to_string())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, text/event-stream");
        if let Some(session) = &self.session {
            builder = builder
                .header("mcp-session-id", session)
                .header("mcp-protocol-version", "2025-11-25");
        }
        builder
            .body(Full::new(body.into()))
            .expect("constant headers and a session id that came as one")
    }
}

fn has(part: &[u8], text: &str) -> bool {
    part.windows(text.len()).any(|w| w == text.as_bytes())
}

/// Whether the body is a result and not an error, judged by its first and last bytes: reading a
/// mebibyte through would measure the load generator.
fn is_result(body: &[u8]) -> bool {
    let (first, last) = (
        &body[..body.len().min(512)],
        &body[body.len().saturating_sub(512)..],
    );
    (has(first, r#""result":"#) || has(last, r#""result":"#)) && !has(last, r#""isError":true"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_taken_from_sorted_times() {
        let times: Vec<_> = (1..=100).map(Duration::from_micros).collect();

        assert!((percentile(&times, 50) - 51.0).abs() < 1e-6);
        assert!((percentile(&times, 99) - 100.0).abs() < 1e-6);
        assert!(percentile(&[], 50) == 0.0);
    }

    #[test]
    fn a_tool_error_is_not_counted_as_a_result() {
        assert!(is_result(
            br#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#
        ));
        assert!(!is_result(
            br#"{"id":1,"result":{"content":[],"isError":true}}"#
        ));
        assert!(!is_result(br#"{"id":1,"error":{"code":-32603}}"#));
    }
}
