//! GET and DELETE on the endpoint: the session's own stream, and its end.

use std::sync::Arc;

use futures::StreamExt;
use http::Response;
use mcp_router_protocol::Revision;

use super::body::Body;
use super::events::Events;
use super::post::names_modern;
use super::resume::EventId;
use super::{Front, Shared, legacy, negotiate, reply, sessions};

use crate::server::dialect::modern::Mirrored;
use crate::server::peer::Peer;

type Refusal = Box<Response<Body>>;

/// GET: a stream for what belongs to no call.
pub(super) fn get(shared: &Arc<Shared>, front: &Front<'_>) -> Response<Body> {
    stream(shared, front).unwrap_or_else(|refusal| *refusal)
}

fn stream(shared: &Arc<Shared>, front: &Front<'_>) -> Result<Response<Body>, Refusal> {
    modern_has_none(front)?;
    negotiate::takes(front, &["text/event-stream"])?;
    let peer = legacy::session(shared, front)?;
    let Ok(permit) = shared.streams.clone().try_acquire_owned() else {
        return Err(Box::new(reply::full("streams")));
    };
    let keep_alive = shared.params.times.keep_alive;
    if let Some(last) = last_event(front, &peer) {
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
fn last_event(front: &Front<'_>, peer: &Peer) -> Option<EventId> {
    let Mirrored::Text(id) = front.last_event.text() else {
        return None;
    };
    let resumes = peer.revision() >= Revision::V2025_11_25;
    resumes.then(|| id.trim().parse().ok()).flatten()
}

/// DELETE: ends the session.
pub(super) fn delete(shared: &Arc<Shared>, front: &Front<'_>) -> Response<Body> {
    let found = modern_has_none(front).and_then(|()| legacy::session(shared, front));
    match found {
        Err(refusal) => *refusal,
        Ok(peer) => {
            shared.sessions.end(front.session.text());
            sessions::close(shared, peer);
            reply::gone()
        }
    }
}

/// R10.
fn modern_has_none(front: &Front<'_>) -> Result<(), Refusal> {
    if names_modern(front) {
        return Err(Box::new(reply::not_allowed("POST")));
    }
    Ok(())
}
