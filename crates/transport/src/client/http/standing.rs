//! Streams that stand open for what a backend tells by itself.
//!
//! Legacy servers push list changes, and TypeScript ones their questions, on a GET stream; modern
//! ones answer `subscriptions/listen` with a stream. Both end whenever a proxy thinks so: they
//! are opened again, ever more slowly if they keep ending, and whatever may have been missed in
//! between is taken for changed.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};
use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::{ItemKind, Message, Method};
use mcp_router_service::{CallError, McpRequest, Reason, Scope, Sent};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::channel::Channel;
use super::edge::{Edge, Failed};
use super::lane::Lane;
use super::messages::Messages;
use super::negotiate::Peer;
use super::session::Session;
use super::{modern, silence};
use crate::client::BackoffParams;
use crate::client::backoff::Backoff;
use crate::client::info::listen_params;

/// A stream that lived this long did not end because it is unwelcome.
const STABLE: Duration = Duration::from_secs(30);
/// The longest wait before a stream is opened again.
const LONGEST: Duration = Duration::from_secs(30);
/// What a server can say of that at least and at most.
const SOONEST: Duration = Duration::from_millis(100);
const LATEST: Duration = Duration::from_secs(60);
/// How long a conversation waits for its stream before its first call.
const OPENING: Duration = Duration::from_millis(500);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Keeps the stream of the router's own conversation open. Resolves only when the backend cannot
/// be reached any more, with the reason.
pub(super) async fn attend_peer(edge: &Arc<Edge>, peer: &Arc<Peer>) -> CallError {
    match &peer.lane {
        None => listen(edge, peer).await,
        Some(Lane::Session(session)) => hear(edge, session, true, &mut None).await,
        Some(Lane::Channel(channel)) => {
            let lost = CallError::new(Reason::BackendLost, Sent::Unknown);
            tokio::select! {
                () = channel.lost() => lost.detail("its stream ended"),
                () = channel.silent(edge) => lost.detail("its stream is silent"),
            }
        }
    }
}

/// Keeps the stream of a conversation open until it is closed. Questions to clients come there, and
/// from servers of 2025-03-26 also the progress of calls, which they tie to no request. If anybody
/// `can_be_asked`, this resolves once the stream is open, or will not be soon: TypeScript servers
/// send their questions into the void where there is none.
pub(super) async fn attend(edge: &Arc<Edge>, lane: &Lane, can_be_asked: bool) {
    let session = match lane {
        Lane::Session(session) => session.clone(),
        Lane::Channel(channel) => return watch(edge, channel),
    };
    let edge = edge.clone();
    let (opening, opened) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let closed = session.closed().clone();
        let heard = async {
            let mut opening = Some(opening);
            let mut backoff = Backoff::new(BackoffParams::default());
            loop {
                // The backend is away. Calls say so themselves.
                drop(hear(&edge, &session, false, &mut opening).await);
                sleep(backoff.next()).await;
            }
        };
        closed.run_until_cancelled(heard).await
    });
    if can_be_asked {
        // Late or without one, the call goes out: most servers ask on its own stream.
        drop(timeout(OPENING, opened).await);
    }
}

/// Gives a channel up that brings nothing any more; the next call opens another.
fn watch(edge: &Arc<Edge>, channel: &Arc<Channel>) {
    let (edge, channel) = (edge.clone(), channel.clone());
    tokio::spawn(async move {
        tokio::select! {
            () = channel.lost() => {}
            () = channel.silent(&edge) => channel.close(),
        }
    });
}

/// The GET stream of a legacy session. What the router's own one may have missed counts as
/// changed; did every client's, a server that ends streams often would be listed all the time.
async fn hear(
    edge: &Arc<Edge>,
    session: &Arc<Session>,
    own: bool,
    opening: &mut Option<oneshot::Sender<()>>,
) -> CallError {
    let backend = &edge.params.name;
    let mut pace = Pace::new();
    let mut worked = false;
    let mut last_id: Option<HeaderValue> = None;
    loop {
        let renewed = session.renewed();
        let mut headers = session.headers();
        headers.extend(last_id.take().map(|id| (LAST_EVENT_ID, id)));
        // In boxes, what is over soon: a client's session has one of these waiting for each backend.
        let stream = Box::pin(in_time(edge, edge.get(session.url(), headers.clone()))).await;
        drop(opening.take());
        match stream {
            Ok(mut messages) => {
                if std::mem::replace(&mut worked, true) && own {
                    all_changed(edge);
                    session.gap();
                }
                tokio::select! {
                    () = take_all(edge, &mut messages, session) => {}
                    () = renewed => continue,
                }
                pace.told(messages.retry());
                let id = messages.last_id().cloned();
                last_id = id.and_then(|id| HeaderValue::from_maybe_shared(id).ok());
            }
            Err(failed) if failed.status == Some(StatusCode::NOT_FOUND) && worked => {
                worked = false;
                if let Err(failed) = Box::pin(session.renew(edge, &headers)).await {
                    return failed.error;
                }
                continue;
            }
            // It was welcome a moment ago: something else may have taken the backend's place.
            Err(failed) if unwelcome(&failed) && worked => return failed.error,
            Err(failed) if unwelcome(&failed) => {
                let status = failed.status.map(|s| s.as_u16());
                tracing::debug!(%backend, status, "backend has no stream for what it tells");
                return pending().await;
            }
            Err(failed) if failed.error.reason == Reason::ConnectFailed => return failed.error,
            Err(failed) => tracing::debug!(%backend, error = %failed.error, "no stream this time"),
        }
        pace.wait().await;
    }
}

