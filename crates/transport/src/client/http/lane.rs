//! Which conversation with a legacy backend a call belongs to.
//!
//! A stateful server mixes up clients that share a session with it, and one that asks its client
//! back would ask everybody. So a client with a session of its own gets one upstream, opened at
//! its first call and closed with it. The router's own requests use a shared one.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwapOption;
use futures::FutureExt;
use futures::future::join_all;
use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::json::set_members;
use mcp_router_protocol::{BackendName, RawJson};
use mcp_router_service::{
    BackendInfo, CallError, ClientProfile, McpRequest, McpResponse, Outcome, Reason, Scope, Sent,
};

use super::SessionMode;
use super::channel::Channel;
use super::edge::{Edge, Failed};
use super::session::{Owner, Session};
use super::standing;

/// One conversation, over either transport of the legacy era.
#[derive(Clone, Debug)]
pub(super) enum Lane {
    Session(Arc<Session>),
    Channel(Arc<Channel>),
}

impl Lane {
    /// Opens another conversation like this one, for one client.
    async fn open_like(&self, edge: &Arc<Edge>, owner: Owner) -> Result<Self, Failed> {
        match self {
            Self::Session(like) => {
                let (session, _) = Session::open(edge, like.url(), owner).await?;
                Ok(Self::Session(session))
            }
            Self::Channel(like) => {
                let (channel, _) = Channel::open(edge, like.url(), owner).await?;
                Ok(Self::Channel(channel))
            }
        }
    }

    pub(super) async fn call(
        &self,
        edge: &Arc<Edge>,
        request: McpRequest,
    ) -> Result<McpResponse, CallError> {
        match self {
            Self::Session(session) => session.call(edge, request).await,
            Self::Channel(channel) => channel.call(edge, request).await,
        }
    }

    async fn notify(
        &self,
        edge: &Arc<Edge>,
        request: &McpRequest,
    ) -> Result<McpResponse, CallError> {
        match self {
            Self::Session(session) => session.notify(edge, request).await,
            Self::Channel(channel) => channel.notify(edge, request).await,
        }
    }

    pub(super) async fn describe(
        &self,
        edge: &Arc<Edge>,
        info: &BackendInfo,
    ) -> Result<McpResponse, CallError> {
        match self {
            Self::Session(session) => session.describe(edge, info).await,
            Self::Channel(channel) => channel.describe(edge, info).await,
        }
    }

    /// Whether calls here have no chance any more.
    fn is_dead(&self) -> bool {
        match self {
            Self::Session(_) => false, // heals itself
            Self::Channel(channel) => channel.is_lost(),
        }
    }

    pub(super) async fn close(&self, edge: &Arc<Edge>) {
        match self {
            Self::Session(session) => session.close(edge).await,
            Self::Channel(channel) => channel.close(),
        }
    }

    fn stateful(&self) -> bool {
        match self {
            Self::Session(session) => session.has_id(),
            Self::Channel(_) => false,
        }
    }
}

/// The conversations that belong to single clients.
#[derive(Debug)]
pub(super) struct Lanes {
    /// Under what a client's session keeps its conversation with this backend.
    key: Arc<str>,
    open: Mutex<Vec<Weak<ClientLane>>>,
}

/// One client's conversation, kept in a slot of its session.
#[derive(Debug, Default)]
struct ClientLane {
    lane: ArcSwapOption<Lane>,
    opening: tokio::sync::Mutex<()>,
}

