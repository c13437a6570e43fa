//! The waist of the router: the one interface between all its parts.
//!
//! ```text
//! client edges  ->  McpRequest -> McpResponse  <-  backend edges
//! ```
//!
//! A client edge drives a `tower::Service<McpRequest, Response = McpResponse, Error = CallError>`,
//! a backend edge is one, every layer wraps one, the router as a whole is one. Each edge speaks
//! the revision and transport of its own hop; nothing between the edges asks which.
//!
//! # The rules of the waist
//!
//! 1. *The first message decides.* A call's future resolves with the backend's first message:
//!    an outcome gives [`McpResponse::Ready`], anything else [`McpResponse::Stream`]. Every
//!    failure before that is an [`CallError`] with a typed [`Sent`], and only there may anyone
//!    retry. A failure inside a stream is its last item.
//! 2. *Guards ride on the answer* ([`HoldGuard`]): a permit, gauge or timer is released when the
//!    outcome is there or the answer is dropped, not at the head of a stream.
//! 3. *Dropping is cancelling.* Who drops the future or the stream cancels the call.
//! 4. *The deadline is a handle* ([`Deadline`]): progress moves it, a wait for the client stops it.
//! 5. *The client session is a handle* ([`Session`]) with typed slots and closing hooks.
//! 6. *Out-of-band events* come beside the service ([`BackendEvent`]).
//! 7. *Client notifications* are requests answered [`Outcome::Accepted`].
//! 8. *Backend edges emit [`Event::ServerRequest`]* where the client cannot take
//!    [`Outcome::InputRequired`].
//! 9. *Layers are generic over the answer* through [`Classify`] and [`HoldGuard`].
//!
//! [`seal`] makes the opaque tokens (cursors now) that any replica with the same key can open.

#![forbid(unsafe_code)]

mod alarm;
mod answer;
mod context;
mod deadline;
mod error;
mod event;
mod handle;
mod origin;
mod params;
mod places;
mod probe;
mod repeat;
pub mod seal;
mod session;
mod trail;

pub use alarm::{Alarm, keeping_alarm};
pub use answer::{Class, Classify, HoldGuard, Serving};
pub use context::{ClientProfile, KnownName, Pin, Principal, RequestContext, SharedContext};
pub use deadline::{Deadline, HARD_CAP, Pause};
pub use error::{CallError, Reason, Sent};
pub use event::{BackendEvent, BackendInfo, EventStream, Scope};
pub use handle::McpService;
pub use origin::{Answered, Origin};
pub use params::{ParamHeader, ParamHeaders};
pub use places::{Place, Places};
pub use probe::{ProbeFailure, Prober, Pulse};
pub use repeat::{Repeat, RepeatAfter};
pub use session::{OUTBOX_CAPACITY, Outbox, Session, SessionId, carry_key};
pub use trail::{Mark, Notes, Trail, Visit};

use std::fmt;
use std::pin::Pin as StdPin;
use std::task::{Context, Poll};

use futures::Stream;
use futures::stream::BoxStream;
use mcp_router_protocol::{BackendName, ErrorObject, Method, RawJson, RawParams};
use tokio::sync::oneshot;

/// One client request or notification, with everything needed to serve it on any thread.
///
/// Cloning shares the parameters' bytes and the context's handles.
#[derive(Clone, Debug)]
pub struct McpRequest {
    /// What is asked.
    pub method: Method,
    /// With what: the sender's own bytes.
    pub params: RawParams,
    /// By whom, until when, in which session. Behind a pointer, because a request is moved at every
    /// layer of its way.
    pub context: SharedContext,
}

impl McpRequest {
    /// A request of the router's own, or of an embedder: no session, the default deadline.
    pub fn new(method: Method, params: RawParams) -> Self {
        Self {
            method,
            params,
            context: SharedContext::default(),
        }
    }
}

/// How a call ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The result, as its bytes.
    Complete(RawJson),
    /// The backend needs input from the client first; the result says what (2026-07-28).
    InputRequired(Interim),
    /// A JSON-RPC error: an answer, not a failure of the backend.
    Error(ErrorObject),
    /// A notification was taken. Nothing is sent to the client for it.
    Accepted,
}