/// A partition hangs every attempt to open a stream; the next may find it healed.
pub(super) async fn in_time(
    edge: &Edge,
    opening: impl Future<Output = Result<Messages, Failed>>,
) -> Result<Messages, Failed> {
    let late = || CallError::new(Reason::Timeout, Sent::Unknown).detail("at a standing stream");
    let opened = timeout(edge.params.handshake_timeout, opening).await;
    opened.unwrap_or_else(|_| Err(late().into()))
}

async fn take_all(edge: &Arc<Edge>, messages: &mut Messages, session: &Session) {
    let quiet = edge.params.quiet_after;
    let alive = || Box::pin(session.ping(edge));
    while let Some(message) = silence::next(messages, quiet, alive).await {
        session.mux.dispatch(message);
    }
}

/// The listen stream of a modern backend.
async fn listen(edge: &Arc<Edge>, peer: &Arc<Peer>) -> CallError {
    let backend = &edge.params.name;
    let Some(params) = listen_params(&peer.info) else {
        return pending().await;
    };
    let request = McpRequest::new(Method::Listen, params);
    let mut pace = Pace::new();
    let mut worked = false;
    loop {
        let id = edge.next_id();
        let body = match peer.dialect.request(id, &request) {
            Ok(body) => body,
            Err(error) => return error,
        };
        let headers = modern::headers(peer.posting.clone(), &request);
        match in_time(edge, edge.ask_with(&peer.url, headers, body, id, None)).await {
            Ok(messages) => {
                if std::mem::replace(&mut worked, true) {
                    all_changed(edge);
                }
                if told(edge, peer, messages).await == Told::Refused {
                    tracing::debug!(%backend, "backend tells no changes after all");
                    return pending().await;
                }
            }
            Err(failed) if unwelcome(&failed) && worked => return failed.error,
            Err(failed) if unwelcome(&failed) => return pending().await,
            Err(failed) if failed.error.reason == Reason::ConnectFailed => return failed.error,
            Err(failed) => tracing::debug!(%backend, error = %failed.error, "no stream this time"),
        }
        pace.wait().await;
    }
}

#[derive(PartialEq)]
enum Told {
    Ended,
    Refused,
}

async fn told(edge: &Arc<Edge>, peer: &Peer, mut messages: Messages) -> Told {
    let quiet = edge.params.quiet_after;
    while let Some(message) = silence::next(&mut messages, quiet, || peer.ask(edge)).await {
        match message {
            Message::Notification {
                method: Method::SubscriptionsAcknowledged,
                ..
            } => {}
            Message::Notification { method, params } => {
                edge.events.notification(method, params, Scope::Shared);
            }
            Message::Response { answer: Err(_), .. } => return Told::Refused,
            Message::Response { .. } => return Told::Ended,
            Message::Request { method, .. } => {
                dropped::count_of(Dropped::BackendRequestForbidden, method);
            }
        }
    }
    Told::Ended
}

/// Whether the backend said that it has no such stream, and will say so again. (409: somebody has
/// the one stream of the session, as another replica may that also goes on in it.)
fn unwelcome(failed: &Failed) -> bool {
    failed.status.is_some_and(|s| {
        !s.is_server_error()
            && !matches!(
                s,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT
            )
    })
}

fn all_changed(edge: &Edge) {
    ItemKind::ALL.iter().for_each(|k| edge.events.changed(*k));
}

/// How soon a stream is opened again.
struct Pace {
    backoff: Backoff,
    started: Instant,
    /// What the server said, if it did and the stream was open (R48).
    retry: Option<Duration>,
}

impl Pace {
    fn new() -> Self {
        Self {
            backoff: Backoff::new(BackoffParams::RECONNECT.capped(LONGEST)),
            started: Instant::now(),
            retry: None,
        }
    }

    /// A server that closes its streams on purpose says when to come back.
    fn told(&mut self, retry: Option<Duration>) {
        self.retry = retry.map(|retry| retry.clamp(SOONEST, LATEST));
    }

    async fn wait(&mut self) {
        let retry = self.retry.take();
        if self.started.elapsed() >= STABLE || retry.is_some() {
            self.backoff.reset();
        }
        let wait = retry.unwrap_or_else(|| self.backoff.next());
        sleep(wait).await;
        self.started = Instant::now();
    }
}
