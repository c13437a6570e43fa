//! What a backend tells outside any call.

use futures::stream::BoxStream;
use mcp_router_protocol::{ItemKind, Method, RawJson, RawParams};

use crate::{CallError, Session};

/// The second thing beside a backend's service: its events, consumed by its supervisor.
pub type EventStream = BoxStream<'static, BackendEvent>;

/// Whom an event concerns.
#[derive(Clone, Debug)]
pub enum Scope {
    /// Everybody.
    Shared,
    /// One client's session, and nobody else.
    Session(Session),
}

/// What a backend said about itself when the connection was made.
#[derive(Clone, Debug, Default)]
pub struct BackendInfo {
    /// Its capabilities, an object.
    pub capabilities: Option<RawJson>,
    /// Its `serverInfo`.
    pub server_info: Option<RawJson>,
    /// What it tells models about itself.
    pub instructions: Option<String>,
    /// Whether it may remember something of a client from one call to the next, so that the
    /// calls of one client session belong on one replica.
    pub stateful: bool,
    /// Whether each client session wants a conversation of its own with it, opened at `initialize`
    /// ([`Method::Attach`]) and carried in the session's id.
    pub attach: bool,
    /// Whether it speaks a modern revision.
    pub modern: bool,
    /// Whether arguments can be repeated to it in headers: a modern revision over HTTP.
    pub mirrors: bool,
    /// Revision and transport of this hop, for people: `2025-11-25 streamable_http`.
    pub hop: String,
}

impl BackendInfo {
    /// Whether the backend declared a capability.
    pub fn can(&self, capability: &str) -> bool {
        self.capabilities
            .as_ref()
            .is_some_and(|c| c.get(capability).is_some())
    }
}

/// What happened at a backend. Edges heal themselves; these tell how it goes.
#[derive(Debug)]
pub enum BackendEvent {
    /// There is a connection and the era is known. Comes again after every loss; what was listed
    /// before may be out of date.
    Connected(BackendInfo),
    /// The connection or process is gone, or could not be made. The edge goes on trying.
    Lost {
        /// Why.
        error: CallError,
        /// When the edge tries next.
        retry_in: std::time::Duration,
    },
    /// The connection or process was given up because nobody used it, or was not made yet. Nothing
    /// is wrong: the next call makes it, and what was listed before still holds.
    Asleep,
    /// A list changed.
    Changed(ItemKind),
    /// A notification outside any call: a resource update, a log message.
    Notification {
        /// Its method.
        method: Method,
        /// Its parameters.
        params: RawParams,
        /// Whom it concerns.
        scope: Scope,
    },
}
