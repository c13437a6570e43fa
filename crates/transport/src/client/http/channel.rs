//! An HTTP+SSE conversation (2024-11-05): one stream brings everything, each message out is a POST.
//!
//! The stream's first event names the URL for the POSTs. Followed to another origin, it would
//! carry our credentials there.

use std::sync::{Arc, OnceLock, Weak};

use http::{HeaderMap, Uri};
use mcp_router_protocol::Revision;
use mcp_router_service::{BackendInfo, CallError, McpRequest, McpResponse, Outcome, Reason, Sent};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::edge::{Edge, Failed};
use super::messages::Messages;
use super::traced::name_span;
use super::{silence, url};
use crate::client::asks::Asks;
use crate::client::dialect::{Answer, Asked, Dialect, protocol_error};
use crate::client::handshake;
use crate::client::info::described;
use crate::client::mux::Mux;
use crate::client::owner::Owner;
use crate::client::rope::Rope;
use crate::client::subscribe::Subscribed;

/// The name of the transport, for people.
const TRANSPORT: &str = "sse";

/// One stream and its POST URL. When the stream ends, so does the conversation.
#[derive(Debug)]
pub(super) struct Channel {
    url: Uri,
    endpoint: Uri,
    mux: Arc<Mux>,
    dialect: OnceLock<Dialect>,
    /// Cancelled when the stream has ended.
    lost: CancellationToken,
    /// Ends the stream.
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
    subscribed: Arc<Subscribed>,
}

impl Channel {
    /// Opens a stream at `url` and the conversation on it.
    ///
    /// # Errors
    /// If `url` speaks no HTTP+SSE, or names a POST URL elsewhere.
    pub(super) async fn open(
        edge: &Arc<Edge>,
        url: &Uri,
        owner: Owner,
    ) -> Result<(Arc<Self>, BackendInfo), Failed> {
        let late = || CallError::new(Reason::Timeout, Sent::No).detail("no `endpoint` event");
        let opening = timeout(edge.params.handshake_timeout, open_stream(edge, url));
        let (messages, endpoint) = opening.await.unwrap_or_else(|_| Err(late().into()))?;
        let channel = Self::start(edge, url, endpoint, &owner, messages);
        let id = edge.next_id();
        let initialize = handshake::initialize(id, &owner.declared, &owner.info);
        let asking = timeout(
            edge.params.handshake_timeout,
            channel.ask(edge, id, initialize),
        );
        let late = || CallError::new(Reason::Timeout, Sent::No).detail("at `initialize`");
        let answer = asking.await.unwrap_or_else(|_| Err(late()))?;
        let (revision, info) = handshake::read_initialize(answer, TRANSPORT)?;
        let dialect = Dialect::new(revision, edge.identity.clone());
        channel.mux.asks().speak(revision, None);
        channel.dialect.get_or_init(|| dialect);
        channel.tell(edge, handshake::initialized()).await?;
        Ok((channel, info))
    }

    fn start(
        edge: &Arc<Edge>,
        url: &Uri,
        endpoint: Uri,
        owner: &Owner,
        messages: Messages,
    ) -> Arc<Self> {
        let (stop, lost) = (CancellationToken::new(), CancellationToken::new());
        let weak_edge = Arc::downgrade(edge);
        let channel = Arc::new_cyclic(|channel: &Weak<Self>| {
            let channel = channel.clone();
            let answer = move |rope| {
                if let (Some(edge), Some(channel)) = (weak_edge.upgrade(), channel.upgrade()) {
                    edge.tell_aside(channel.endpoint.clone(), HeaderMap::new(), rope);
                }
            };
            let asks = Asks::new(Arc::new(answer));
            let mux = Mux::new(asks, edge.events.clone(), owner.scope.clone());
            Self {
                url: url.clone(),
                endpoint,
                mux: Arc::new(mux),
                dialect: OnceLock::new(),
                lost: lost.clone(),
                stop: stop.clone(),
                _stop_on_drop: stop.clone().drop_guard(),
                subscribed: Arc::default(),
            }
        });
        let mux = channel.mux.clone();
        tokio::spawn(async move {
            // Stopped or ended: the calls are lost either way.
            let _ = stop.run_until_cancelled(read(messages, &mux)).await;
            lost.cancel();
            mux.fail_all(Reason::BackendLost, "its stream ended");
        });
        channel
    }

    pub(super) fn url(&self) -> &Uri {
        &self.url
    }

    /// What it is subscribed to.
    pub(super) const fn subscribed(&self) -> &Arc<Subscribed> {
        &self.subscribed
    }

