//! A client on one connection that carries everything: stdio, and HTTP+SSE of 2024-11-05.
//!
//! Messages of both eras come one after the other and are served side by side; what the client
//! gets goes into one bounded queue that the transport writes from. A client that does not read
//! holds up its own calls, and nothing else.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::params::meta;
use mcp_router_protocol::{
    EnvelopeError, ErrorObject, Message, Method, RawJson, RawParams, RequestId, code,
};
use mcp_router_service::{CallError, McpRequest, McpService, Principal, Reason, Sent, SessionId};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::call::{Head, Hold, Replies, start};
use super::dialect::{Exchange, Signature, Voice, Wire, legacy, modern, progress_token};
use super::peer::{Asking, Calls, Peer};

/// Messages that wait for the transport to write them.
pub(crate) const QUEUE: usize = 64;

/// What a connection is made with.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) session: SessionId,
    pub(crate) principal: Principal,
    pub(crate) in_flight: Arc<Semaphore>,
    pub(crate) batch: usize,
    pub(crate) ask: Duration,
    pub(crate) signature: Arc<Signature>,
}

/// One client's connection. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Connection(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    router: McpService,
    setup: Setup,
    /// The legacy client, once it said hello.
    peer: OnceLock<Arc<Peer>>,
    calls: Calls,
    out: mpsc::Sender<Wire>,
    tasks: TaskTracker,
    /// Ends subscriptions, with an answer.
    stop: CancellationToken,
    /// Ends everything, at once.
    kill: CancellationToken,
    /// The router drains, or the session was closed.
    ended: CancellationToken,
}

impl Connection {
    /// A connection, and the messages to write for it.
    pub(crate) fn new(router: McpService, setup: Setup) -> (Self, mpsc::Receiver<Wire>) {
        let (out, queue) = mpsc::channel(QUEUE);
        let inner = Inner {
            router,
            setup,
            peer: OnceLock::new(),
            calls: Calls::default(),
            out,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            kill: CancellationToken::new(),
            ended: CancellationToken::new(),
        };
        (Self(Arc::new(inner)), queue)
    }

