//! What all parts of one HTTP edge share, and the one way in which messages are sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::{Message, RawJson, RequestId, code};
use mcp_router_service::{CallError, Reason, Sent, carry_key};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::lanes::Lanes;
use super::messages::{Kind, Messages, kind, read_all};
use super::negotiate::Peer;
use super::refusal::refusal;
use super::wire::{Reply, Wire};
use super::{HttpBackendParams, url};
use crate::client::events::Events;
use crate::client::level::Wants;
use crate::client::link::Link;
use crate::client::rope::Rope;

pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
pub(super) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// Messages beside calls (cancellations, answers to the backend) on their way at once, and how
/// long each may take.
const SIDE: usize = 64;
const SIDE_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest body of a refusal that is looked at.
const REFUSAL: usize = 64 << 10;

/// One HTTP backend, as its calls and its driver share it.
#[derive(Debug)]
pub(super) struct Edge {
    pub(super) params: HttpBackendParams,
    pub(super) wire: Wire,
    pub(super) link: Link<Peer>,
    pub(super) events: Events,
    /// The router's own `clientInfo`.
    pub(super) identity: RawJson,
    /// Upstream sessions that belong to clients.
    pub(super) lanes: Lanes,
    /// Under what a client's id carries its session here: the same on every replica.
    pub(super) carry_key: Arc<str>,
    /// The log levels that are wanted of conversations that many share.
    pub(super) wants: Arc<Wants>,
    ids: AtomicU64,
    side: Arc<Semaphore>,
}

/// Why a message was not taken.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: CallError,
    /// The status, if there was a response.
    pub(super) status: Option<StatusCode>,
    /// Where a redirect points, if it stays at the same origin.
    pub(super) moved: Option<Box<Uri>>,
}

impl From<CallError> for Failed {
    fn from(error: CallError) -> Self {
        Self {
            error,
            status: None,
            moved: None,
        }
    }
}

impl From<Failed> for CallError {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}

impl Edge {
    pub(super) fn new(params: HttpBackendParams, events: Events) -> Self {
        Self {
            wire: Wire::new(&params),
            link: Link::new(params.lazy, params.probe_timeout + params.handshake_timeout),
            events,
            identity: params.identity.json(),
            lanes: Lanes::new(&params.name),
            carry_key: carry_key(&params.name, &params.endpoint),
            wants: Wants::new(),
            ids: AtomicU64::new(1),
            side: Arc::new(Semaphore::new(SIDE)),
            params,
        }
    }

    pub(super) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// The headers of what is POSTed, with `more`.
    pub(super) fn posting(&self, more: HeaderMap) -> HeaderMap {
        let mut headers = self.wire.headers(more);
        let json = HeaderValue::from_static("application/json");
        let both = HeaderValue::from_static("application/json, text/event-stream");
        headers.insert(header::CONTENT_TYPE, json);
        headers.insert(header::ACCEPT, both);
        headers
    }

    /// POSTs request `id` and begins to read what comes back.
    ///
    /// # Errors
    /// If that is neither its answer nor the beginning of a stream.
    pub(super) async fn ask(
        &self,
        url: &Uri,
        headers: HeaderMap,
        body: Rope,
        id: u64,
    ) -> Result<Messages, Failed> {
        let headers = self.posting(headers);
        self.ask_with(url, headers, body, id, None).await
    }

    /// The same with all [headers](Self::posting), and with one's place among the requests in
    /// flight.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub(super) async fn ask_with(
        &self,
        url: &Uri,
        headers: HeaderMap,
        body: Rope,
        id: u64,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Messages, Failed> {
        let in_session = headers.contains_key(SESSION_ID);
        let post = self.wire.send(Method::POST, url, headers, body, permit);
        let reply = post.await.map_err(|error| self.unanswered(error))?;
        let status = reply.status();
        if status.is_success() {
            return Ok(Messages::open(reply, self.params.answer_limit).await?);
        }
        if status == StatusCode::NOT_FOUND && in_session {
            // The session is gone, whatever the body says, and in whoever's name.
            return Err(failed(url, status, reply.headers()));
        }
        Box::pin(self.refused(url, reply, id)).await
    }

