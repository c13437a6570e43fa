//! Requests of 2026-07-28: each stands alone, and its connection is its life.

use std::sync::Arc;

use futures::stream::{self, Stream, StreamExt};
use http::request::Parts;
use http::{Response, StatusCode};
use mcp_router_protocol::{Method, RawJson, RawParams, RequestId, code};
use mcp_router_service::{ParamHeader, ParamHeaders};
use tokio_util::sync::CancellationToken;

use super::body::Body;
use super::events::Events;
use super::front::PARAM;
use super::{Front, Shared, reply};
use crate::server::call::{Head, Hold, Replies, start};
use crate::server::dialect::modern::{Mirror, accept};
use crate::server::dialect::{Exchange, Signature, Voice, Wire};

pub(super) async fn request(
    shared: &Arc<Shared>,
    front: &Front<'_>,
    id: RequestId,
    method: Method,
    params: RawParams,
    mut hold: Hold,
) -> Result<Response<Body>, Box<Response<Body>>> {
    let mirror = Mirror {
        version: front.version.text(),
        method: front.method.text(),
        name: front.name.text(),
    };
    let request = accept(method, params, Some(mirror), Shared::principal(front.head));
    let mut request = request.map_err(|error| {
        let status = match error.code() {
            code::METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        Box::new(reply::error(status, Some(&id), &error))
    })?;
    if request.method == Method::ToolsCall {
        // That none came, where some could have, is to be checked, too (R26).
        request.context.param_headers = match front.has_params {
            true => param_headers(front.head),
            false => ParamHeaders::None,
        };
    }
    if request.method == Method::Listen {
        let Ok(permit) = shared.streams.clone().try_acquire_owned() else {
            return Err(Box::new(reply::full("streams")));
        };
        // A subscription may last for days: it counts as a stream, not as work.
        hold.permits = [Some(permit), None];
    }
    let times = &shared.params.times;
    let voice = Voice::Modern(shared.signature.clone());
    let exchange = Exchange::new(id, &request, voice, times.ask);
    Ok(
        match start(shared.router.clone(), request, exchange, hold).await {
            Head::Answer(wire) => answer(wire),
            Head::Stream(replies) if replies.exchange().is_listen() => {
                let (signature, drain) = (shared.signature.clone(), shared.drain.clone());
                let news = subscription(*replies, signature, drain);
                reply::events(Events::new(news, times.keep_alive))
            }
            Head::Stream(replies) => reply::events(Events::new(replies, times.keep_alive)),
            // Only tickets fall silent, and there is none.
            Head::Silent => reply::refused(StatusCode::INTERNAL_SERVER_ERROR, "internal error"),
        },
    )
}

/// What the client repeats of its arguments. Only the router knows what it should be.
fn param_headers(head: &Parts) -> ParamHeaders {
    let mut params = Vec::new();
    for (name, value) in &head.headers {
        if let Some(name) = name.as_str().strip_prefix(PARAM) {
            params.push(ParamHeader {
                name: name.into(),
                value: value.to_str().ok().map(Into::into),
            });
        }
    }
    match params.is_empty() {
        true => ParamHeaders::None,
        false => ParamHeaders::Some(params.into()),
    }
}

/// A subscription's messages. It lasts until the router ends it, or this edge does: with an
/// answer, too.
fn subscription(
    replies: Replies,
    signature: Arc<Signature>,
    drain: CancellationToken,
) -> impl Stream<Item = Wire> + Send + 'static {
    let open = Some((replies, signature, drain));
    stream::unfold(open, |open| async {
        let (mut replies, signature, drain) = open?;
        tokio::select! {
            biased;
            next = replies.next() => next.map(|wire| (wire, Some((replies, signature, drain)))),
            () = drain.cancelled() => {
                let none = RawJson::from_static("{}");
                Some((signature.end(replies.exchange().id(), &none), None))
            }
        }
    })
}

/// The status goes by the error's code; an answer inside a stream has none of its own.
fn answer(wire: Wire) -> Response<Body> {
    let status = match wire.code {
        Some(code::METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
        Some(
            code::HEADER_MISMATCH | code::MISSING_CLIENT_CAPABILITY | code::UNSUPPORTED_VERSION,
        ) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    reply::message(status, wire)
}
