//! An upstream session of a legacy backend over streamable HTTP.
//!
//! A server may forget a session at any time, most of all by being restarted, and then says 404
//! to everything. That proves that a request did not run, so one new session and one repetition
//! are safe (R45), once for all calls that find out at the same time. Not so where the server is
//! known to keep something for each client: there a new session would be without it, and the
//! client has to hear of that.

mod current;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use http::{HeaderMap, StatusCode, Uri};
use mcp_router_protocol::{ItemKind, Method};
use mcp_router_service::{
    BackendInfo, CallError, McpRequest, McpResponse, Outcome, Reason, Scope, Sent,
};
use tokio::sync::futures::Notified;
use tokio::sync::{Mutex, Notify, watch};
use tokio_util::sync::CancellationToken;

use super::SessionMode;
use super::edge::{Edge, Failed, SESSION_ID};
use super::exchange::{Cancel, Exchange};
use super::messages::Messages;
use super::traced::name_span;
use crate::client::asks::Asks;
use crate::client::dialect::{Asked, protocol_error};
use crate::client::handshake;
use crate::client::info::described;
use crate::client::mux::{Mux, SentMark};
use crate::client::owner::Owner;
use crate::client::respond::respond;
use crate::client::subscribe::Subscribed;
use current::{Current, initialize};
pub(super) use current::{answer, headers};

/// The name of the transport, for people.
const TRANSPORT: &str = "streamable_http";

/// A conversation with a legacy backend that outlives its upstream session ids.
#[derive(Debug)]
pub(super) struct Session {
    url: Uri,
    owner: Owner,
    current: ArcSwap<Current>,
    reopening: Mutex<()>,
    /// Calls that other streams than their own may bring something for.
    pub(super) mux: Arc<Mux>,
    /// Told when there is another upstream session.
    renewed: Notify,
    closed: CancellationToken,
    /// What it is subscribed to, and how often news of that may have been missed.
    subscribed: Arc<Subscribed>,
    gaps: watch::Sender<u64>,
    lost: AtomicBool,
}

impl Session {
    /// Opens a session at `url`.
    ///
    /// # Errors
    /// If `initialize` is not answered as a legacy backend would.
    pub(super) async fn open(
        edge: &Arc<Edge>,
        url: &Uri,
        owner: Owner,
    ) -> Result<(Arc<Self>, BackendInfo), Failed> {
        let (current, info) = initialize(edge, url, &owner).await?;
        Ok((Self::start(edge, url, owner, current), info))
    }

    /// Goes on in the session that `carried` names, which may have been opened elsewhere; `None`
    /// if that is no session's name.
    pub(super) fn resume(
        edge: &Arc<Edge>,
        url: &Uri,
        owner: Owner,
        carried: &str,
    ) -> Option<Arc<Self>> {
        let current = Current::carried(carried, edge)?;
        Some(Self::start(edge, url, owner, current))
    }

    fn start(edge: &Arc<Edge>, url: &Uri, owner: Owner, current: Current) -> Arc<Self> {
        let weak_edge = Arc::downgrade(edge);
        Arc::new_cyclic(|session: &Weak<Self>| {
            let session = session.clone();
            let answer = move |rope| {
                // Without the session nobody waits for the answer.
                if let (Some(edge), Some(session)) = (weak_edge.upgrade(), session.upgrade()) {
                    edge.tell_aside(session.url.clone(), session.headers(), rope);
                }
            };
            let asks = Asks::new(Arc::new(answer));
            asks.speak(current.dialect.revision, current.home(edge));
            let mux = Mux::new(asks, edge.events.clone(), owner.scope.clone());
            Self {
                url: url.clone(),
                owner,
                current: ArcSwap::from_pointee(current),
                reopening: Mutex::new(()),
                mux: Arc::new(mux),
                renewed: Notify::new(),
                closed: CancellationToken::new(),
                subscribed: Arc::default(),
                gaps: watch::Sender::new(0),
                lost: AtomicBool::new(false),
            }
        })
    }

    /// Ends the session that `carried` names, of which nothing else is here.
    pub(super) async fn end(edge: &Edge, url: &Uri, carried: &str) {
        if let Some(current) = Current::carried(carried, edge) {
            current.end(edge, url).await;
        }
    }

    /// What another replica needs to go on in the upstream session; `None` if it has no id.
    pub(super) fn to_carry(&self) -> Option<String> {
        self.current.load().to_text()
    }

    /// Whether the upstream session is gone for good; see [`keeps`](Self::keeps).
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Whether the backend keeps something for this one client, so that no other upstream session
    /// can take the place of this one.
    fn keeps(&self, edge: &Edge) -> bool {
        edge.params.session == SessionMode::PerClient
            && matches!(self.owner.scope, Scope::Session(_))
    }

