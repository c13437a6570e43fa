//! The spans of the router.
//!
//! They are `debug` spans: at the default level a call costs no span at all, and its one `info`
//! line carries everything by itself. At `debug` they join the lines of one call.

use std::fmt::Display;

use tracing::{Span, debug_span};

/// The span around one call of a client, whichever transport carries it.
pub fn call(method: impl Display, tool: impl Display, client: impl Display) -> Span {
    debug_span!("mcp.call", %method, %tool, %client)
}

/// The span around everything that a backend's own tasks do.
pub fn backend(name: impl Display) -> Span {
    debug_span!("mcp.backend", backend = %name)
}