    /// Takes one message, or one batch where the revision has them (R11). Resolves when the next
    /// may be taken; the call itself goes on.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub(crate) async fn take(&self, text: Bytes) -> Result<(), EnvelopeError> {
        let batches = |p: &Arc<Peer>| p.revision().allows_batches();
        if !Message::is_batch(&text) || !self.0.peer.get().is_some_and(batches) {
            return self.message(Message::parse(&text)?, false).await;
        }
        for text in Message::split_batch(&text, self.0.setup.batch)? {
            let taken = match Message::parse(&text) {
                Ok(message) => self.message(message, true).await,
                Err(error) => Err(error),
            };
            if let Err(error) = taken {
                self.refuse(&error).await;
            }
        }
        Ok(())
    }

    /// Answers a message that was not accepted.
    pub(crate) async fn refuse(&self, error: &EnvelopeError) {
        self.say(Wire::error(error.id.as_ref(), &error.error_object()))
            .await;
    }

    async fn message(&self, message: Message, in_batch: bool) -> Result<(), EnvelopeError> {
        match message {
            Message::Request { id, method, params } => {
                if in_batch && method == Method::Initialize {
                    let text = "`initialize` cannot be part of a batch";
                    return Err(EnvelopeError::invalid(text));
                }
                self.request(id, method, params).await
            }
            Message::Notification { method, params } => {
                self.notification(method, params);
                Ok(())
            }
            Message::Response { id, answer } => {
                match self.0.peer.get() {
                    // Nobody else ever asks in this session.
                    Some(peer) => drop(peer.asks().answer(id.as_ref(), answer)),
                    None => dropped::count(Dropped::ClientAnswerUnknown),
                }
                Ok(())
            }
        }
    }

    async fn request(
        &self,
        id: RequestId,
        method: Method,
        params: RawParams,
    ) -> Result<(), EnvelopeError> {
        let named = params.meta_value(meta::PROTOCOL_VERSION).is_some();
        let peer = self.0.peer.get();
        let prepared = match peer {
            _ if named => self.modern(method, params),
            None if modern::is_modern_only(&method) => self.modern(method, params),
            None if method == Method::Initialize => {
                let answer = self.initialize(&params).await;
                self.answer(&id, answer).await;
                return Ok(());
            }
            None if method == Method::Ping => Err(Ok(RawJson::from_static("{}"))),
            None => Err(Err(not_now("`initialize` comes first"))),
            Some(_) if method == Method::Initialize => {
                Err(Err(not_now("this connection is initialized already")))
            }
            Some(peer) => match legacy::local(peer.session(), &method, &params) {
                Some(answer) => Err(answer),
                None => Ok((
                    legacy_request(peer, method, params),
                    Voice::Legacy(peer.clone()),
                )),
            },
        };
        match prepared {
            Ok((request, voice)) => self.call(id, request, voice).await,
            Err(answer) => {
                self.answer(&id, answer).await;
                Ok(())
            }
        }
    }

    fn modern(
        &self,
        method: Method,
        params: RawParams,
    ) -> Result<(McpRequest, Voice), Result<RawJson, ErrorObject>> {
        let principal = self.0.setup.principal.clone();
        let request = modern::accept(method, params, None, principal).map_err(Err)?;
        Ok((request, Voice::Modern(self.0.setup.signature.clone())))
    }

    async fn initialize(&self, params: &RawParams) -> Result<RawJson, ErrorObject> {
        let Setup {
            session,
            principal,
            ask,
            ..
        } = self.0.setup.clone();
        let asking = Asking::here(ask);
        let (peer, answer) = Peer::open(&self.0.router, session, params, principal, asking).await?;
        if self.0.peer.set(peer.clone()).is_err() {
            // Two at once, as only HTTP can send them: the other one was faster.
            peer.close().await;
            return Err(not_now("this connection is initialized already"));
        }
        if let Some(mut standing) = peer.stand(1) {
            let this = self.clone();
            tokio::spawn(self.0.kill.clone().run_until_cancelled_owned(async move {
                while let Some(wire) = standing.next().await {
                    this.say(wire).await;
                }
                this.0.ended.cancel();
            }));
        }
        Ok(answer)
    }

    /// Starts a call. Its answer comes when it comes.
    async fn call(
        &self,
        id: RequestId,
        request: McpRequest,
        voice: Voice,
    ) -> Result<(), EnvelopeError> {
        let Some(ticket) = self.0.calls.enter(&id) else {
            // An error under this id would end the call that has it (B8).
            let text = "a request with this id is in flight";
            return Err(EnvelopeError::invalid(text));
        };
        let exchange = Exchange::new(id, &request, voice, self.0.setup.ask);
        let Ok(permit) = self.0.setup.in_flight.clone().try_acquire_owned() else {
            let error = CallError::new(Reason::Overloaded, Sent::No);
            self.say(exchange.failure(error)).await;
            return Ok(());
        };
        let hold = Hold {
            ticket: Some(ticket),
            permits: [Some(permit), None],
        };
        let this = self.clone();
        let kill = self.0.kill.clone();
        let run = async move {
            match start(this.0.router.clone(), request, exchange, hold).await {
                Head::Silent => {}
                Head::Answer(wire) => this.say(wire).await,
                Head::Stream(replies) => this.pass_on(*replies).await,
            }
        };
        self.0.tasks.spawn(kill.run_until_cancelled_owned(run));
        Ok(())
    }

    async fn pass_on(&self, mut replies: Replies) {
        let listening = replies.exchange().is_listen();
        loop {
            let next = tokio::select! {
                biased;
                next = replies.next() => next,
                () = self.0.stop.cancelled(), if listening => break,
            };
            match next {
                Some(wire) => self.say(wire).await,
                None => return,
            }
            if listening && replies.is_done() {
                let id = replies.exchange().id();
                return self.say(modern::cancelled(id)).await;
            }
        }
        let id = replies.exchange().id().clone();
        drop(replies);
        let signature = &self.0.setup.signature;
        let end = signature.end(&id, &RawJson::from_static("{}"));
        self.say(end).await;
        // Streams have no end of their own here, so the client is told in words, too.
        self.say(modern::cancelled(&id)).await;
    }

    fn notification(&self, method: Method, params: RawParams) {
        if method == Method::Cancelled {
            return self.0.calls.cancel(&params);
        }
        let Some(peer) = self.0.peer.get() else {
            dropped::count_of(Dropped::ClientNotificationUnwanted, method);
            return;
        };
        let request = legacy_request(peer, method, params);
        let router = self.0.router.clone();
        let kill = self.0.kill.clone();
        let run = kill.run_until_cancelled_owned(notify(router, request));
        self.0.tasks.spawn(run);
    }

    async fn answer(&self, id: &RequestId, answer: Result<RawJson, ErrorObject>) {
        self.say(match answer {
            Ok(result) => Wire::result(id, &result),
            Err(error) => Wire::error(Some(id), &error),
        })
        .await;
    }

    async fn say(&self, wire: Wire) {
        if self.0.out.send(wire).await.is_err() {
            dropped::count(Dropped::ClientGone);
        }
    }

    /// Resolves when the router drains.
    pub(crate) async fn ended(&self) {
        self.0.ended.cancelled().await;
    }

    /// Resolves when no call is in flight. Subscriptions are ended with an answer.
    pub(crate) async fn idle(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Cancels everything, at once.
    pub(crate) fn kill(&self) {
        self.0.kill.cancel();
    }

    /// Cancels what is left, and closes the session.
    pub(crate) async fn close(&self) {
        self.0.kill.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        if let Some(peer) = self.0.peer.get() {
            peer.close().await;
        }
    }
}

/// Hands a client's notification to the router. Nobody waits for what becomes of it.
pub(crate) async fn notify(router: McpService, request: McpRequest) {
    if let Err(error) = router.oneshot(request).await {
        dropped::count_of(Dropped::ClientNotificationFailed, error);
    }
}

/// A request or notification in a legacy session, for the router.
pub(crate) fn legacy_request(peer: &Arc<Peer>, method: Method, params: RawParams) -> McpRequest {
    let wants_progress = progress_token(&params).is_some();
    McpRequest {
        context: peer.context(wants_progress).into(),
        method,
        params,
    }
}

fn not_now(text: &str) -> ErrorObject {
    ErrorObject::new(code::INVALID_REQUEST, text)
}
