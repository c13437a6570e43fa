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
    // One that was lost is not to be tried again.
    let carried = client.carried(&edge.carry_key).filter(|_| first);
    let resume = |carried: Arc<str>| Session::resume(edge, like.url(), owner.clone(), &carried);
    if let Some(session) = carried.and_then(resume) {
        let lane = Lane::Session(session);
        lane.mux().watch();
        standing::attend(edge, &lane, owner.may_ask()).await;
        return Ok(lane);
    }
    let lane = lanes::open(edge, catalogue, owner).await?;
    // What it is subscribed to is the client's.
    lane.mux().watch();
    if let Lane::Session(session) = &lane
        && let Some(text) = session.to_carry()
    {
        client.set_carried(edge.carry_key.clone(), text);
    }
    Ok(lane)
}

/// Opens what a session wants open from the start; for one that was begun elsewhere, what it
/// carries.
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
        && (!session.is_revived() || session.carried(&edge.carry_key).is_some())
    {
        Lanes::own(edge, lane, session).await?;
    }
    Ok(McpResponse::complete(able::nothing()))
}

/// Closes what a session carries here that is over. What was opened here is closed with the session
/// itself.
///
/// # Errors
/// If the backend is not there to be told.
pub(super) async fn detach(
    edge: &Arc<Edge>,
    request: &McpRequest,
) -> Result<McpResponse, CallError> {
    let session = request.context.session.as_ref();
    let unused = session.filter(|session| !edge.lanes.has(session));
    if let Some(carried) = unused.and_then(|session| session.carried(&edge.carry_key))
        && let Some(Lane::Session(like)) = &edge.link.peer().await?.lane
    {
        Session::end(edge, like.url(), &carried).await;
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