impl Lanes {
    pub(super) fn new(backend: &BackendName) -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        // Two edges, of replicas or across a reload, never share a slot.
        static EDGES: AtomicU64 = AtomicU64::new(0);
        let number = EDGES.fetch_add(1, Ordering::Relaxed);
        Self {
            key: format!("{backend}#{number}").into(),
            open: Mutex::default(),
        }
    }

    /// The conversation for `request`: its client's own, or the shared one.
    ///
    /// # Errors
    /// If the client's own cannot be opened. The request was not sent then.
    pub(super) async fn find(
        edge: &Arc<Edge>,
        shared: &Lane,
        request: &McpRequest,
    ) -> Result<Lane, CallError> {
        let Some(session) = &request.context.session else {
            return Ok(shared.clone());
        };
        let own = match edge.params.session {
            SessionMode::Shared => false,
            SessionMode::PerClient => true,
            SessionMode::Auto => shared.stateful(),
        };
        if !own {
            return Ok(shared.clone());
        }
        let client = session.slot(&edge.lanes.key, ClientLane::default);
        let alive = |lane: &Arc<Lane>| !lane.is_dead();
        if let Some(lane) = client.lane.load_full().filter(alive) {
            return Ok(Lane::clone(&lane));
        }
        let _only_one = client.opening.lock().await;
        if let Some(lane) = client.lane.load_full().filter(alive) {
            return Ok(Lane::clone(&lane));
        }
        let owner = Owner {
            declared: declared(session.client()),
            info: session
                .client()
                .info
                .clone()
                .unwrap_or_else(|| edge.identity.clone()),
            scope: Scope::Session(session.clone()),
        };
        let lane = shared
            .open_like(edge, owner)
            .await
            .map_err(|failed| CallError {
                sent: Sent::No,
                ..failed.error
            })?;
        let first = client.lane.swap(Some(Arc::new(lane.clone()))).is_none();
        if first && !edge.lanes.keep(edge, session, &client) {
            lane.close(edge).await;
            return Err(CallError::new(Reason::Draining, Sent::No).detail("session closed"));
        }
        standing::attend(edge, &lane, session);
        Ok(lane)
    }

    /// Sees to it that a client's conversation is closed: with its session, or with the edge.
    fn keep(
        &self,
        edge: &Arc<Edge>,
        session: &mcp_router_service::Session,
        client: &Arc<ClientLane>,
    ) -> bool {
        {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.retain(|lane| lane.strong_count() > 0);
            open.push(Arc::downgrade(client));
        }
        let (edge, client) = (edge.clone(), client.clone());
        let close = move || {
            async move {
                if let Some(lane) = client.lane.swap(None) {
                    lane.close(&edge).await;
                }
            }
            .boxed()
        };
        session.on_close(close).is_ok()
    }

    /// Closes every client's conversation, all at once.
    pub(super) async fn close_all(&self, edge: &Arc<Edge>) {
        let open = std::mem::take(&mut *self.open.lock().unwrap_or_else(PoisonError::into_inner));
        let lanes = open
            .iter()
            .filter_map(|client| client.upgrade()?.lane.swap(None));
        let lanes: Vec<_> = lanes.collect();
        join_all(lanes.iter().map(|lane| lane.close(edge))).await;
    }
}

/// A client's message without an answer: only its own conversation is told.
pub(super) async fn notify(
    edge: &Arc<Edge>,
    shared: &Lane,
    request: &McpRequest,
) -> Result<McpResponse, CallError> {
    let lane = Lanes::find(edge, shared, request).await?;
    let own = match (&lane, shared) {
        (Lane::Session(a), Lane::Session(b)) => !Arc::ptr_eq(a, b),
        (Lane::Channel(a), Lane::Channel(b)) => !Arc::ptr_eq(a, b),
        _ => true,
    };
    if own {
        return lane.notify(edge, request).await;
    }
    dropped::count_of(Dropped::ClientNotificationShared, &request.method);
    Ok(McpResponse::Ready(Outcome::Accepted))
}

/// What of a client's capabilities a legacy backend is told: those whose requests can be brought
/// to the client.
fn declared(client: &Arc<ClientProfile>) -> RawJson {
    let none = RawJson::from_static("{}");
    let Some(all) = &client.capabilities else {
        return none;
    };
    let kept: Vec<_> = ["sampling", "elicitation", "roots"]
        .into_iter()
        .filter_map(|name| Some((name, all.get(name)?)))
        .collect();
    let kept: Vec<(&str, Option<&[u8]>)> = kept
        .iter()
        .map(|(name, value)| (*name, Some(&value.bytes()[..])))
        .collect();
    set_members(&none, &kept).unwrap_or(none)
}
