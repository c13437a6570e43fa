//! Streamable HTTP: one address for both eras.

use std::any::Any;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::events::{Out, error};
use super::legacy::{self, REVISIONS};
use super::listen;
use super::modern;
use super::server::Server;
use super::session::Session;

pub(super) mod headers;
mod sessions;

pub(super) use headers::foreign;
pub(super) use sessions::Sessions;

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

const BODY: usize = 4 << 20;
/// When a client is to come back to a stream that ended early, in milliseconds.
const RETRY: u32 = 200;

/// The server at `/mcp`.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) server: Arc<Server>,
    pub(super) sessions: Sessions,
    streams: AtomicU64,
}

impl Endpoint {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            sessions: Sessions::default(),
            streams: AtomicU64::new(1),
        }
    }

    pub(super) async fn serve(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        if let Some(refused) = headers::foreign(&head.headers) {
            return empty(refused);
        }
        if head.uri.path() != "/mcp" {
            return empty(StatusCode::NOT_FOUND);
        }
        if headers::value(&head.headers, headers::VERSION) == Some(modern::MODERN)
            && head.method != Method::POST
        {
            return empty(StatusCode::METHOD_NOT_ALLOWED);
        }
        match head.method {
            Method::POST => match read(body).await {
                Ok(message) => self.post(&head.headers, message).await,
                Err(refused) => refused,
            },
            Method::GET => self.get(&head.headers),
            Method::DELETE => self.delete(&head.headers),
            _ => empty(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    async fn post(&self, headers: &HeaderMap, message: Value) -> Response<Body> {
        let says_modern = headers::value(headers, headers::VERSION)
            .is_some_and(|version| !REVISIONS.contains(&version));
        let is_modern = modern::is_modern(&message) || says_modern;
        if self.server.era.has_modern() && (is_modern || !self.server.era.has_legacy()) {
            return self.modern(headers, message).await;
        }
        self.legacy(headers, message).await
    }

    async fn modern(&self, headers: &HeaderMap, message: Value) -> Response<Body> {
        if message.get("id").is_none() {
            return empty(StatusCode::ACCEPTED);
        }
        let mismatch = || headers::mismatch(headers, &message);
        if let Some((status, body)) = modern::refusal(&self.server, &message, mismatch) {
            return whole(status, &body);
        }
        let (out, outs) = mpsc::unbounded_channel();
        let call = tokio::spawn(modern::answer(self.server.clone(), message, out));
        // Going away is how a modern client cancels.
        show(outs, Abort(call.abort_handle())).await
    }

    async fn legacy(&self, headers: &HeaderMap, message: Value) -> Response<Body> {
        if message["method"] == "initialize" {
            let session = self.sessions.open();
            let id = session.id.clone();
            let mut answer = self.take(session, message).await;
            if let Ok(id) = id.parse() {
                answer.headers_mut().insert("mcp-session-id", id);
            }
            return answer;
        }
        let session = match self.sessions.find(headers) {
            Ok(session) => session,
            Err(refused) => return *refused,
        };
        if let Some(version) = headers::value(headers, headers::VERSION)
            && !REVISIONS.contains(&version)
        {
            let text = format!("Unsupported protocol version: {version}");
            return whole(400, &error(&message["id"], -32600, &text, None));
        }
        if message.get("id").is_none() || message.get("method").is_none() {
            let (out, _) = mpsc::unbounded_channel();
            legacy::take(&self.server, &session, message, out);
            return empty(StatusCode::ACCEPTED);
        }
        self.take(session, message).await
    }

    async fn take(&self, session: Arc<Session>, message: Value) -> Response<Body> {
        let (out, outs) = mpsc::unbounded_channel();
        legacy::take(&self.server, &session, message, out);
        let stream = self.streams.fetch_add(1, Ordering::Relaxed);
        render(outs, Stay::Legacy(session, stream)).await
    }

    /// The stream that a client keeps open, or the rest of one that ended early.
    fn get(&self, headers: &HeaderMap) -> Response<Body> {
        let session = match self.sessions.find(headers) {
            Ok(session) => session,
            Err(refused) => return *refused,
        };
        if let Some(last) = headers::value(headers, "last-event-id") {
            return match session.resume(last) {
                Some(rest) => events(drain(None, rest, Stay::Nowhere)),
                None => empty(StatusCode::NOT_FOUND),
            };
        }
        let (out, outs) = mpsc::unbounded_channel();
        let server = self.server.clone();
        tokio::spawn(async move { listen::tell_all(&server, &session, &out).await });
        events(drain(None, outs, Stay::Nowhere))
    }

    fn delete(&self, headers: &HeaderMap) -> Response<Body> {
        match self.sessions.find(headers) {
            Ok(session) => {
                self.sessions.close(&session.id);
                empty(StatusCode::NO_CONTENT)
            }
            Err(refused) => *refused,
        }
    }
}

/// What becomes of a call when its stream ends before it.
enum Stay {
    /// It ends too: dropping this ends it.
    Held(#[expect(dead_code, reason = "held for its drop")] Box<dyn Any + Send>),
    /// It goes on, and the client may come back for this stream.
    Legacy(Arc<Session>, u64),
    /// There is no call.
    Nowhere,
}

/// Ends a task with the body that shows it.
struct Abort(tokio::task::AbortHandle);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Shows a call that ends when its client goes, which dropping `call` does.
pub(super) async fn show(
    outs: mpsc::UnboundedReceiver<Out>,
    call: impl Any + Send,
) -> Response<Body> {
    render(outs, Stay::Held(Box::new(call))).await
}

/// One JSON body if the answer comes first, else a stream.
async fn render(mut outs: mpsc::UnboundedReceiver<Out>, stay: Stay) -> Response<Body> {
    match outs.recv().await {
        Some(Out::Final { status, body }) => whole(status, &body),
        // A call that was cancelled has no answer.
        None => empty(StatusCode::ACCEPTED),
        Some(first) => events(drain(Some(first), outs, stay)),
    }
}

/// What a stream shows, to the answer or to a pause.
fn drain(
    first: Option<Out>,
    outs: mpsc::UnboundedReceiver<Out>,
    stay: Stay,
) -> impl Stream<Item = Bytes> + Send {
    let priming = match &stay {
        Stay::Legacy(session, stream) if session.revision() == REVISIONS[0] => Some(Bytes::from(
            format!("id: {stream}\nretry: {RETRY}\ndata:\n\n"),
        )),
        Stay::Legacy(..) | Stay::Held(_) | Stay::Nowhere => None,
    };
    let rest = stream::unfold(Some((first, outs, stay)), |state| async {
        let (first, mut outs, stay) = state?;
        let next = match first {
            Some(first) => Some(first),
            None => outs.recv().await,
        };
        match (next?, stay) {
            (Out::Message(message), stay) => Some((event(&message), Some((None, outs, stay)))),
            (Out::Final { body, .. }, _) => Some((event(&body), None)),
            (Out::Pause, Stay::Legacy(session, stream)) if session.revision() == REVISIONS[0] => {
                session.pause(stream.to_string(), outs);
                None
            }
            // Nobody comes back in the other revisions: the stream stays open.
            (Out::Pause, stay) => Some((
                Bytes::from_static(b": still here\n\n"),
                Some((None, outs, stay)),
            )),
        }
    });
    stream::iter(priming).chain(rest)
}

pub(super) fn event(message: &Value) -> Bytes {
    Bytes::from(format!("data: {message}\n\n"))
}

pub(super) async fn read(body: Incoming) -> Result<Value, Response<Body>> {
    let Ok(bytes) = Limited::new(body, BODY).collect().await else {
        return Err(empty(StatusCode::PAYLOAD_TOO_LARGE));
    };
    match serde_json::from_slice::<Value>(&bytes.to_bytes()) {
        Ok(message) if message.is_object() => Ok(message),
        Ok(_) => Err(whole(
            400,
            &error(&json!(null), -32600, "Not one message", None),
        )),
        Err(_) => Err(whole(400, &error(&json!(null), -32700, "Not JSON", None))),
    }
}

pub(super) fn events(items: impl Stream<Item = Bytes> + Send + 'static) -> Response<Body> {
    let frames = items.map(|bytes| Ok(Frame::data(bytes)));
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    let kind = http::HeaderValue::from_static("text/event-stream");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, kind);
    response
}

pub(super) fn whole(status: u16, body: &Value) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())).boxed_unsync());
    let kind = http::HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, kind);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    response
}

pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Full::default().boxed_unsync());
    *response.status_mut() = status;
    response
}