    pub(super) fn url(&self) -> &Uri {
        &self.url
    }

    /// Cancelled once the session is closed.
    pub(super) fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    /// What it is subscribed to.
    pub(super) const fn subscribed(&self) -> &Arc<Subscribed> {
        &self.subscribed
    }

    /// Changes when the backend may have forgotten the subscriptions, or told of news in vain.
    pub(super) fn gaps(&self) -> watch::Receiver<u64> {
        self.gaps.subscribe()
    }

    /// Nothing that the backend may have told reached us for a while.
    pub(super) fn gap(&self) {
        self.gaps.send_modify(|gaps| *gaps += 1);
    }

    /// Resolves when another upstream session is opened; streams of the old one bring nothing.
    pub(super) fn renewed(&self) -> Notified<'_> {
        self.renewed.notified()
    }

    /// Whether the backend gave the session an id: it is stateful then.
    pub(super) fn has_id(&self) -> bool {
        self.current.load().id.is_some()
    }

    /// The headers that every request of the session carries.
    pub(super) fn headers(&self) -> HeaderMap {
        self.current.load().headers()
    }

    /// One call.
    pub(super) async fn call(
        self: &Arc<Self>,
        edge: &Arc<Edge>,
        request: McpRequest,
    ) -> Result<McpResponse, CallError> {
        let turn = self.mux.turn(&request.context).await?;
        let (id, mark) = (edge.next_id(), SentMark::default());
        let mut cancel = Cancel::new(edge, self, id, mark.clone());
        if !self.mux.needs_events(&request) {
            let posted = self.post(edge, &request, id, &mark).await;
            let (mut messages, current) = posted.inspect_err(|_| cancel.settled())?;
            if let Some(answer) = messages.only_answer(id) {
                cancel.settled();
                let outcome = current.dialect.outcome(&Asked::of(&request), answer)?;
                return Ok(McpResponse::Ready(outcome));
            }
            let dialect = current.dialect.clone();
            let exchange = Exchange::reading(edge, &request, id, messages, dialect);
            return Box::pin(respond(exchange.within(cancel))).await;
        }
        let posting = {
            let (session, edge, request) = (self.clone(), edge.clone(), request.clone());
            async move {
                let posted = session.post(&edge, &request, id, &mark).await;
                posted.map(|(messages, current)| (messages, current.dialect.clone()))
            }
        };
        let exchange = Exchange::posting(edge, &request, id, Box::pin(posting));
        Box::pin(respond(exchange.within(cancel).reached(&request, turn))).await
    }

    /// Posts a request, in a new session if the old one is gone.
    async fn post(
        &self,
        edge: &Arc<Edge>,
        request: &McpRequest,
        id: u64,
        mark: &SentMark,
    ) -> Result<(Messages, Arc<Current>), CallError> {
        let current = self.current.load_full();
        let permit = edge.wire.permit().await?;
        let first = self.post_in(edge, &current, request, (id, mark), permit);
        match first.await {
            Ok(messages) => Ok((messages, current)),
            Err(failed) if !current.is_gone(&failed) => Err(failed.error),
            // Large, and seldom needed.
            Err(failed) => {
                Box::pin(self.post_again(edge, &current, request, (id, mark), failed)).await
            }
        }
    }

    /// Posts a request for which the session `current` was gone in a new one, if that is safe.
    async fn post_again(
        &self,
        edge: &Arc<Edge>,
        current: &Arc<Current>,
        request: &McpRequest,
        (id, mark): (u64, &SentMark),
        failed: Failed,
    ) -> Result<(Messages, Arc<Current>), CallError> {
        let refused = failed.status == Some(StatusCode::NOT_FOUND);
        let next = self.reopen(edge, current).await.map_err(|reopening| {
            // The call itself was refused; that no new session could be had is why it stays so.
            let sent = match refused {
                true if self.is_lost() => Sent::No,
                true => Sent::RejectedUnexecuted,
                false => Sent::Unknown,
            };
            CallError {
                sent,
                ..reopening.error
            }
        })?;
        // 400 is no proof, so what may have run is not repeated.
        if !refused && request.method == Method::ToolsCall {
            return Err(failed.error);
        }
        let permit = edge.wire.permit().await?;
        let again = self.post_in(edge, &next, request, (id, mark), permit);
        let messages = again.await.map_err(|failed| {
            let refused = next.is_gone(&failed) && failed.status == Some(StatusCode::NOT_FOUND);
            CallError {
                sent: if refused {
                    Sent::RejectedUnexecuted
                } else {
                    failed.error.sent
                },
                ..failed.error
            }
        })?;
        Ok((messages, next))
    }

    async fn post_in(
        &self,
        edge: &Arc<Edge>,
        current: &Current,
        request: &McpRequest,
        (id, mark): (u64, &SentMark),
        permit: tokio::sync::OwnedSemaphorePermit,
    ) -> Result<Messages, Failed> {
        let body = current.dialect.request(id, request)?;
        mark.begin();
        let mut headers = current.posting();
        name_span(&mut headers, &request.context);
        edge.ask_with(&self.url, headers, body, id, Some(permit))
            .await
    }

    /// A new upstream session in place of `old`, unless somebody else has opened one meanwhile.
    async fn reopen(&self, edge: &Arc<Edge>, old: &Arc<Current>) -> Result<Arc<Current>, Failed> {
        let _only_one = self.reopening.lock().await;
        let current = self.current.load_full();
        if !Arc::ptr_eq(&current, old) {
            return Ok(current);
        }
        if self.keeps(edge) {
            self.lost.store(true, Ordering::Release);
            // Nothing ran, and nobody may repeat it as if nothing had happened.
            let gone = CallError::new(Reason::BackendStatus, Sent::No).status(404);
            return Err(gone.into());
        }
        let opened = initialize(edge, &self.url, &self.owner).await;
        let (next, _) = opened.inspect_err(|_| edge.link.wake())?;
        tracing::info!(backend = %edge.params.name, "upstream session was gone; opened a new one");
        let asks = self.mux.asks();
        asks.speak(next.dialect.revision, next.home(edge));
        self.current.store(Arc::new(next));
        self.mux.level().reset();
        self.renewed.notify_waiters();
        self.gap();
        // A server that forgot its sessions may have forgotten more.
        ItemKind::ALL.iter().for_each(|k| edge.events.changed(*k));
        Ok(self.current.load_full())
    }

    /// Opens a new upstream session in place of the one with these headers, unless that has been
    /// done.
    ///
    /// # Errors
    /// If none can be opened.
    pub(super) async fn renew(&self, edge: &Arc<Edge>, gone: &HeaderMap) -> Result<(), Failed> {
        let current = self.current.load_full();
        if current.id.as_ref() != gone.get(SESSION_ID) {
            return Ok(());
        }
        self.reopen(edge, &current).await.map(drop)
    }

    /// A notification of the client's.
    pub(super) async fn notify(
        &self,
        edge: &Arc<Edge>,
        request: &McpRequest,
    ) -> Result<McpResponse, CallError> {
        let current = self.current.load_full();
        let body = current
            .dialect
            .notification(&request.method, &request.params);
        edge.tell(&self.url, current.headers(), body).await?;
        Ok(McpResponse::Ready(Outcome::Accepted))
    }

    /// Whether the backend answers at all; any answer will do.
    ///
    /// # Errors
    /// If it gives none.
    pub(super) async fn ping(&self, edge: &Arc<Edge>) -> Result<(), Failed> {
        let current = self.current.load_full();
        let id = edge.next_id();
        let asked = edge.ask(&self.url, current.headers(), handshake::ping(id), id);
        let failed = match asked.await {
            Ok(messages) if messages.refused() => {
                return Err(protocol_error("no longer speaks as it did").into());
            }
            Ok(mut messages) => return Ok(messages.next().await.map(drop)?),
            Err(failed) => failed,
        };
        if current.is_gone(&failed) {
            return self.reopen(edge, &current).await.map(drop);
        }
        Err(failed)
    }

    /// What a modern backend would say of itself, once this one has shown that it lives.
    ///
    /// # Errors
    /// If it does not.
    pub(super) async fn describe(
        &self,
        edge: &Arc<Edge>,
        info: &BackendInfo,
    ) -> Result<McpResponse, CallError> {
        self.ping(edge).await?;
        Ok(McpResponse::complete(described(info)))
    }

    /// Whether the client goes on in it: elsewhere, or here once the backend's settings have changed.
    fn outlives(&self, edge: &Edge) -> bool {
        let Scope::Session(client) = &self.owner.scope else {
            return false;
        };
        let carried = || client.carried(&edge.carry_key);
        let goes_on = client.is_suspended() || !client.is_closed();
        goes_on && carried().as_deref() == self.to_carry().as_deref()
    }

    /// Tells the backend that the session is over. It need not care.
    pub(super) async fn close(&self, edge: &Arc<Edge>) {
        self.closed.cancel();
        let current = self.current.load_full();
        if current.id.is_none() || self.outlives(edge) {
            return;
        }
        current.end(edge, &self.url).await;
    }
}
