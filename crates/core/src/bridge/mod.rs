//! Calls that need something from their client, between peers of different eras.
//!
//! A tool may want a form filled in, a model's answer, or the client's roots before it can finish.
//! Up to 2025-11-25 the server asks for that in the middle of the call, by a request of its own;
//! since 2026-07-28 it ends the call by an interim result, and the client calls again with the
//! answers. Edges speak one way each. Without something in between, a client would have to be of
//! its server's age, and that is what makes other gateways hide such tools.
//!
//! | client | backend | what happens here |
//! |---|---|---|
//! | asked by requests | asks by requests | nothing: the request travels |
//! | asked by requests | interim results | [`rounds`]: the router makes the rounds for the client |
//! | interim results | asks by requests | [`park`]: the call waits here while the client is away |
//! | interim results | interim results | [`pass`]: the result travels, its state sealed |
//!
//! Nothing here asks which revision anybody speaks: the client's edge says whether its client takes
//! interim results, and what it can be asked.
//!
//! # Where it stands
//!
//! Around the whole router, behind its front layers: the first round of a call is routed as any
//! call is, later ones go where it ran. A call that is plain passes through untouched.

mod ask;
mod park;
mod pass;
mod retry;
mod rounds;
mod token;

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt};
use mcp_router_protocol::Method;
use mcp_router_service::seal::Sealer;
use mcp_router_service::{
    CallError, Event, McpRequest, McpResponse, Outcome, Reason, ResponseStream, Sent,
};

pub use park::Parking;
pub(crate) use park::Parks;

use crate::hub::Hub;

/// What the bridge keeps for the whole router.
#[derive(Debug)]
pub(crate) struct Bridge {
    /// Seals what calls leave with their clients.
    sealer: Sealer,
    pub(crate) parks: Parks,
}

impl Bridge {
    pub(crate) fn new(sealer: Sealer, parking: Parking) -> Self {
        Self {
            sealer,
            parks: Parks::new(parking),
        }
    }
}

/// Serves one request, bridging where the eras of its two ends differ.
///
/// # Errors
/// As those of the dispatch.
pub(crate) async fn serve(hub: Arc<Hub>, request: McpRequest) -> Result<McpResponse, CallError> {
    match request.method {
        Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead => {}
        Method::Listen => return dispatch(hub, request).await,
        _ => return dispatch(hub, request).await.and_then(without_input),
    }
    if !request.context.client.takes_input_required {
        rounds::serve(hub, request).await
    } else if request.params.request_state().is_some() {
        // Rare, and large.
        retry::serve(hub, request).boxed().await
    } else {
        pass::serve(hub, request).await
    }
}

/// One round of a call. In a box of its own: what is awaited is moved with everything around it,
/// and the way through the router is the largest part of a call.
fn dispatch(
    hub: Arc<Hub>,
    request: McpRequest,
) -> BoxFuture<'static, Result<McpResponse, CallError>> {
    crate::dispatch::dispatch(hub, request).boxed()
}

/// The answer to a method that never needs input: one that asks for some is none.
fn without_input(answer: McpResponse) -> Result<McpResponse, CallError> {
    use futures::StreamExt;
    let check = |outcome| match outcome {
        Outcome::InputRequired(interim) => {
            let error = CallError::new(Reason::ProtocolError, Sent::Unknown)
                .detail("asks for input where there can be none");
            Err(match &interim.by {
                Some(pin) => error.on(&pin.backend),
                None => error,
            })
        }
        outcome => Ok(outcome),
    };
    match answer {
        McpResponse::Ready(outcome) => check(outcome).map(McpResponse::Ready),
        McpResponse::Stream(stream) => {
            let checked = stream.map(move |event| match event {
                Ok(Event::Outcome(outcome)) => check(outcome).map(Event::Outcome),
                event => event,
            });
            Ok(McpResponse::Stream(ResponseStream::new(checked)))
        }
    }
}
