//! GET and DELETE on the endpoint: the session's own stream, and its end.

use std::sync::Arc;

use futures::StreamExt;
use http::Response;
use http::request::Parts;
use mcp_router_protocol::Revision;

use super::body::Body;
use super::events::Events;
use super::post::names_modern;
use super::resume::EventId;
use super::{LAST_EVENT, SESSION, Shared, legacy, negotiate, reply, sessions, single};

use crate::server::dialect::modern::Mirrored;
use crate::server::peer::Peer;

type Refusal = Box<Response<Body>>;

/// GET: a stream for what belongs to no call.
pub(super) fn get(shared: &Arc<Shared>, head: &Parts) -> Response<Body> {
    stream(shared, head).unwrap_or_else(|refusal| *refusal)
}

fn stream(shared: &Arc<Shared>, head: &Parts) -> Result<Response<Body>, Refusal> {
    modern_has_none(head)?;
    negotiate::takes(head, &["text/event-stream"])?;
    let peer = legacy::session(shared, head)?;
    let Ok(permit) = shared.streams.clone().try_acquire_owned() else {
        return Err(Box::new(reply::full("streams")));
    };
    let keep_alive = shared.params.times.keep_alive;
    if let Some(last) = last_event(head, &peer) {
        let events = shared
            .replays
            .resume(peer.session().id(), &last, keep_alive);
        return Ok(reply::events(events.holding(permit)));
    }
    let Some(standing) = peer.stand(shared.params.limits.streams_per_session) else {
        return Err(Box::new(reply::full("streams of this session")));
    };
    let drain = shared.drain.clone().cancelled_owned();
    let events = standing.take_until(Box::pin(drain)).map(move |wire| {
        let _held = &permit;
        wire
    });
    Ok(reply::events(Events::new(events, keep_alive)))
}

/// The event that the client saw last of a call's stream. Only 2025-11-25 has got such ids from
/// here.
fn last_event(head: &Parts, peer: &Peer) -> Option<EventId> {
    let Mirrored::Text(id) = single(head, &LAST_EVENT) else {
        return None;
    };
    let resumes = peer.revision() >= Revision::V2025_11_25;
    resumes.then(|| id.trim().parse().ok()).flatten()
}

/// DELETE: ends the session.
pub(super) fn delete(shared: &Arc<Shared>, head: &Parts) -> Response<Body> {
    let found = modern_has_none(head).and_then(|()| legacy::session(shared, head));
    match found {
        Err(refusal) => *refusal,
        Ok(peer) => {
            shared.sessions.end(single(head, &SESSION));
            sessions::close(shared, peer);
            reply::gone()
        }
    }
}

/// R10.
fn modern_has_none(head: &Parts) -> Result<(), Refusal> {
    if names_modern(head) {
        return Err(Box::new(reply::not_allowed("POST")));
    }
    Ok(())
}
