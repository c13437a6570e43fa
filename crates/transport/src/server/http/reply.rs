//! HTTP answers: the few shapes there are.

use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use mcp_router_observe::dropped::{self, Reason};
use mcp_router_protocol::{ErrorObject, RequestId, code};

use super::body::Body;
use super::events::Events;
use super::{RETRY_AFTER, SESSION};
use crate::server::dialect::Wire;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");

fn new(status: StatusCode, body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer
}

/// One JSON-RPC message.
pub(super) fn message(status: StatusCode, wire: Wire) -> Response<Body> {
    let mut answer = new(status, Body::parts(wire.parts));
    answer.headers_mut().insert(header::CONTENT_TYPE, JSON);
    answer
}

/// A JSON-RPC error.
pub(super) fn error(
    status: StatusCode,
    id: Option<&RequestId>,
    error: &ErrorObject,
) -> Response<Body> {
    message(status, Wire::error(id, error))
}

/// A refusal that has nothing to do with any one request: an error without id.
pub(super) fn refused(status: StatusCode, text: &str) -> Response<Body> {
    let code = if status.is_server_error() {
        code::INTERNAL_ERROR
    } else {
        code::INVALID_REQUEST
    };
    error(status, None, &ErrorObject::new(code, text))
}

/// As [`refused`], where the request's body was not read: the connection is no longer in step.
pub(super) fn refused_unread(status: StatusCode, text: &str) -> Response<Body> {
    let mut answer = refused(status, text);
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(header::CONNECTION, close);
    answer
}

/// 405.
pub(super) fn not_allowed(allow: &'static str) -> Response<Body> {
    elsewhere(allow, "method not allowed here")
}

/// 405, saying where else to go.
pub(super) fn elsewhere(allow: &'static str, text: &str) -> Response<Body> {
    let mut answer = refused(StatusCode::METHOD_NOT_ALLOWED, text);
    let allow = HeaderValue::from_static(allow);
    answer.headers_mut().insert(header::ALLOW, allow);
    answer
}

/// 503: a limit is reached, nothing was done.
pub(super) fn full(what: &str) -> Response<Body> {
    dropped::count(Reason::RouterFull);
    let text = format!("the router is full: too many {what}");
    let mut answer = refused(StatusCode::SERVICE_UNAVAILABLE, &text);
    let headers = answer.headers_mut();
    headers.insert(header::RETRY_AFTER, RETRY_AFTER);
    answer
}

/// 202: taken, nothing to say (R12).
pub(super) fn accepted() -> Response<Body> {
    new(StatusCode::ACCEPTED, Body::empty())
}

/// 200 with a stream of events.
pub(super) fn events(events: Events) -> Response<Body> {
    let mut answer = new(StatusCode::OK, Body::events(events));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, EVENT_STREAM);
    let no_cache = HeaderValue::from_static("no-cache, no-transform");
    headers.insert(header::CACHE_CONTROL, no_cache);
    // Tells nginx and its kin to pass events on as they come.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    answer
}

/// 204.
pub(super) fn gone() -> Response<Body> {
    new(StatusCode::NO_CONTENT, Body::empty())
}

/// The same answer, telling the client its new session id.
pub(super) fn in_session(mut answer: Response<Body>, id: &str) -> Response<Body> {
    // Ids are base64url.
    if let Ok(id) = HeaderValue::from_str(id) {
        answer.headers_mut().insert(&SESSION, id);
    }
    answer
}
