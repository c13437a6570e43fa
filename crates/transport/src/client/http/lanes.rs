//! Which conversation with a legacy backend a call belongs to.
//!
//! What a client can be asked is told once, when a conversation opens, and a stateful server mixes
//! up clients that share one; one that asks its client back would ask everybody. So there are
//! several conversations, each opened when it is first needed:
//!
//! | lane | for whom | declares |
//! |---|---|---|
//! | catalogue | the router's own questions; everybody, if the backend cannot tell conversations apart | everything |
//! | shared | clients that cannot be asked for anything | nothing |
//! | interactive | the clients of one principal that can be asked for the same | that |
//! | own | one client session | what that client did |

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures::FutureExt;
use futures::future::join_all;
use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::{BackendName, ItemKind, Method};
use mcp_router_service::{CallError, McpRequest, McpResponse, Outcome, Reason, Sent, Session};

use super::SessionMode;
use super::carried;
use super::edge::Edge;
use super::lane::Lane;
use super::pool::Pool;
use super::standing;
use crate::client::owner::Owner;

/// The conversations beside the router's own.
#[derive(Debug)]
pub(super) struct Lanes {
    /// Under what a client's session keeps its conversation with this backend.
    key: Arc<str>,
    /// Those that belong to single clients, by number, until their sessions end.
    open: Mutex<HashMap<u64, Arc<Place>>>,
    numbers: AtomicU64,
    /// Those that belong to many.
    pub(super) pool: Pool,
}

/// Where one conversation is kept.
#[derive(Debug, Default)]
pub(super) struct Place {
    lane: ArcSwapOption<Lane>,
    opening: tokio::sync::Mutex<()>,
}

impl Place {
    /// The conversation here, opened by `open` if there is none that serves as `like`.
    ///
    /// # Errors
    /// Those of `open`.
    pub(super) async fn lane<F>(
        &self,
        edge: &Arc<Edge>,
        like: &Lane,
        open: impl FnOnce() -> F,
    ) -> Result<Lane, CallError>
    where
        F: Future<Output = Result<Lane, CallError>>,
    {
        let alive = |lane: &Arc<Lane>| lane.serves_as(like);
        if let Some(lane) = self.lane.load_full().filter(alive) {
            return Ok(Lane::clone(&lane));
        }
        let _only_one = self.opening.lock().await;
        if let Some(lane) = self.lane.load_full().filter(alive) {
            return Ok(Lane::clone(&lane));
        }
        let lane = open().await?;
        if let Some(old) = self.lane.swap(Some(Arc::new(lane.clone()))) {
            let edge = edge.clone();
            tokio::spawn(async move { old.close(&edge).await });
        }
        Ok(lane)
    }

    pub(super) fn get(&self) -> Option<Arc<Lane>> {
        self.lane.load_full()
    }

    /// Closes what is here, if anything.
    pub(super) async fn close(&self, edge: &Arc<Edge>) {
        if let Some(lane) = self.lane.swap(None) {
            lane.close(edge).await;
        }
    }
}

impl Lanes {
    pub(super) fn new(backend: &BackendName) -> Self {
        // Two edges, of replicas or across a reload, never share a slot.
        static EDGES: AtomicU64 = AtomicU64::new(0);
        let number = EDGES.fetch_add(1, Ordering::Relaxed);
        Self {
            key: format!("{backend}#{number}").into(),
            open: Mutex::default(),
            numbers: AtomicU64::new(0),
            pool: Pool::default(),
        }
    }

    /// The conversation for `request`, where `catalogue` is the router's own.
    ///
    /// # Errors
    /// If another one is needed and cannot be opened. The request was not sent then.
    pub(super) async fn find(
        edge: &Arc<Edge>,
        catalogue: &Lane,
        request: &McpRequest,
    ) -> Result<Lane, CallError> {
        let session = request.context.session.as_ref();
        match (edge.params.session, session) {
            (SessionMode::Shared, _) => return Ok(catalogue.clone()),
            (SessionMode::PerClient, Some(session)) => {
                return Self::own(edge, catalogue, session).await;
            }
            _ if !catalogue.stateful() => return Ok(catalogue.clone()),
            (SessionMode::Auto, Some(session)) => {
                return Self::own(edge, catalogue, session).await;
            }
            (SessionMode::Auto | SessionMode::PerClient, None) => {}
        }
        if is_the_routers(&request.method) {
            return Ok(catalogue.clone());
        }
        edge.lanes
            .pool
            .find(edge, catalogue, &request.context)
            .await
    }

    /// The conversation for `request`, if it is there already and goes on.
    pub(super) fn at_once(
        edge: &Arc<Edge>,
        catalogue: &Lane,
        request: &McpRequest,
    ) -> Option<Lane> {
        let session = request.context.session.as_ref();
        let lane = Self::existing(edge, catalogue, request)?;
        let goes_on = lane.serves_as(catalogue) && !session.is_some_and(Session::is_closed);
        goes_on.then_some(lane)
    }

