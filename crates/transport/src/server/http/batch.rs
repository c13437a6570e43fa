//! Arrays of messages, which 2025-03-26 alone has (R11).
//!
//! The requests of a batch run side by side; their answers come one by one on one stream, as each
//! is ready, so that one slow tool holds up no other.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{SelectAll, StreamExt};
use futures::{Stream, stream};
use http::Response;
use mcp_router_protocol::{EnvelopeError, Message, Method};

use super::body::Body;
use super::events::Events;
use super::keep::{KeptCall, KeptReplies};
use super::legacy::{Call, call, session, told};
use super::post::{invalid, names_modern};
use super::{Front, Shared, reply};
use crate::server::call::{Head, Hold};
use crate::server::dialect::Wire;
use crate::server::peer::Peer;

pub(super) async fn post(
    shared: &Arc<Shared>,
    front: &Front<'_>,
    text: &Bytes,
    hold: Hold,
) -> Result<Response<Body>, Box<Response<Body>>> {
    // What is no JSON is told so, whoever sends it.
    let texts = Message::split_batch(text, shared.params.limits.batch);
    let outsider = names_modern(front) || !front.session.is_there();
    let peer = if outsider {
        None
    } else {
        Some(session(shared, front)?)
    };
    let texts = texts.map_err(|e| invalid(&e))?;
    let Some(peer) = peer.filter(|p| p.revision().allows_batches()) else {
        let text = "arrays of messages are not accepted here";
        return Err(invalid(&EnvelopeError::invalid(text)));
    };
    let messages: Vec<_> = texts.iter().map(Message::parse).collect();
    if messages.iter().any(is_initialize) {
        let text = "`initialize` cannot be part of a batch";
        return Err(invalid(&EnvelopeError::invalid(text)));
    }
    Ok(serve(shared, &peer, messages, hold))
}

fn is_initialize(message: &Result<Message, EnvelopeError>) -> bool {
    matches!(message, Ok(Message::Request { method, .. }) if *method == Method::Initialize)
}

fn serve(
    shared: &Arc<Shared>,
    peer: &Arc<Peer>,
    messages: Vec<Result<Message, EnvelopeError>>,
    hold: Hold,
) -> Response<Body> {
    let mut known = Vec::new();
    let mut running = SelectAll::new();
    for message in messages {
        match message {
            Err(error) => known.push(Wire::error(error.id.as_ref(), &error.error_object())),
            Ok(Message::Request { id, method, params }) => {
                // The batch as a whole holds the permits.
                match call(shared, peer, id.clone(), method, params, Hold::default()) {
                    Ok(Call::Known(wire)) => known.push(wire),
                    Ok(Call::Running(run)) => {
                        let run = KeptCall::new(run, shared.params.times.orphan);
                        running.push(answers(run, shared.params.times.orphan).boxed());
                    }
                    Err(_) => {
                        let error = EnvelopeError::invalid("a request with this id is in flight");
                        known.push(Wire::error(Some(&id), &error.error_object()));
                    }
                }
            }
            Ok(other) => told(shared, peer, other, Hold::default()),
        }
    }
    if known.is_empty() && running.is_empty() {
        return reply::accepted();
    }
    let all = stream::iter(known).chain(running).map(move |wire| {
        let _held = &hold;
        wire
    });
    reply::events(Events::new(all, shared.params.times.keep_alive))
}

fn answers(call: KeptCall, keep: std::time::Duration) -> impl Stream<Item = Wire> + Send + 'static {
    stream::once(call).flat_map(move |head| match head {
        Head::Silent => stream::empty().boxed(),
        Head::Answer(wire) => stream::iter([wire]).boxed(),
        Head::Stream(replies) => KeptReplies::new(replies, keep).boxed(),
    })
}
