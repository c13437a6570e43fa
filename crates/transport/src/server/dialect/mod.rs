//! One call as its client speaks it: from the inner dialect to JSON-RPC messages and back.
//!
//! Both transports need the same translation, so it is here once. [`modern`] and [`legacy`] hold
//! what only one era has; [`Exchange`] turns what the router answers into [`Wire`]s.

pub(crate) mod ask;
mod kept;
pub(crate) mod legacy;
mod level;
mod mention;
pub(crate) mod modern;
mod signature;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::jsonrpc::{notification_parts, response_parts};
use mcp_router_protocol::params::meta;
use mcp_router_protocol::{ErrorObject, Method, RawJson, RawParams, RequestId, Revision, code};
use mcp_router_service::{CallError, Deadline, Event, McpRequest, Outcome, ServerRequest};

use super::peer::Peer;
pub(crate) use level::Floor;
pub(crate) use signature::Signature;

/// One message to the client, as slices to be written one after the other.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) parts: Vec<Bytes>,
    /// The code of an error answer: HTTP chooses its status by it.
    pub(crate) code: Option<i64>,
}

impl Wire {
    pub(crate) fn result(id: &RequestId, result: &RawJson) -> Self {
        Self::message(response_parts(Some(id), Ok(result)))
    }

    pub(crate) fn error(id: Option<&RequestId>, error: &ErrorObject) -> Self {
        Self {
            parts: response_parts(id, Err(error)),
            code: Some(error.code()),
        }
    }

    pub(crate) fn notification(method: &Method, params: &RawParams) -> Self {
        Self::message(notification_parts(method, params))
    }

    /// A message that was made before.
    pub(crate) const fn of(parts: Vec<Bytes>) -> Self {
        Self::message(parts)
    }

    const fn message(parts: Vec<Bytes>) -> Self {
        Self { parts, code: None }
    }
}

/// The slices without raw line breaks, for transports that frame by lines. In checked JSON these
/// stand between tokens only, where a space means the same; most senders write none at all.
pub(crate) fn one_line(parts: Vec<Bytes>) -> impl Iterator<Item = Bytes> {
    parts.into_iter().map(|part| {
        if memchr::memchr2(b'\n', b'\r', &part).is_none() {
            return part;
        }
        let flat = part.iter().map(|b| match b {
            b'\n' | b'\r' => b' ',
            other => *other,
        });
        flat.collect::<Vec<_>>().into()
    })
}

/// Whose rules an answer follows.
#[derive(Clone, Debug)]
pub(crate) enum Voice {
    Legacy(Arc<Peer>),
    Modern(Arc<Signature>),
}

/// What the client hears of an event.
#[derive(Debug)]
pub(crate) enum Said {
    Nothing,
    Message(Wire),
    /// The last message of the call.
    Answer(Wire),
}

/// One request of a client, and how its answers are to be put.
#[derive(Debug)]
pub(crate) struct Exchange {
    id: RequestId,
    method: Method,
    voice: Voice,
    /// The client's progress token, in its own JSON type (R21).
    progress: Option<RawJson>,
    floor: Floor,
    deadline: Deadline,
    ask_limit: Duration,
    /// Nobody listens any more: backends that ask are told so.
    orphan: bool,
}

impl Exchange {
    /// `request` as the router gets it, `id` as the client gave it.
    pub(crate) fn new(id: RequestId, request: &McpRequest, voice: Voice, ask: Duration) -> Self {
        let floor = match &voice {
            Voice::Modern(_) => Floor::modern(request.context.log_level),
            Voice::Legacy(_) => Floor::Session,
        };
        Self {
            id,
            method: request.method.clone(),
            voice,
            progress: progress_token(&request.params),
            floor,
            deadline: request.context.deadline.clone(),
            ask_limit: ask,
            orphan: false,
        }
    }

    pub(crate) const fn id(&self) -> &RequestId {
        &self.id
    }

    pub(crate) fn is_listen(&self) -> bool {
        self.method == Method::Listen
    }

