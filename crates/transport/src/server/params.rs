//! What an operator or embedder may set. Every default is the documented one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::keys::{Seals, WallClock};
use crate::client::Identity;

/// What makes a page of a request's head.
pub type MakePage = dyn Fn(&http::request::Parts) -> http::Response<Bytes> + Send + Sync;

/// A page beside MCP: `/health`, `/ready`, `/metrics`, a dashboard.
#[derive(Clone)]
pub struct Page {
    /// Its path, exactly.
    pub path: String,
    /// Makes the page. Called for every GET and HEAD with the request's head; it must not block.
    pub get: Arc<MakePage>,
    /// Whether the `Host` rule holds here. Probes address a pod by its IP, so liveness pages turn
    /// it off; the `Origin` rule always holds.
    pub check_host: bool,
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("path", &self.path)
            .field("check_host", &self.check_host)
            .finish_non_exhaustive()
    }
}

/// Settings of [`http`](super::http()).
#[derive(Clone, Debug, Default)]
pub struct HttpParams {
    /// Pages beside MCP. They pass no limit on calls: a full router still tells how it fares.
    pub pages: Vec<Page>,
    /// Names in `Host` to accept beside loopback names and the socket's own address: `name`,
    /// `name:port` or `*.domain`.
    pub allowed_hosts: Vec<String>,
    /// Values of `Origin` to accept beside those on loopback names, as `scheme://host[:port]`.
    pub allowed_origins: Vec<String>,
    /// How much at once.
    pub limits: HttpLimits,
    /// How long.
    pub times: HttpTimes,
    /// What seals session ids and the ids of requests to clients. Replicas share it. `None`: made
    /// at the start, for this process alone.
    pub seals: Option<Seals>,
    /// The time of day, for the expiry of session ids.
    pub clock: WallClock,
    /// Who answers, as `serverInfo` of every result of 2026-07-28 says: the name that the router was
    /// given, too.
    pub identity: Identity,
}

/// How much an HTTP edge takes at once.
#[derive(Clone, Debug)]
pub struct HttpLimits {
    /// Requests in flight, whoever sent them. Further ones get 503.
    pub in_flight: usize,
    /// Standing streams: GET, `/sse`, `subscriptions/listen`. Further ones get 503.
    pub streams: usize,
    /// Standing streams of one session.
    pub streams_per_session: usize,
    /// Sessions in memory. At the limit those that were silent longest make room: their ids bring
    /// them back, and what was opened for them upstream is opened again.
    pub sessions: usize,
    /// Bytes of one request body.
    pub body: usize,
    /// Bytes of all request bodies that are being read or served.
    pub buffered: usize,
    /// Bytes of all messages that are kept for clients that may come back to a stream.
    pub replay: usize,
    /// Messages in one batch (2025-03-26).
    pub batch: usize,
    /// Bytes of all header names and values of a request.
    pub header_bytes: usize,
    /// Headers of a request.
    pub headers: usize,
    /// Bytes of a request's URI.
    pub uri: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            in_flight: 4096,
            streams: 10_000,
            streams_per_session: 16,
            sessions: 10_000,
            body: 4 << 20,
            buffered: 256 << 20,
            replay: 64 << 20,
            batch: 50,
            header_bytes: 16 << 10,
            headers: 100,
            uri: 8 << 10,
        }
    }
}

/// How long an HTTP edge waits.
#[derive(Clone, Debug)]
pub struct HttpTimes {
    /// For a whole request body.
    pub body: Duration,
    /// Between comments that keep a silent stream open.
    pub keep_alive: Duration,
    /// How long a call goes on after its legacy client's connection broke: there, only
    /// `notifications/cancelled` cancels. A client of 2025-11-25 can come back to it that long.
    pub orphan: Duration,
    /// For a client's answer to a request from a backend.
    pub ask: Duration,
    /// How long a session is kept in memory without a request or stream.
    pub session_idle: Duration,
    /// How long a session id is good for.
    pub session_life: Duration,
    /// How long `initialize` waits for the upstream sessions that the new id is to carry.
    pub attach: Duration,
}

impl Default for HttpTimes {
    fn default() -> Self {
        Self {
            body: Duration::from_secs(30),
            keep_alive: Duration::from_secs(15),
            orphan: Duration::from_secs(60),
            ask: Duration::from_secs(300),
            session_idle: Duration::from_secs(24 * 3600),
            session_life: Duration::from_secs(24 * 3600),
            attach: Duration::from_secs(5),
        }
    }
}

/// Settings of [`serve`](super::serve()).
#[derive(Clone, Debug)]
pub struct ServeParams {
    /// Connections at once. `None`: 10,000, or 45 % of the file descriptors the process may have,
    /// if that is less.
    pub connections: Option<usize>,
    /// For the first byte of a connection and for the head of any request.
    pub header_timeout: Duration,
    /// For the next request on a connection.
    pub idle_timeout: Duration,
    /// How long a peer may take no byte of an answer.
    pub write_stall: Duration,
    /// How long calls in flight may go on once the server stops.
    pub drain: Duration,
    /// Bytes of a connection's buffers, each way. At least 8 KiB.
    pub buffer: usize,
    /// Headers of a request.
    pub headers: usize,
}

impl Default for ServeParams {
    fn default() -> Self {
        Self {
            connections: None,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            write_stall: Duration::from_secs(30),
            drain: Duration::from_secs(13),
            buffer: 32 << 10,
            headers: 100,
        }
    }
}

/// Settings of [`stdio`](super::stdio()).
#[derive(Clone, Debug)]
pub struct StdioParams {
    /// Bytes of one line. A longer one ends the connection.
    pub line: usize,
    /// Requests in flight.
    pub in_flight: usize,
    /// Messages in one batch (2025-03-26).
    pub batch: usize,
    /// How long calls in flight may go on once the edge is told to stop.
    pub drain: Duration,
    /// How long calls in flight may go on after the client closed its side, so that
    /// `printf … | mcp-router-stdio` gets its answers. A host that wants the end sooner says so
    /// by SIGTERM.
    pub eof_grace: Duration,
    /// For a client's answer to a request from a backend.
    pub ask: Duration,
    /// Who answers, as `serverInfo` of every result of 2026-07-28 says: the name that the router was
    /// given, too.
    pub identity: Identity,
}

impl Default for StdioParams {
    fn default() -> Self {
        Self {
            line: 4 << 20,
            in_flight: 4096,
            batch: 50,
            drain: Duration::from_secs(13),
            eof_grace: Duration::from_secs(5),
            ask: Duration::from_secs(300),
            identity: Identity::default(),
        }
    }
}
