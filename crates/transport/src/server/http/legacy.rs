//! Messages of 2025-03-26 to 2025-11-25: `initialize` opens a session, everything else is in one.

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt, stream};
use http::{Response, StatusCode};
use mcp_router_protocol::{
    EnvelopeError, Era, ErrorObject, Message, Method, RawJson, RawParams, RequestId, Revision,
};

use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_service::{McpResponse, Outcome};
use tower::ServiceExt;

use super::body::Body;
use super::events::Events;
use super::keep::{KeptCall, KeptReplies};
use super::post::invalid;
use super::{Caller, Front, Shared, reply, resume};
use crate::server::call::{Head, Hold, start};
use crate::server::connection::{legacy_request, notify};
use crate::server::dialect::modern::Mirrored;
use crate::server::dialect::{Exchange, Voice, Wire, legacy};
use crate::server::peer::{self, Peer};

type Refusal = Box<Response<Body>>;

pub(super) async fn message(
    shared: &Arc<Shared>,
    front: &Front<'_>,
    message: Message,
    hold: Hold,
) -> Result<Response<Body>, Refusal> {
    let message = match message {
        Message::Request {
            id,
            method: Method::Initialize,
            params,
        } => {
            // Boxed: the future of every call has room for what is not.
            return Box::pin(initialize(shared, front, &id, &params)).await;
        }
        other => other,
    };
    let peer = session(shared, front)?;
    match message {
        Message::Request { id, method, params } => {
            let call = call(shared, &peer, id.clone(), method, params, hold)?;
            Ok(match call {
                Call::Known(wire) => reply::message(StatusCode::OK, wire),
                Call::Running(call) if peer.revision() >= Revision::V2025_11_25 => {
                    resumable(shared, front.caller, &peer, &id, call).await
                }
                Call::Running(call) => plain(shared, call).await,
            })
        }
        other => {
            told(shared, &peer, other, hold);
            Ok(reply::accepted())
        }
    }
}

/// The answer to a call, as its backend begins it.
async fn plain(shared: &Shared, call: BoxFuture<'static, Head>) -> Response<Body> {
    let times = &shared.params.times;
    match KeptCall::new(call, times.orphan).await {
        Head::Answer(wire) => reply::message(StatusCode::OK, wire),
        Head::Stream(replies) => {
            let replies = KeptReplies::new(replies, times.orphan);
            reply::events(Events::new(replies, times.keep_alive))
        }
        // A cancelled request gets no answer (R39): a stream that ends without one.
        Head::Silent => reply::events(Events::new(stream::empty(), times.orphan)),
    }
}

/// The same for 2025-11-25: what is not answered at once gets a stream to come back to.
async fn resumable(
    shared: &Shared,
    caller: &Caller,
    peer: &Peer,
    id: &RequestId,
    call: BoxFuture<'static, Head>,
) -> Response<Body> {
    let times = &shared.params.times;
    let mut call = KeptCall::new(call, times.orphan);
    let messages = match caller.within(resume::PATIENCE, &mut call).await {
        Some(Head::Answer(wire)) => return reply::message(StatusCode::OK, wire),
        Some(Head::Silent) => return reply::events(Events::new(stream::empty(), times.orphan)),
        Some(Head::Stream(replies)) => replies.boxed(),
        None => match call.into_call() {
            Some(call) => messages(call).boxed(),
            None => stream::empty().boxed(),
        },
    };
    let session = peer.session().id();
    let replays = &shared.replays;
    reply::events(replays.open(session, id, messages, times.keep_alive))
}

/// The session of a request, its version header checked.
pub(super) fn session(shared: &Shared, front: &Front<'_>) -> Result<Arc<Peer>, Refusal> {
    let principal = Shared::principal(front.head);
    let peer = shared
        .sessions
        .find(shared, front.session.text(), &principal)?;
    let legacy = |text: &str| {
        let revision = text.trim().parse::<Revision>();
        revision.is_ok_and(|r| r.era() == Era::Legacy)
    };
    match front.version.text() {
        // Absent: the session's own.
        Mirrored::Absent => Ok(peer),
        Mirrored::Text(text) if legacy(text) => Ok(peer),
        _ => {
            let text = "MCP-Protocol-Version names no supported version";
            Err(Box::new(reply::refused(StatusCode::BAD_REQUEST, text)))
        }
    }
}