    pub(super) fn mux(&self) -> &Arc<Mux> {
        &self.mux
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// Resolves when the stream has ended.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Resolves when nothing comes through it any more: no call is in flight on it, and a ping
    /// gets no answer.
    pub(super) async fn silent(&self, edge: &Arc<Edge>) {
        loop {
            sleep(edge.params.quiet_after).await;
            if self.mux.in_flight() > 0 {
                continue; // calls have time limits of their own
            }
            if timeout(silence::ANSWER, self.ping(edge)).await.is_err() && self.mux.in_flight() == 0
            {
                return;
            }
        }
    }

    pub(super) fn close(&self) {
        self.stop.cancel();
    }

    fn dialect(&self, edge: &Edge) -> Dialect {
        let oldest = || Dialect::new(Revision::V2024_11_05, edge.identity.clone());
        self.dialect.get().cloned().unwrap_or_else(oldest)
    }

    /// One call.
    pub(super) async fn call(
        self: &Arc<Self>,
        edge: &Arc<Edge>,
        request: McpRequest,
    ) -> Result<McpResponse, CallError> {
        let turn = self.mux.turn(&request.context).await?;
        let permit = edge.wire.permit().await?;
        let (id, dialect) = (edge.next_id(), self.dialect(edge));
        let body = dialect.request(id, &request)?;
        let mut ticket = self.mux.open(id, Some(&request));
        ticket.keep(turn);
        if self.is_lost() {
            return Err(CallError::new(Reason::BackendLost, Sent::No));
        }
        let (gone, to) = (edge.clone(), self.endpoint.clone());
        ticket.on_leave(move |sent| {
            if !sent.abandon() {
                gone.tell_aside(to, HeaderMap::new(), handshake::cancelled(id));
            }
        });
        ticket.sent().begin();
        ticket.sent().written();
        let mut headers = HeaderMap::new();
        name_span(&mut headers, &request.context);
        if let Err(failed) = edge.tell(&self.endpoint, headers, body).await {
            ticket.forget();
            return Err(failed.error);
        }
        let response = ticket.response(dialect, Asked::of(&request)).await?;
        Ok(mcp_router_service::HoldGuard::hold(response, permit))
    }

    async fn ask(&self, edge: &Arc<Edge>, id: u64, body: Rope) -> Result<Answer, CallError> {
        let ticket = self.mux.open(id, None);
        ticket.sent().begin();
        ticket.sent().written();
        self.tell(edge, body).await?;
        ticket.answer().await
    }

    async fn tell(&self, edge: &Arc<Edge>, body: Rope) -> Result<(), CallError> {
        Ok(edge.tell(&self.endpoint, HeaderMap::new(), body).await?)
    }

    pub(super) async fn notify(
        &self,
        edge: &Arc<Edge>,
        request: &McpRequest,
    ) -> Result<McpResponse, CallError> {
        let body = self
            .dialect(edge)
            .notification(&request.method, &request.params);
        self.tell(edge, body).await?;
        Ok(McpResponse::Ready(Outcome::Accepted))
    }

    /// Whether the backend answers at all; any answer will do.
    ///
    /// # Errors
    /// If it gives none.
    pub(super) async fn ping(&self, edge: &Arc<Edge>) -> Result<(), CallError> {
        let id = edge.next_id();
        self.ask(edge, id, handshake::ping(id)).await.map(drop)
    }

    /// What a modern backend would say of itself, once this one has shown that it lives.
    pub(super) async fn describe(
        &self,
        edge: &Arc<Edge>,
        info: &BackendInfo,
    ) -> Result<McpResponse, CallError> {
        self.ping(edge).await?;
        Ok(McpResponse::complete(described(info)))
    }
}

async fn open_stream(edge: &Arc<Edge>, url: &Uri) -> Result<(Messages, Uri), Failed> {
    let mut messages = edge.get(url, HeaderMap::new()).await?;
    let first = messages.event().await?;
    let Some(event) = first.filter(|e| e.name.as_deref() == Some(b"endpoint")) else {
        return Err(protocol_error("no `endpoint` event").into());
    };
    let reference = std::str::from_utf8(&event.data).unwrap_or_default();
    let endpoint = url::resolve(url, reference).map_err(|refused| {
        let refused_to = match refused {
            url::Refused::Origin => "`endpoint` is of another origin",
            url::Refused::Syntax => "`endpoint` is no URL",
        };
        protocol_error(refused_to)
    })?;
    Ok((messages, endpoint))
}

async fn read(mut messages: Messages, mux: &Mux) {
    loop {
        match messages.next().await {
            Ok(Some(message)) => mux.dispatch(message),
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(%error, "stream of a backend broke off");
                return;
            }
        }
    }
}
