//! What a backend asks, as a message to a legacy client.

use std::sync::Arc;

use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::ask::{allows, to_client};
use mcp_router_protocol::jsonrpc::request_parts;
use mcp_router_protocol::{ErrorObject, RawJson, code};
use mcp_router_service::seal::random_id;
use mcp_router_service::{Pause, ServerRequest};

use super::Wire;
use crate::server::peer::Peer;

/// A backend's request as its client must get it; `None` if it was refused: the client did not
/// declare that it can (R35), its revision has no words for it, or too many are open.
pub(crate) fn put(peer: &Arc<Peer>, request: ServerRequest, pause: Option<Pause>) -> Option<Wire> {
    let none = RawJson::from_static("{}");
    let declared = peer.session().client().capabilities.as_ref();
    let able = allows(declared.unwrap_or(&none), &request.method, &request.params);
    let refused = match able {
        false => Some(Dropped::ClientIncapable),
        true => peer.asks().is_full().then_some(Dropped::ClientAsksFull),
    };
    if let Some(reason) = refused {
        dropped::count_of(reason, &request.method);
        request.refuse();
        return None;
    }
    let invent = || random_id().unwrap_or_default();
    let params = match to_client(&request.method, &request.params, peer.revision(), invent) {
        Ok(params) => params,
        Err(inexpressible) => {
            dropped::count_of(Dropped::ClientIncapable, &request.method);
            let text = format!("the client cannot be asked: {inexpressible}");
            // A backend that no longer waits is content with no answer.
            let error = ErrorObject::new(code::INTERNAL_ERROR, text);
            let _ = request.reply.send(Err(error));
            return None;
        }
    };
    let ServerRequest {
        method,
        reply,
        origin,
        ..
    } = request;
    let id = peer.asks().open(reply, origin.as_deref(), pause);
    Some(Wire::message(request_parts(&id, &method, &params)))
}
