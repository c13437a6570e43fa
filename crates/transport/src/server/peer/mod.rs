//! A legacy client, from its `initialize` to the end of its session.
//!
//! A session is more than an id: calls run in it and may be cancelled, backends ask the client
//! things in it, and messages wait in it until the client opens a stream to read them.

mod asks;
mod calls;
mod standing;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use mcp_router_protocol::{ErrorObject, Method, RawJson, RawParams, RequestId, Revision};
use mcp_router_service::{
    ClientProfile, McpRequest, McpResponse, McpService, Principal, RequestContext, ResponseStream,
    Session, SessionId,
};
use tokio::time::timeout;
use tower::ServiceExt;

pub(crate) use asks::{Asking, Asks};
pub(crate) use calls::{Calls, Cancellation, Ticket};
use standing::Standing;
pub(crate) use standing::StandingStream;

use super::dialect::legacy;

/// How long backends may take to be told of a session that ends, or goes on here.
const DETACH: Duration = Duration::from_secs(5);

/// What is agreed by `initialize`.
#[derive(Clone, Debug)]
pub(crate) struct Hello {
    pub(crate) revision: Revision,
    pub(crate) client: Arc<ClientProfile>,
}

/// One legacy client.
#[derive(Debug)]
pub(crate) struct Peer {
    session: Session,
    principal: Principal,
    revision: Revision,
    calls: Calls,
    asks: Asks,
    standing: Standing,
    streams: AtomicUsize,
}

impl Peer {
    /// Serves `initialize`: opens the session, and answers what the client is to be told.
    ///
    /// # Errors
    /// What to answer instead; then there is no session.
    pub(crate) async fn open(
        router: &McpService,
        id: SessionId,
        params: &RawParams,
        principal: Principal,
        asking: Asking,
    ) -> Result<(Arc<Self>, RawJson), ErrorObject> {
        let hello = legacy::hello(params)?;
        let (session, outbox) = Session::open(id, hello.client.clone());
        let context = context(&session, &hello.client, &principal);
        let answer = legacy::welcome(router.clone(), hello.revision, context.clone()).await?;
        let news = listen(router.clone(), context).await;
        let standing = Standing::new(outbox, Some(news));
        let peer = Self::new(session, hello.revision, principal, standing, asking);
        Ok((Arc::new(peer), answer))
    }

    /// A session that was opened before, by this process or another. News are listened for once
    /// the client opens a stream for them.
    pub(crate) fn revive(
        router: &McpService,
        id: SessionId,
        hello: Hello,
        principal: Principal,
        asking: Asking,
    ) -> Arc<Self> {
        let (session, outbox) = Session::open(id, hello.client.clone());
        session.set_revived();
        let context = context(&session, &hello.client, &principal);
        let news = stream::once(begin_again(router.clone(), context)).flatten();
        let standing = Standing::new(outbox, Some(ResponseStream::new(news)));
        let peer = Self::new(session, hello.revision, principal, standing, asking);
        Arc::new(peer)
    }

    fn new(
        session: Session,
        revision: Revision,
        principal: Principal,
        standing: Standing,
        asking: Asking,
    ) -> Self {
        let serial = session.id().clone();
        Self {
            session,
            principal,
            revision,
            calls: Calls::default(),
            asks: Asks::new(asking, serial),
            standing,
            streams: AtomicUsize::new(0),
        }
    }

    pub(crate) fn hello(&self) -> Hello {
        Hello {
            revision: self.revision,
            client: self.session.client().clone(),
        }
    }

    pub(crate) const fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) const fn principal(&self) -> &Principal {
        &self.principal
    }

    pub(crate) const fn revision(&self) -> Revision {
        self.revision
    }

    pub(crate) const fn calls(&self) -> &Calls {
        &self.calls
    }

    pub(crate) const fn asks(&self) -> &Asks {
        &self.asks
    }

    /// Takes a client's response; a request to the router, if it has to be brought to a backend
    /// from here.
    pub(crate) fn answered(
        &self,
        id: Option<&RequestId>,
        answer: Result<RawJson, ErrorObject>,
    ) -> Option<McpRequest> {
        let (origin, answer) = self.asks.answer(id, answer)?;
        Some(origin.answered(answer, self.context(false)))
    }

    /// The context of a request in this session.
    pub(crate) fn context(&self, wants_progress: bool) -> RequestContext {
        let mut context = context(&self.session, self.session.client(), &self.principal);
        context.wants_progress = wants_progress;
        context
    }

    /// A stream of everything that belongs to no call. Of several, the newest gets the messages
    /// (R25). `None`: the session has `limit` of them already.
    pub(crate) fn stand(self: &Arc<Self>, limit: usize) -> Option<StandingStream> {
        let taken = self
            .streams
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| {
                (n < limit).then_some(n + 1)
            });
        taken.ok()?;
        Some(StandingStream::new(self.clone()))
    }

    /// Whether anything goes on in the session.
    pub(crate) fn is_busy(&self) -> bool {
        self.streams.load(Ordering::Acquire) > 0 || !self.calls.is_empty()
    }

    /// Ends the session: cancels its calls, ends its streams, closes what was opened upstream.
    pub(crate) async fn close(&self) {
        self.stop();
        self.session.close().await;
    }

    /// Ends the session for good, also where its id carries it and nobody here has been.
    pub(crate) async fn finish(&self, router: McpService) {
        self.stop();
        if self.session.carries_any() {
            let request = internal(Method::Detach, self.context(false));
            let told = timeout(DETACH, router.oneshot(request)).await;
            if !matches!(told, Ok(Ok(_))) {
                tracing::info!("not every upstream session was closed at once");
            }
        }
        self.session.close().await;
    }

    /// Ends the session here alone: it may come back, and what its id carries lives on.
    pub(crate) async fn suspend(&self) {
        self.stop();
        self.session.suspend().await;
    }

    fn stop(&self) {
        self.calls.cancel_all();
        self.asks.clear();
        self.standing.end();
    }
}

fn context(
    session: &Session,
    client: &Arc<ClientProfile>,
    principal: &Principal,
) -> RequestContext {
    RequestContext {
        principal: principal.clone(),
        session: Some(session.clone()),
        ..RequestContext::new(client.clone())
    }
}

/// What the router's own parts say to each other about a session.
pub(crate) fn internal(method: Method, context: RequestContext) -> McpRequest {
    McpRequest {
        method,
        params: RawParams::default(),
        context: context.into(),
    }
}

/// Listens for a session that was begun elsewhere. What it has upstream tells its news to whoever
/// goes on with it, so that is gone on with now, before the client's first call.
async fn begin_again(router: McpService, context: RequestContext) -> ResponseStream {
    let carries = context.session.as_ref().is_some_and(Session::carries_any);
    if carries {
        let attach = internal(Method::Attach, context.clone());
        tokio::spawn(timeout(DETACH, router.clone().oneshot(attach)));
    }
    listen(router, context).await
}

/// Legacy clients hear of every kind of change; the stream remembers what it told of, so nothing
/// is lost while the client has no stream open.
async fn listen(router: McpService, context: RequestContext) -> ResponseStream {
    let filter = bytes::Bytes::from_static(
        br#"{"notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true}}"#,
    );
    let request = McpRequest {
        method: Method::Listen,
        params: RawParams::parse(Some(filter)).unwrap_or_default(),
        context: context.into(),
    };
    match router.oneshot(request).await {
        Ok(McpResponse::Stream(stream)) => stream,
        _ => {
            tracing::warn!("the router offers no change stream: this client hears of none");
            ResponseStream::new(stream::pending())
        }
    }
}