async fn initialize(
    shared: &Arc<Shared>,
    front: &Front<'_>,
    id: &RequestId,
    params: &RawParams,
) -> Result<Response<Body>, Refusal> {
    let session = shared.sessions.fresh()?;
    let principal = Shared::principal(front.head);
    let asking = shared.asking.clone();
    let opened = Peer::open(&shared.router, session, params, principal, asking).await;
    Ok(match opened {
        Err(error) => reply::error(StatusCode::OK, Some(id), &error),
        Ok((peer, result)) => {
            attach(shared, &peer).await;
            let session = shared.sessions.add(peer)?;
            let answer = reply::message(StatusCode::OK, Wire::result(id, &result));
            reply::in_session(answer, &session)
        }
    })
}

/// Opens the upstream sessions that the new id is to carry. A backend that takes too long gets its
/// own at the first call, in this process alone.
async fn attach(shared: &Shared, peer: &Arc<Peer>) {
    let request = peer::internal(Method::Attach, peer.context(false));
    let opened = shared.router.clone().oneshot(request);
    if tokio::time::timeout(shared.params.times.attach, opened)
        .await
        .is_err()
    {
        tracing::info!("not every upstream session was opened at once");
    }
}

/// A request of a session on its way.
pub(super) enum Call {
    /// The edge knows the answer.
    Known(Wire),
    Running(BoxFuture<'static, Head>),
}

/// Starts a request.
///
/// # Errors
/// 400 if its id is in flight already: that call goes on unharmed (B8).
pub(super) fn call(
    shared: &Shared,
    peer: &Arc<Peer>,
    id: RequestId,
    method: Method,
    params: RawParams,
    mut hold: Hold,
) -> Result<Call, Refusal> {
    if let Some(answer) = legacy::local(peer.session(), &method, &params) {
        return Ok(Call::Known(known(&id, answer)));
    }
    let Some(ticket) = peer.calls().enter(&id) else {
        let mut error = EnvelopeError::invalid("a request with this id is in flight");
        error.id = Some(id);
        return Err(invalid(&error));
    };
    hold.ticket = Some(ticket);
    let request = legacy_request(peer, method, params);
    let voice = Voice::Legacy(peer.clone());
    let exchange = Exchange::new(id, &request, voice, shared.params.times.ask);
    let run = start(shared.router.clone(), request, exchange, hold);
    Ok(Call::Running(run.boxed()))
}

/// All messages of a call.
pub(super) fn messages(
    call: impl Future<Output = Head> + Send + 'static,
) -> impl Stream<Item = Wire> + Send + 'static {
    stream::once(call).flat_map(|head| match head {
        Head::Silent => stream::empty().boxed(),
        Head::Answer(wire) => stream::iter([wire]).boxed(),
        Head::Stream(replies) => replies.boxed(),
    })
}

fn known(id: &RequestId, answer: Result<RawJson, ErrorObject>) -> Wire {
    match answer {
        Ok(result) => Wire::result(id, &result),
        Err(error) => Wire::error(Some(id), &error),
    }
}

/// Takes what wants no answer.
pub(super) fn told(shared: &Shared, peer: &Arc<Peer>, message: Message, hold: Hold) {
    match message {
        Message::Response { id, answer } => {
            let Some(request) = peer.answered(id.as_ref(), answer) else {
                return;
            };
            let bring = shared.router.clone().oneshot(request);
            let keep = shared.params.times.orphan;
            tokio::spawn(async move {
                let brought = tokio::time::timeout(keep, bring).await;
                if !matches!(brought, Ok(Ok(McpResponse::Ready(Outcome::Complete(_))))) {
                    dropped::count(Dropped::ClientAnswerLost);
                }
                drop(hold);
            });
        }
        Message::Notification {
            method: Method::Cancelled,
            params,
        } => {
            peer.calls().cancel(&params);
        }
        Message::Notification { method, params } => {
            let request = legacy_request(peer, method, params);
            let notify = notify(shared.router.clone(), request);
            // The client gets its 202 now; the limits hold until the backends have heard.
            let keep = shared.params.times.orphan;
            tokio::spawn(async move {
                let _ = tokio::time::timeout(keep, notify).await;
                drop(hold);
            });
        }
        Message::Request { .. } => {}
    }
}
