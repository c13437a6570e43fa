//! Conversations that outlive this process: the client's own session id carries them, sealed.
//!
//! A server that keeps something for each client is asked to do so only where the operator says
//! that it does. There a restart, or another replica of the router, goes on in the same upstream
//! session; and what a client answers may reach a replica that never saw the question.

use std::sync::Arc;

use http::HeaderValue;
use mcp_router_protocol::jsonrpc::response_parts;
use mcp_router_service::{
    Answered, CallError, McpRequest, McpResponse, Reason, Sent, Session as Client,
};

use super::SessionMode;
use super::edge::Edge;
use super::lane::Lane;
use super::lanes::{self, Lanes};
use super::negotiate::Peer;
use super::session::{self, Session};
use super::standing;
use crate::client::able;
use crate::client::owner::Owner;
use crate::client::rope::Rope;

/// A client's own conversation: the `first` one here is the one that it carries, if it does.
///
/// # Errors
/// If the backend does not greet. Nothing was sent then.
pub(super) async fn open(
    edge: &Arc<Edge>,
    catalogue: &Lane,
    client: &Client,
    first: bool,
) -> Result<Lane, CallError> {
    let owner = Owner::client(client, &edge.identity);
    let Lane::Session(like) = catalogue else {
        return lanes::open(edge, catalogue, owner).await;
    };
    if edge.params.session != SessionMode::PerClient {
        return lanes::open(edge, catalogue, owner).await;
    }
    let key = edge.carry_key();
    // One that was lost is not to be tried again.
    let carried = client.carried(&key).filter(|_| first);
    let resume = |carried: Arc<str>| Session::resume(edge, like.url(), owner.clone(), &carried);
    if let Some(session) = carried.and_then(resume) {
        let lane = Lane::Session(session);
        standing::attend(edge, &lane, owner.may_ask()).await;
        return Ok(lane);
    }
    let lane = lanes::open(edge, catalogue, owner).await?;
    if let Lane::Session(session) = &lane
        && let Some(text) = session.to_carry()
    {
        client.set_carried(key, text);
    }
    Ok(lane)
}

/// Opens what a new session wants from the start.
///
/// # Errors
/// If it cannot be opened.
pub(super) async fn attach(
    edge: &Arc<Edge>,
    peer: &Peer,
    request: &McpRequest,
) -> Result<McpResponse, CallError> {
    if let (true, Some(lane), Some(session)) =
        (peer.info.attach, &peer.lane, &request.context.session)
    {
        Lanes::own(edge, lane, session).await?;
    }
    Ok(McpResponse::complete(able::nothing()))
}

/// Brings a client's answer to what the backend asked through another replica.
///
/// # Errors
/// If the backend has no such session, or does not take the answer.
pub(super) async fn answer(
    edge: &Arc<Edge>,
    peer: &Peer,
    request: &McpRequest,
) -> Result<McpResponse, CallError> {
    let malformed = || CallError::new(Reason::Internal, Sent::No).detail("no answer to bring");
    let Answered {
        session,
        revision,
        id,
        answer,
    } = Answered::read(&request.params).ok_or_else(malformed)?;
    let Some(Lane::Session(_)) = &peer.lane else {
        let gone = CallError::new(Reason::BackendLost, Sent::No);
        return Err(gone.detail("its session is of another kind"));
    };
    let session = HeaderValue::from_str(&session).map_err(|_| malformed())?;
    let headers = session::headers(Some(&session), revision);
    let message = Rope::new(response_parts(Some(&id), answer.as_ref()));
    edge.tell(&peer.url, headers, message).await?;
    Ok(McpResponse::complete(able::nothing()))
}
