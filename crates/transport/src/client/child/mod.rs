//! Child processes over standard input and output.

mod params;

use futures::FutureExt;
use mcp_router_service::{CallError, McpRequest, McpService, Reason, Sent};

pub use params::ChildParams;

use crate::client::Connected;
use crate::client::events::Events;

/// Starts the edge of one child process. Call it inside a runtime.
pub fn child(params: ChildParams) -> Connected {
    let (_, events) = Events::channel();
    let service = tower::service_fn(move |_: McpRequest| {
        let error = CallError::new(Reason::ConnectFailed, Sent::No).on(&params.name);
        futures::future::ready(Err(error))
    });
    Connected {
        service: McpService::new(service),
        events,
        close: Box::new(|| futures::future::ready(()).boxed()),
    }
}