    /// POSTs a message that gets no answer.
    ///
    /// # Errors
    /// If it is not accepted.
    pub(super) async fn tell(
        &self,
        url: &Uri,
        headers: HeaderMap,
        body: Rope,
    ) -> Result<(), Failed> {
        let headers = self.posting(headers);
        let post = self.wire.send(Method::POST, url, headers, body, None);
        let reply = post.await.map_err(|error| self.unanswered(error))?;
        let (head, mut body) = reply.into_parts();
        if !head.status.is_success() {
            return Err(failed(url, head.status, &head.headers));
        }
        // Read to its end, so that the connection can be used again. What it says is nothing.
        let _ = read_all(&mut body, REFUSAL).await;
        Ok(())
    }

    /// Opens a stream of events.
    ///
    /// # Errors
    /// If there is none.
    pub(super) async fn get(&self, url: &Uri, mut headers: HeaderMap) -> Result<Messages, Failed> {
        let events = HeaderValue::from_static("text/event-stream");
        headers.insert(header::ACCEPT, events);
        let reply = self.send(Method::GET, url, headers).await?;
        let (status, headers) = (reply.status(), reply.headers());
        if status != StatusCode::OK || kind(headers) != Kind::Events {
            return Err(failed(url, status, headers));
        }
        let mut messages = Messages::open(reply, self.params.answer_limit).await?;
        // It names a session that is known, and holds on to all that was read with it.
        messages.session = None;
        Ok(messages)
    }

    /// Sends a request without a body.
    ///
    /// # Errors
    /// If there is no response.
    pub(super) async fn send(
        &self,
        method: Method,
        url: &Uri,
        headers: HeaderMap,
    ) -> Result<Reply, Failed> {
        let headers = self.wire.headers(headers);
        let sent = self.wire.send(method, url, headers, Rope::default(), None);
        sent.await.map_err(|error| self.unanswered(error))
    }

    /// A request that got no response.
    fn unanswered(&self, error: CallError) -> Failed {
        if error.reason == Reason::ConnectFailed {
            // Whoever finds out first tells the driver.
            self.link.wake();
        }
        error.into()
    }

    /// Modern servers send their errors with 4xx: those are answers if they name the request.
    async fn refused(&self, url: &Uri, reply: Reply, id: u64) -> Result<Messages, Failed> {
        let (status, headers) = (reply.status(), reply.headers());
        let mut failed = failed(url, status, headers);
        if !status.is_client_error() || kind(headers) != Kind::Json {
            return Err(failed);
        }
        let Ok(mut messages) = Messages::open(reply, REFUSAL).await else {
            return Err(failed);
        };
        let Ok(Some(Message::Response { id: theirs, answer })) = messages.next().await else {
            return Err(failed);
        };
        if theirs.as_ref().and_then(RequestId::as_number) == Some(id) {
            return Ok(messages.refusing(Message::Response { id: theirs, answer }));
        }
        if let Err(error) = answer
            && proves_unexecuted(error.code())
        {
            failed.error.sent = Sent::RejectedUnexecuted;
        }
        Err(failed)
    }

    /// Sends a message that nobody waits for. Dropped if too many are on their way.
    pub(super) fn tell_aside(self: &Arc<Self>, url: Uri, headers: HeaderMap, body: Rope) {
        let permit = self.side.clone().try_acquire_owned();
        let runtime = tokio::runtime::Handle::try_current();
        let (Ok(permit), Ok(runtime)) = (permit, runtime) else {
            dropped::count_of(Dropped::BackendNotTold, &self.params.name);
            return;
        };
        let edge = self.clone();
        runtime.spawn(async move {
            let told = timeout(SIDE_TIMEOUT, edge.tell(&url, headers, body)).await;
            if let Ok(Err(failed)) = told {
                let (backend, error) = (&edge.params.name, failed.error);
                tracing::debug!(%backend, %error, "message beside a call not taken");
                dropped::count_of(Dropped::BackendNotTold, backend);
            }
            drop(permit);
        });
    }
}

fn failed(asked: &Uri, status: StatusCode, headers: &HeaderMap) -> Failed {
    let moved = matches!(status.as_u16(), 307 | 308)
        .then(|| headers.get(header::LOCATION)?.to_str().ok())
        .flatten()
        .and_then(|location| url::resolve(asked, location).ok())
        .map(Box::new);
    Failed {
        error: refusal(status, headers),
        status: Some(status),
        moved,
    }
}

/// Error codes of requests that were refused before they ran.
fn proves_unexecuted(error: i64) -> bool {
    matches!(
        error,
        code::PARSE_ERROR | code::INVALID_REQUEST | code::METHOD_NOT_FOUND
    ) || code::is_modern(error)
}