    /// The conversation for `request`, if it is there already.
    pub(super) fn existing(
        edge: &Arc<Edge>,
        catalogue: &Lane,
        request: &McpRequest,
    ) -> Option<Lane> {
        let own = |session: &Session| {
            let place = session.slot(&edge.lanes.key, Place::default);
            place.get().map(|lane| Lane::clone(&lane))
        };
        match (edge.params.session, &request.context.session) {
            (SessionMode::Shared, _) => Some(catalogue.clone()),
            (SessionMode::PerClient, Some(session)) => own(session),
            _ if !catalogue.stateful() => Some(catalogue.clone()),
            (_, session) => own(session.as_ref()?),
        }
    }

    /// Whether a client has a conversation of its own here.
    pub(super) fn has(&self, session: &Session) -> bool {
        session.slot(&self.key, Place::default).get().is_some()
    }

    /// A client's own conversation.
    ///
    /// # Errors
    /// If it cannot be opened. Nothing was sent then.
    pub(super) async fn own(
        edge: &Arc<Edge>,
        catalogue: &Lane,
        session: &Session,
    ) -> Result<Lane, CallError> {
        let place = session.slot(&edge.lanes.key, Place::default);
        let open = || async {
            let first = place.get().is_none();
            let lane = carried::open(edge, catalogue, session, first).await?;
            if first && !edge.lanes.keep(edge, session, &place) {
                lane.close(edge).await;
                return Err(CallError::new(Reason::Draining, Sent::No).detail("session closed"));
            }
            Ok(lane)
        };
        let lane = place.lane(edge, catalogue, open).await?;
        if session.is_closed() {
            // Its closing may have come before there was anything to close.
            place.close(edge).await;
        }
        Ok(lane)
    }

    /// Sees to it that a client's conversation is closed: with its session, or with the edge.
    fn keep(&self, edge: &Arc<Edge>, session: &Session, place: &Arc<Place>) -> bool {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        self.places().insert(number, place.clone());
        // An edge that has ended meanwhile has closed everything, and is not to be kept for this.
        let (edge, place) = (Arc::downgrade(edge), place.clone());
        let close = move || {
            let close = async move {
                if let Some(edge) = edge.upgrade() {
                    edge.lanes.places().remove(&number);
                    place.close(&edge).await;
                }
            };
            close.boxed()
        };
        let kept = session.on_close(close).is_ok();
        if !kept {
            self.places().remove(&number);
        }
        kept
    }

    /// How many clients have a conversation of their own.
    #[cfg(test)]
    pub(super) fn own_count(&self) -> usize {
        self.places().len()
    }

    fn places(&self) -> MutexGuard<'_, HashMap<u64, Arc<Place>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes every conversation, all at once.
    pub(super) async fn close_all(&self, edge: &Arc<Edge>) {
        let open = std::mem::take(&mut *self.places());
        let own = join_all(open.values().map(|place| place.close(edge)));
        tokio::join!(own, self.pool.close_all(edge));
    }

    /// Closes for ever what nobody has used for long.
    pub(super) async fn tidy(&self, edge: &Arc<Edge>, every: Duration) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(every).await;
            self.pool.close_idle(edge).await;
        }
    }
}

/// Another conversation like `like`, attended as long as it lasts.
///
/// # Errors
/// If the backend does not greet. The call that wanted it was not sent then.
pub(super) async fn open(edge: &Arc<Edge>, like: &Lane, owner: Owner) -> Result<Lane, CallError> {
    let can_be_asked = owner.may_ask();
    let opened = like.open_like(edge, owner).await;
    let lane = opened.map_err(|failed| CallError {
        sent: Sent::No,
        ..failed.error
    })?;
    standing::attend(edge, &lane, can_be_asked).await;
    Ok(lane)
}

/// A client's message without an answer: only its own conversation is told, if there is one. One
/// that is opened later knows it from the start.
///
/// # Errors
/// If the backend does not take it.
pub(super) async fn notify(
    edge: &Arc<Edge>,
    catalogue: &Lane,
    request: &McpRequest,
) -> Result<McpResponse, CallError> {
    let lane = Lanes::existing(edge, catalogue, request);
    match lane.filter(|lane| lane.mux().is_of_one()) {
        Some(lane) => lane.notify(edge, request).await,
        None => {
            dropped::count_of(Dropped::ClientNotificationShared, &request.method);
            Ok(McpResponse::Ready(Outcome::Accepted))
        }
    }
}

/// Whether only the router itself asks this of a backend.
fn is_the_routers(method: &Method) -> bool {
    ItemKind::of_list_method(method).is_some()
        || matches!(
            method,
            Method::Discover | Method::ResourcesSubscribe | Method::ResourcesUnsubscribe
        )
}