/// An interim result, and who gave it: later rounds of the call go there.
#[derive(Clone, Debug)]
pub struct Interim {
    /// What is needed, as the backend's bytes.
    pub result: RawJson,
    /// Who needs it, as far as anybody on the way has noted it.
    pub by: Option<Box<Pin>>,
}

impl Interim {
    /// Notes the backend, unless one is noted.
    pub fn on(&mut self, backend: &BackendName) {
        self.by.get_or_insert_with(|| {
            Box::new(Pin {
                backend: backend.clone(),
                endpoint: "".into(),
            })
        });
    }
}

impl From<RawJson> for Interim {
    fn from(result: RawJson) -> Self {
        Self { result, by: None }
    }
}

impl std::ops::Deref for Interim {
    type Target = RawJson;

    fn deref(&self) -> &RawJson {
        &self.result
    }
}

/// An answer: at once, or a stream that ends in one outcome.
pub enum McpResponse {
    /// The common case: no channel, no allocation beyond the bytes.
    Ready(Outcome),
    /// Notifications and server requests, then an outcome.
    Stream(ResponseStream),
}

impl McpResponse {
    /// A finished answer.
    pub const fn complete(result: RawJson) -> Self {
        Self::Ready(Outcome::Complete(result))
    }

    /// A JSON-RPC error.
    pub const fn error(error: ErrorObject) -> Self {
        Self::Ready(Outcome::Error(error))
    }

    /// Waits for the outcome and lets every event before it go. For callers that have no client
    /// to show them to (the supervisor, the command line). Server requests are refused.
    ///
    /// # Errors
    /// The stream's failure, or [`Reason::BackendLost`] if it ends without an outcome.
    pub async fn outcome(self) -> Result<Outcome, CallError> {
        use futures::StreamExt;
        let mut stream = match self {
            Self::Ready(outcome) => return Ok(outcome),
            Self::Stream(stream) => stream,
        };
        while let Some(event) = stream.next().await {
            match event? {
                Event::Outcome(outcome) => return Ok(outcome),
                Event::Notification { .. } => {}
                Event::ServerRequest(request) => request.refuse(),
            }
        }
        Err(CallError::new(Reason::BackendLost, Sent::Unknown))
    }
}

impl fmt::Debug for McpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(outcome) => f.debug_tuple("Ready").field(outcome).finish(),
            Self::Stream(_) => f.write_str("Stream(..)"),
        }
    }
}

/// What a stream carries before and including its outcome.
#[derive(Debug)]
pub enum Event {
    /// Progress, a log message, or any other notification that belongs to the call. Progress
    /// carries whatever token the backend edge used; the client edge puts the client's own in.
    Notification {
        /// The notification's method.
        method: Method,
        /// Its parameters.
        params: RawParams,
    },
    /// The backend asks the client something in the middle of the call.
    ServerRequest(ServerRequest),
    /// The end. Nothing follows.
    Outcome(Outcome),
}

/// A request from backend to client (sampling, elicitation, roots), with a slot for the reply.
/// Dropping it unanswered tells the backend edge that nobody can answer.
#[derive(Debug)]
pub struct ServerRequest {
    /// What is asked.
    pub method: Method,
    /// With what.
    pub params: RawParams,
    /// Takes the client's answer. A second answer has nowhere to go.
    pub reply: oneshot::Sender<Result<RawJson, ErrorObject>>,
    /// Where the answer can be brought by any replica of the router; `None` if only this process
    /// can, as with child processes.
    pub origin: Option<Box<Origin>>,
}

impl ServerRequest {
    /// Answers that the client cannot do this.
    pub fn refuse(self) {
        let text = format!("the client does not support `{}`", self.method);
        let error = ErrorObject::new(mcp_router_protocol::code::METHOD_NOT_FOUND, text);
        // A backend that no longer waits is content with no answer.
        let _ = self.reply.send(Err(error));
    }
}

/// The events of one call. Ends after [`Event::Outcome`] or an error; dropping it cancels the call.
pub struct ResponseStream(BoxStream<'static, Result<Event, CallError>>);

impl ResponseStream {
    /// Boxes a stream of events.
    pub fn new(stream: impl Stream<Item = Result<Event, CallError>> + Send + 'static) -> Self {
        Self(Box::pin(stream))
    }
}

impl Stream for ResponseStream {
    type Item = Result<Event, CallError>;

    fn poll_next(mut self: StdPin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for ResponseStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseStream(..)")
    }
}
