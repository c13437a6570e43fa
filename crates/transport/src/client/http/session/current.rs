//! One upstream session, between its opening and its loss.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use mcp_router_protocol::{Message, Revision};
use mcp_router_service::{BackendInfo, CallError, Pin, Reason, Sent};
use tokio::time::{Instant, timeout};

use super::TRANSPORT;
use crate::client::asks::Home;
use crate::client::dialect::{Answer, Dialect, protocol_error};
use crate::client::handshake;
use crate::client::http::edge::{Edge, Failed, PROTOCOL_VERSION, SESSION_ID};
use crate::client::http::messages::Messages;
use crate::client::owner::Owner;

/// A session younger than this is not the reason for a 400.
const YOUNG: Duration = Duration::from_secs(5);
/// How long the end of a session may take to be told.
const CLOSE: Duration = Duration::from_secs(2);

/// The upstream session as it stands.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) id: Option<HeaderValue>,
    pub(super) dialect: Dialect,
    /// The headers of its calls.
    posting: HeaderMap,
    opened: Instant,
}

impl Current {
    /// The session that `text` names, which [`to_text`](Self::to_text) wrote here or elsewhere.
    pub(super) fn carried(text: &str, edge: &Edge) -> Option<Self> {
        let (revision, id) = text.split_once(' ')?;
        let id = HeaderValue::from_str(id).ok()?;
        Some(Self::new(edge, Some(id), revision.parse().ok()?))
    }

    fn new(edge: &Edge, id: Option<HeaderValue>, revision: Revision) -> Self {
        Self {
            posting: edge.posting(headers(id.as_ref(), revision)),
            id,
            dialect: Dialect::new(revision, edge.identity.clone()),
            opened: Instant::now(),
        }
    }

    /// The headers of a call, with all that each request carries.
    pub(super) fn posting(&self) -> HeaderMap {
        self.posting.clone()
    }

    /// What another replica needs to go on in this session; `None` if it has no id.
    pub(super) fn to_text(&self) -> Option<String> {
        let id = self.id.as_ref()?.to_str().ok()?;
        Some(format!("{} {id}", self.dialect.revision))
    }

    /// Where answers to what is asked in this session can be brought.
    pub(super) fn home(&self, edge: &Edge) -> Option<Home> {
        let id = self.id.as_ref()?.to_str().ok()?;
        Some(Home {
            pin: Pin {
                backend: edge.params.name.clone(),
                endpoint: edge.params.endpoint.clone(),
            },
            session: id.into(),
        })
    }

    pub(super) fn headers(&self) -> HeaderMap {
        headers(self.id.as_ref(), self.dialect.revision)
    }

    /// Tells the backend that the session is over. It need not care: it may have ended it already,
    /// or not know how (404, 405).
    pub(super) async fn end(&self, edge: &Edge, url: &Uri) {
        let (backend, headers) = (&edge.params.name, self.headers());
        let delete = edge.send(Method::DELETE, url, headers);
        match timeout(CLOSE, delete).await {
            Ok(Ok(reply)) => {
                let status = reply.status().as_u16();
                tracing::debug!(%backend, status, "upstream session closed");
            }
            Ok(Err(failed)) => {
                let error = failed.error;
                tracing::debug!(%backend, %error, "upstream session not closed");
            }
            Err(_) => tracing::debug!(%backend, "upstream session not closed"),
        }
    }

    /// Whether a request failed because its session is not known any more. Some servers say 400.
    pub(super) fn is_gone(&self, failed: &Failed) -> bool {
        self.id.is_some()
            && match failed.status {
                Some(StatusCode::NOT_FOUND) => true,
                Some(StatusCode::BAD_REQUEST) => self.opened.elapsed() >= YOUNG,
                _ => false,
            }
    }
}

/// The headers of a session at a revision.
pub(in crate::client::http) fn headers(id: Option<&HeaderValue>, revision: Revision) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    if let Some(id) = id {
        headers.insert(SESSION_ID, id.clone());
    }
    if revision >= Revision::V2025_06_18 {
        let revision = HeaderValue::from_static(revision.as_str());
        headers.insert(PROTOCOL_VERSION, revision);
    }
    headers
}

pub(super) async fn initialize(
    edge: &Arc<Edge>,
    url: &Uri,
    owner: &Owner,
) -> Result<(Current, BackendInfo), Failed> {
    let id = edge.next_id();
    let body = handshake::initialize(id, &owner.declared, &owner.info);
    let opening = async {
        let mut messages = edge.ask(url, HeaderMap::new(), body, id).await?;
        let answer = answer(&mut messages).await?;
        let (revision, info) = handshake::read_initialize(answer, TRANSPORT)?;
        let id = messages.session.take().and_then(|id| own(&id));
        let current = Current::new(edge, id, revision);
        edge.tell(url, current.headers(), handshake::initialized())
            .await?;
        Ok((current, info))
    };
    let late = || CallError::new(Reason::Timeout, Sent::No).detail("at `initialize`");
    let opened = timeout(edge.params.handshake_timeout, opening).await;
    opened.unwrap_or_else(|_| Err(late().into()))
}

/// A copy of what came in a head: as it came, it holds on to all that was read with it.
fn own(value: &HeaderValue) -> Option<HeaderValue> {
    HeaderValue::from_bytes(value.as_bytes()).ok()
}

/// The answer among the messages of one request, without what else is there.
pub(in crate::client::http) async fn answer(messages: &mut Messages) -> Result<Answer, CallError> {
    while let Some(message) = messages.next().await? {
        if let Message::Response { answer, .. } = message {
            return Ok(answer);
        }
    }
    Err(protocol_error("a stream without an answer"))
}