    pub(crate) const fn orphan(&mut self) {
        self.orphan = true;
    }

    pub(crate) fn event(&self, event: Event) -> Said {
        match event {
            Event::Outcome(outcome) => Said::Answer(self.outcome(outcome)),
            Event::ServerRequest(request) => self.ask(request),
            Event::Notification { method, params } => self
                .notification(&method, params)
                .map_or(Said::Nothing, |p| {
                    Said::Message(Wire::notification(&method, &p))
                }),
        }
    }

    pub(crate) fn outcome(&self, outcome: Outcome) -> Wire {
        match (&self.voice, outcome) {
            // A request under the name of a notification: the router takes it, but an id wants an
            // answer.
            (_, Outcome::Accepted) => Wire::error(Some(&self.id), &no_method(&self.method)),
            (Voice::Modern(signature), outcome) => {
                modern::outcome(&self.id, &self.method, outcome, signature)
            }
            (Voice::Legacy(peer), outcome) => {
                legacy::outcome(&self.id, &self.method, peer.revision(), outcome)
            }
        }
    }

    pub(crate) fn failure(&self, error: CallError) -> Wire {
        tracing::debug!(%error, method = %self.method, "call failed");
        self.outcome(error.into_outcome(&self.method))
    }

    /// The parameters of a notification as this client gets them; nothing if it must not.
    fn notification(&self, method: &Method, params: RawParams) -> Option<RawParams> {
        let modern = matches!(self.voice, Voice::Modern(_));
        match method {
            _ if modern && self.is_listen() => {
                let id: &[u8] = self.id.json();
                params.with_meta(&[(meta::SUBSCRIPTION_ID, Some(id))]).ok()
            }
            Method::Progress => {
                let Some(token) = &self.progress else {
                    dropped::count(Dropped::ProgressUnwanted);
                    return None;
                };
                let own = ("progressToken", Some(&token.bytes()[..]));
                // Progress has no words in 2024-11-05.
                let silent = matches!(&self.voice, Voice::Legacy(peer)
                    if peer.revision() < Revision::V2025_03_26);
                match silent {
                    true => params.with_members(&[own, ("message", None)]).ok(),
                    false => params.with_members(&[own]).ok(),
                }
            }
            Method::LogMessage => {
                let session = match &self.voice {
                    Voice::Legacy(peer) => peer.session().log_level(),
                    Voice::Modern(_) => None,
                };
                if !self.floor.lets(&params, session) {
                    dropped::count(self.floor.reason());
                    return None;
                }
                Some(params)
            }
            // News about lists have streams of their own.
            Method::ToolsChanged
            | Method::PromptsChanged
            | Method::ResourcesChanged
            | Method::ResourceUpdated
            | Method::SubscriptionsAcknowledged
            | Method::Cancelled => {
                dropped::count_of(Dropped::NotACallsMessage, method);
                None
            }
            _ => Some(params),
        }
    }

    fn ask(&self, request: ServerRequest) -> Said {
        match &self.voice {
            Voice::Legacy(peer) if !self.orphan => {
                let pause = self.deadline.pause(self.ask_limit);
                ask::put(peer, request, Some(pause)).map_or(Said::Nothing, Said::Message)
            }
            _ => {
                dropped::count_of(Dropped::ClientIncapable, &request.method);
                request.refuse();
                Said::Nothing
            }
        }
    }
}

/// The client's progress token, if it gave an acceptable one.
pub(crate) fn progress_token(params: &RawParams) -> Option<RawJson> {
    let token = params.meta_value(meta::PROGRESS_TOKEN)?;
    let first = token.bytes().first()?;
    (*first == b'"' || *first == b'-' || first.is_ascii_digit()).then_some(token)
}

/// -32601, naming the method.
pub(crate) fn no_method(method: &Method) -> ErrorObject {
    let shown: String = method.as_str().chars().take(128).collect();
    let text = format!("Method not found: {}", shown.escape_debug());
    ErrorObject::new(code::METHOD_NOT_FOUND, text)
}
