//! MCP over HTTP: every revision on one endpoint.
//!
//! [`HttpService`] takes requests of any body type, so that it can be mounted in hyper, in axum or
//! in a test without a socket. What it refuses, it refuses in an order: who may ask at all
//! (`Origin`, `Host`), what is asked for, whether there is room, and only then what the body says.

mod batch;
mod body;
mod caller;
mod events;
mod front;
mod gate;
mod intake;
mod keep;
mod legacy;
mod load;
mod modern;
mod negotiate;
mod post;
mod reply;
mod resume;
mod sessions;
mod sse;
mod standing;

use std::convert::Infallible;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::request::Parts;
use http::{HeaderName, Method, Request, Response, StatusCode, header};
use mcp_router_service::seal::random_id;
use mcp_router_service::{McpService, Principal};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::{BoxError, Service};

pub use body::Body;
pub(super) use body::Slices;
pub(super) use caller::Caller;
use front::Front;
use gate::Gate;
pub use load::Load;
use resume::Replays;
pub use sessions::SessionCounts;
use sessions::Sessions;

use super::dialect::Signature;
use super::keys::Seals;
use super::params::{HttpParams, Page};
use super::peer::Asking;

/// The session id's header.
pub(crate) static SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// Where streamable HTTP is served.
const MCP: &str = "/mcp";
/// Where HTTP+SSE is served.
const SSE: &str = "/sse";
/// Where clients of HTTP+SSE post.
const SSE_POST: &str = "/sse/messages";

/// Makes the HTTP edge of `router`. Call it inside a runtime: sessions are swept by a task, which
/// ends with the last clone.
///
/// A [`Principal`] among a request's extensions is taken for whom authentication found.
pub fn http(router: McpService, params: HttpParams) -> HttpService {
    let limits = &params.limits;
    // Without randomness nothing can be sealed, and no session opened.
    let made = || Seals::new::<&[u8]>(&[]).ok();
    let seals = params.seals.clone().or_else(made);
    let replica = random_id().ok().map(Arc::from);
    let asking = Asking {
        limit: params.times.ask,
        shared: seals.as_ref().map(|s| s.request.clone()).zip(replica),
    };
    let shared = Arc::new(Shared {
        gate: Gate::new(&params),
        in_flight: Arc::new(Semaphore::new(limits.in_flight)),
        streams: Arc::new(Semaphore::new(limits.streams)),
        buffered: intake::budget(limits.buffered),
        drain: CancellationToken::new(),
        sessions: Sessions::new(&params, seals.map(|s| s.session)),
        connections: sse::Connections::default(),
        replays: Arc::new(Replays::new(limits.replay, params.times.orphan)),
        asking,
        signature: Arc::new(Signature::new(&params.identity)),
        router,
        params,
    });
    sessions::sweep(&shared);
    HttpService { shared }
}

/// The HTTP edge as a service. Clones are the same edge; it is always ready.
///
/// Dropping a request's future or an answer's body means that the client is gone.
#[derive(Clone)]
pub struct HttpService {
    shared: Arc<Shared>,
}

struct Shared {
    router: McpService,
    params: HttpParams,
    gate: Gate,
    in_flight: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    buffered: Arc<Semaphore>,
    /// Ends what would stay open by itself.
    drain: CancellationToken,
    sessions: Sessions,
    connections: sse::Connections,
    replays: Arc<Replays>,
    asking: Asking,
    signature: Arc<Signature>,
}

impl HttpService {
    /// Ends standing streams and subscriptions, these with an answer, and connections of HTTP+SSE
    /// once their calls have theirs. Calls go on, and new ones are served; new streams end at once.
    /// For the end of a server: there is no way back.
    pub fn drain(&self) {
        self.shared.drain.cancel();
    }

    /// How many sessions there are, and how many came back.
    pub fn sessions(&self) -> SessionCounts {
        self.shared.sessions.counts()
    }

    /// Ends every session here: cancels its calls, ends its streams, and closes what was opened
    /// for it upstream. New ones can still be opened, and whoever has the same
    /// [keys](super::HttpParams::seals) serves the old ones on; what their ids carry is left open
    /// for them. Safe to drop; what was not closed then stays open.
    pub async fn close(&self) {
        let sessions = self.shared.sessions.take_all();
        let shared_keys = self.shared.params.seals.is_some();
        let closing = sessions.iter().map(|peer| async move {
            match shared_keys {
                true => peer.suspend().await,
                false => peer.close().await,
            }
        });
        futures::future::join(
            futures::future::join_all(closing),
            self.shared.connections.close_all(),
        )
        .await;
    }
}

