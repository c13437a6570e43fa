//! POST to the endpoint: one message of either era.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::params::meta;
use mcp_router_protocol::revision::is_modern_version;
use mcp_router_protocol::{EnvelopeError, Message, RawParams};
use tower::BoxError;

use super::body::Body;
use super::{Front, Shared, batch, intake, legacy, modern, negotiate, reply};
use crate::server::call::Hold;
use crate::server::dialect::modern::{Mirrored, is_modern_only};

/// Serves what is posted. One function, as each one that it would await is moved once more.
///
/// # Errors
/// The refusal, if the request is none that can be served now.
pub(super) async fn post<B>(
    shared: &Arc<Shared>,
    front: &Front<'_>,
    body: B,
) -> Result<Response<Body>, Box<Response<Body>>>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    // Before anything is read: a full router must not work on what it cannot serve.
    let Ok(permit) = shared.in_flight.clone().try_acquire_owned() else {
        return Err(Box::new(reply::full("requests in flight")));
    };
    negotiate::sends_json(front)?;
    negotiate::takes(front, &["application/json", "text/event-stream"])?;
    let intake = intake::read(shared, body).await?;
    let hold = Hold {
        ticket: None,
        permits: [Some(permit), intake.share],
    };
    if Message::is_batch(&intake.text) {
        return Box::pin(batch::post(shared, front, &intake.text, hold)).await;
    }
    let message = Message::parse(&intake.text).map_err(|e| invalid(&e))?;
    if !is_modern(front, &message) {
        return legacy::message(shared, front, message, hold).await;
    }
    match message {
        Message::Request { id, method, params } => {
            modern::request(shared, front, id, method, params, hold).await
        }
        // Modern clients have nothing to say in these over HTTP: closing a stream cancels.
        Message::Notification { method, .. } => {
            dropped::count_of(Dropped::ClientNotificationUnwanted, method);
            Ok(reply::accepted())
        }
        Message::Response { .. } => Err(invalid(&EnvelopeError::invalid(
            "2026-07-28 has no responses from clients",
        ))),
    }
}

/// 400 for a text that is no acceptable message.
pub(super) fn invalid(error: &EnvelopeError) -> Box<Response<Body>> {
    let object = error.error_object();
    Box::new(reply::error(
        StatusCode::BAD_REQUEST,
        error.id.as_ref(),
        &object,
    ))
}

/// Whether the version header says that the request is modern.
pub(super) fn names_modern(front: &Front<'_>) -> bool {
    matches!(front.version.text(), Mirrored::Text(v) if is_modern_version(v.trim()))
}

/// The era of a message: by header or `_meta`. A method that only modern revisions have needs
/// neither where there is no session, so that its sender learns what is missing.
fn is_modern(front: &Front<'_>, message: &Message) -> bool {
    let named = |p: &RawParams| p.meta_value(meta::PROTOCOL_VERSION).is_some();
    names_modern(front)
        || match message {
            Message::Request { method, params, .. } => {
                named(params) || (is_modern_only(method) && !front.session.is_there())
            }
            Message::Notification { params, .. } => named(params),
            Message::Response { .. } => false,
        }
}
