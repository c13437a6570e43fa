//! Log levels of the conversations with an HTTP backend.

use std::convert::Infallible;
use std::sync::Arc;

use futures::future::join_all;

use mcp_router_protocol::RawJson;
use mcp_router_service::{CallError, McpRequest, McpResponse, RequestContext};

use super::edge::Edge;
use super::lane::Lane;
use super::lanes::Lanes;
use super::negotiate::Peer;
use crate::client::level;

/// A client set its level: the conversation that is for it hears of that now, if there is one.
///
/// # Errors
/// None.
pub(super) async fn set(
    edge: &Arc<Edge>,
    peer: &Peer,
    request: &McpRequest,
) -> Result<McpResponse, CallError> {
    // Modern backends are told in each request.
    if let Some(catalogue) = &peer.lane
        && let Some(lane) = Lanes::existing(edge, catalogue, request)
    {
        keep(edge, peer, &lane, &request.context).await;
    }
    Ok(McpResponse::complete(RawJson::from_static("{}")))
}

/// Sees to it that a conversation runs at the level that a call in it needs.
pub(super) async fn keep(edge: &Arc<Edge>, peer: &Peer, lane: &Lane, context: &RequestContext) {
    let mux = lane.mux();
    if peer.logs {
        let tell = |request| lane.call(edge, request);
        level::keep(&edge.wants, mux.level(), mux.is_of_one(), context, tell).await;
    }
}

/// Has what many share go down again when those are gone who wanted to hear more.
pub(super) async fn attend(edge: &Arc<Edge>) -> Infallible {
    loop {
        edge.wants.lowered().await;
        let Some(peer) = edge.link.get().filter(|peer| peer.logs) else {
            continue;
        };
        let shared = edge.lanes.pool.all();
        let shared = peer.lane.iter().chain(&shared);
        let lowering = shared.map(|lane| async move {
            let tell = |request| lane.call(edge, request);
            level::lower(&edge.wants, lane.mux().level(), tell).await;
        });
        join_all(lowering).await;
    }
}