impl fmt::Debug for HttpService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpService")
            .field("params", &self.shared.params)
            .finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for HttpService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let local = request.extensions().get().copied();
        self.serve(request, Caller::on(local))
    }
}

impl HttpService {
    /// Serves a request of `caller`.
    pub(super) fn serve<B>(
        &self,
        request: Request<B>,
        caller: Caller,
    ) -> BoxFuture<'static, Result<Response<Body>, Infallible>>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        // Put together without a future of its own: what is awaited is moved as a whole.
        let answer = AssertUnwindSafe(answer(self.shared.clone(), request, caller));
        let answered = answer.catch_unwind().map(|answer| {
            Ok(answer.unwrap_or_else(|_| {
                tracing::error!("a handler panicked; its request gets an error");
                reply::refused(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
            }))
        });
        Box::pin(answered)
    }
}

async fn answer<B>(shared: Arc<Shared>, request: Request<B>, caller: Caller) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (head, body) = request.into_parts();
    let page = shared
        .params
        .pages
        .iter()
        .find(|p| p.path == head.uri.path());
    let check_host = page.is_none_or(|p| p.check_host);
    let front = Front::new(&head, &caller);
    let origin = match shared.gate.admit(&front, check_host) {
        Ok(origin) => origin,
        Err(refusal) => return *refusal,
    };
    let mut answer = match (page, head.method == Method::OPTIONS) {
        (_, true) => gate::preflight(origin.as_ref()),
        (Some(page), _) => self::page(&shared, page, &head),
        (None, _) if is_message(&head) => {
            let answer = post::post(&shared, &front, body).await;
            answer.unwrap_or_else(|refusal| *refusal)
        }
        // Boxed, as nothing that is rare may make the future of every call larger.
        (None, _) => Box::pin(route(&shared, &front, body)).await,
    };
    if let Some(origin) = origin {
        gate::share(&mut answer, origin);
    }
    answer
}

fn page(shared: &Shared, page: &Page, head: &Parts) -> Response<Body> {
    match head.method {
        Method::GET => (page.get)(head).map(Body::from),
        Method::HEAD => (page.get)(head).map(|_| Body::empty()),
        // Some clients are given the address of the router without the path.
        _ => {
            let text = format!(
                "this is a page to read; MCP is served at /mcp{}; docs/ in the router's source \
                 tells the rest",
                pages_to_read(shared)
            );
            reply::elsewhere("GET, HEAD", &text)
        }
    }
}

/// Tells whoever is lost where there is something.
fn nothing_here(shared: &Shared) -> Response<Body> {
    let text = format!("nothing here; MCP is at /mcp{}", pages_to_read(shared));
    reply::refused(StatusCode::NOT_FOUND, &text)
}

/// Where people find something, to be appended to where clients do.
fn pages_to_read(shared: &Shared) -> String {
    let pages = shared.params.pages.iter().map(|page| page.path.as_str());
    // What a page loads for itself is of no use to people.
    let own = |path: &&str| path.trim_start_matches('/').contains('/');
    let pages: Vec<_> = pages.filter(|path| !own(path)).collect();
    match pages.as_slice() {
        [] => String::new(),
        pages => format!(", pages to read are {}", pages.join(", ")),
    }
}

/// The path of a request. Clients write the same URL with and without the slash.
fn path(head: &Parts) -> &str {
    let path = head.uri.path();
    path.strip_suffix('/').unwrap_or(path)
}

/// Whether a message is posted, as nearly all requests do.
fn is_message(head: &Parts) -> bool {
    head.method == Method::POST && path(head) == MCP
}

/// Everything else.
async fn route<B>(shared: &Arc<Shared>, front: &Front<'_>, body: B) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    match (path(front.head), &front.head.method) {
        (MCP, &Method::GET) => standing::get(shared, front),
        (MCP, &Method::DELETE) => standing::delete(shared, front),
        (MCP, _) => reply::not_allowed("POST, GET, DELETE"),
        (SSE, &Method::GET) => sse::open(shared, front),
        (SSE, _) => reply::not_allowed("GET"),
        (SSE_POST, &Method::POST) => sse::post(shared, front, body).await,
        (SSE_POST, _) => reply::not_allowed("POST"),
        _ => nothing_here(shared),
    }
}

impl Shared {
    fn principal(head: &Parts) -> Principal {
        head.extensions.get().cloned().unwrap_or_default()
    }
}

/// The value of `Retry-After` for what the router refuses because it is full, in seconds.
const RETRY_AFTER: header::HeaderValue = header::HeaderValue::from_static("1");

#[cfg(test)]
mod tests;
