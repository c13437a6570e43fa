//! Backend edges: each one is a service towards the router and a client towards one backend.
//!
//! A backend may speak any of five revisions over any of three transports, may be down, may come
//! back as something else. Were that visible beyond its edge, every layer would have to ask. So an
//! edge finds out by itself what it talks to ([`http`](http()) by asking, [`child`](child()) likewise over the
//! pipe), remembers it, heals itself for ever, and tells how it goes by events.
//!
//! What an edge hands to the router:
//!
//! * a service that takes any number of calls at once. A call made while there is no connection
//!   fails quickly with [`Sent::No`](mcp_router_service::Sent); it never waits for a backoff;
//! * a stream of events for the supervisor: connected, lost, a list changed;
//! * how to close it: end upstream sessions, stop the process.
//!
//! Dropping the service's every clone ends the edge too, without the courtesies of closing.

mod able;
mod asks;
mod backoff;
pub mod child;
mod dialect;
mod events;
mod handshake;
pub mod http;
mod info;
mod level;
mod link;
mod mux;
mod owner;
mod probe;
mod question;
mod respond;
mod rope;
mod subscribe;

use std::fmt;

use futures::future::BoxFuture;
use mcp_router_service::{EventStream, McpService, Prober};

pub use backoff::BackoffParams;
pub use child::{ChildParams, child};
pub use http::{
    ByteStream, Dial, HttpBackendParams, HttpTransport, InvalidUrl, PostError, Posted, Poster,
    SessionMode, http,
};
pub use info::Identity;

/// Closes an edge: ends upstream sessions, stops the process. Bounded in time by the edge's own
/// parameters; calls in flight are lost.
pub type Closer = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

/// A backend edge that has started. It may not have connected yet.
pub struct Connected {
    /// Takes the calls.
    pub service: McpService,
    /// Tells how it goes; see [`mcp_router_service::BackendEvent`].
    pub events: EventStream,
    /// Asks it whether it is well; see [`mcp_router_service::Prober`]. On a budget of its own: a
    /// backend whose every place is taken can still be asked.
    pub probe: Prober,
    /// Ends it in good order.
    pub close: Closer,
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connected").finish_non_exhaustive()
    }
}
