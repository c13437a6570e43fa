//! HTTP backends: streamable HTTP of both eras, and HTTP+SSE of 2024-11-05.
//!
//! | file | subject |
//! |---|---|
//! | `driver` | keeps the backend connected |
//! | `negotiate` | finds out what speaks at a URL |
//! | `modern`, `session`, `channel` | calls in each of the three ways |
//! | `lane`, `lanes`, `pool` | the conversations with a legacy backend, and which one a call belongs to |
//! | `carried` | conversations that go on elsewhere |
//! | `level` | what conversations are told of log levels |
//! | `exchange` | one streamable call, request to answer |
//! | `probe` | whether the backend is well, asked apart from calls |
//! | `post` | requests to servers that are no backends |
//! | `renew` | connections do not outlive what their name stands for |
//! | `standing`, `silence` | streams for what the backend tells by itself |
//! | `subscribe` | streams for resources that clients watch |
//! | `traced` | the span of a call, in its headers |
//! | `dial`, `timed`, `tls` | how connections come about |
//! | `conn`, `idle` | a connection, and those that wait for their next call |
//! | `edge`, `messages`, `body`, `refusal`, `wire` | requests, responses, and what each failure proves |

mod body;
mod carried;
mod channel;
mod conn;
mod dial;
mod driver;
mod edge;
mod exchange;
mod idle;
mod lane;
mod lanes;
mod level;
mod messages;
mod modern;
mod negotiate;
mod params;
mod pool;
mod post;
mod probe;
mod refusal;
mod renew;
mod session;
mod silence;
mod standing;
mod subscribe;
mod timed;
mod tls;
mod traced;
mod turns;
mod url;
mod wire;

use std::sync::Arc;

use futures::FutureExt;
use mcp_router_protocol::Method;
use mcp_router_service::{CallError, McpRequest, McpResponse, McpService};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use dial::{ByteStream, Dial};
pub use params::{HttpBackendParams, HttpTransport, InvalidUrl, SessionMode};
pub use post::{PostError, Posted, Poster};

use crate::client::Connected;
use crate::client::events::Events;
use edge::Edge;
use lane::Lane;

/// Starts the edge of one HTTP backend. Call it inside a runtime.
pub fn http(params: HttpBackendParams) -> Connected {
    start(params).0
}

fn start(params: HttpBackendParams) -> (Connected, Arc<Edge>) {
    let (events, stream) = Events::channel();
    let edge = Arc::new(Edge::new(params, events));
    let probe = probe::prober(&edge);
    let stop = CancellationToken::new();
    let done = tokio::spawn(driver::drive(edge.clone(), stop.clone()));
    // Whoever drops the service's last clone ends the driver.
    let alive = Arc::new(stop.clone().drop_guard());
    let shared = edge.clone();
    let service =
        tower::service_fn(move |request: McpRequest| serve(edge.clone(), alive.clone(), request));
    let connected = Connected {
        service: McpService::new(service),
        events: stream,
        probe,
        close: Box::new(move || {
            async move {
                stop.cancel();
                // A driver that panicked has nothing left to close.
                let _ = done.await;
            }
            .boxed()
        }),
    };
    (connected, shared)
}

/// One call, during which the driver goes on: `alive` is its life.
async fn serve(
    edge: Arc<Edge>,
    alive: Arc<DropGuard>,
    request: McpRequest,
) -> Result<McpResponse, CallError> {
    let at_once = (!is_special(&request.method)).then(|| edge.link.get());
    let answer = match at_once.flatten() {
        // What is awaited is moved as a whole, and with what is around it: so nothing is.
        Some(peer) if peer.lane.is_none() => modern::call(&edge, &peer, request).await,
        _ => Box::pin(call(&edge, request)).await,
    };
    drop(alive);
    answer.map_err(|e| e.on(&edge.params.name))
}

/// What is not simply sent to a backend of the modern era.
const fn is_special(method: &Method) -> bool {
    matches!(
        method,
        Method::Listen | Method::Attach | Method::Detach | Method::Answer | Method::SetLevel
    )
}

/// The same whatever is asked, of a backend of whatever era, which may still be connecting.
async fn call(edge: &Arc<Edge>, request: McpRequest) -> Result<McpResponse, CallError> {
    if matches!(request.method, Method::Detach) {
        return Box::pin(carried::detach(edge, &request)).await; // it wakes nobody in vain
    }
    let peer = edge.link.peer().await?;
    // In boxes, what is seldom and would make every call's future larger.
    match request.method {
        Method::Listen => return Box::pin(subscribe::listen(edge, &peer, request)).await,
        Method::Attach => return Box::pin(carried::attach(edge, &peer, &request)).await,
        Method::Answer => return Box::pin(carried::answer(edge, &peer, &request)).await,
        Method::SetLevel => return Box::pin(level::set(edge, &peer, &request)).await,
        _ => {}
    }
    let Some(shared) = &peer.lane else {
        return modern::call(edge, &peer, request).await;
    };
    if request.method.is_notification() {
        return Box::pin(lanes::notify(edge, shared, &request)).await;
    }
    if request.method == Method::Discover {
        return Box::pin(shared.describe(edge, &peer.info)).await;
    }
    let lane = match lanes::Lanes::at_once(edge, shared, &request) {
        Some(lane) => lane,
        None => Box::pin(lanes::Lanes::find(edge, shared, &request)).await?,
    };
    if peer.logs {
        Box::pin(level::keep(edge, &peer, &lane, &request.context)).await;
    }
    match &lane {
        Lane::Session(session) => session.call(edge, request).await,
        Lane::Channel(_) => Box::pin(lane.call(edge, request)).await,
    }
}

#[cfg(test)]
mod tests;
