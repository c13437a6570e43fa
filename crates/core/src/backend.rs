//! A backend as the router takes it, and as it keeps it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use futures::future::BoxFuture;
use mcp_router_health::ProbeParams;
use mcp_router_layers::{Endpoint, Standing};
use mcp_router_protocol::{BackendName, Namespace, RawJson};
use mcp_router_routing::Fitness;
use mcp_router_service::{CallError, EventStream, McpRequest, McpResponse, McpService, Prober};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::{Layer, Service};

use crate::listing::Sources;
pub(crate) use crate::live::Live;
use crate::policy::Policy;
use crate::status::State;
use crate::subscriptions::Subscriptions;

pub(crate) type Closing = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

/// One backend, to be given to [`Router::builder`](crate::Router::builder).
pub struct Backend {
    pub(crate) meta: Meta,
    pub(crate) service: Option<McpService>,
    pub(crate) events: Option<EventStream>,
    pub(crate) endpoints: Vec<Endpoint>,
    /// The ways to the endpoints past every layer.
    pub(crate) sources: Vec<(Endpoint, McpService)>,
    pub(crate) probes: Vec<(Endpoint, Prober, ProbeParams)>,
    pub(crate) closing: Option<Closing>,
}

/// What never changes about a backend.
#[derive(Clone, Debug)]
pub(crate) struct Meta {
    pub(crate) name: BackendName,
    pub(crate) namespace: Option<Namespace>,
    pub(crate) priority: u32,
    pub(crate) url: String,
    pub(crate) managed: bool,
    pub(crate) registered: bool,
    pub(crate) policy: Policy,
}

impl Backend {
    /// A backend served by `service`: an edge of the transport crate, a mock, anything.
    pub fn new<S>(name: BackendName, service: S) -> Self
    where
        S: Service<McpRequest, Response = McpResponse, Error = CallError>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        Self {
            service: Some(McpService::new(service)),
            ..Self::disabled(name)
        }
    }

    /// A backend that is listed by `list_backends` and otherwise left alone.
    pub fn disabled(name: BackendName) -> Self {
        let meta = Meta {
            name,
            namespace: None,
            priority: 10,
            url: String::new(),
            managed: false,
            registered: false,
            policy: Policy::default(),
        };
        Self {
            meta,
            service: None,
            events: None,
            endpoints: Vec::new(),
            sources: Vec::new(),
            probes: Vec::new(),
            closing: None,
        }
    }

    /// The prefix of what it offers. Several backends may share one; without one, names are
    /// offered as they are.
    #[must_use]
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.meta.namespace = Some(namespace);
        self
    }

    /// Lower is tried first; ties go in the order of registration. Default 10.
    #[must_use]
    pub const fn priority(mut self, priority: u32) -> Self {
        self.meta.priority = priority;
        self
    }

    /// What the backend tells outside calls. Without a stream it is listed at once and again
    /// whenever its list gets old.
    #[must_use]
    pub fn events(mut self, events: EventStream) -> Self {
        self.events = Some(events);
        self
    }

    /// The places behind the service, the same handles that its layers have. What they know of
    /// circuits, probes and connections orders the backend among others and shows in its status.
    #[must_use]
    pub fn endpoints(mut self, endpoints: Vec<Endpoint>) -> Self {
        self.endpoints = endpoints;
        self
    }

    /// The way to one of the endpoints past every layer, by which it is listed. Without one, lists
    /// are asked for like calls, and a backend that comes back under an open circuit is not listed
    /// before that closes.
    #[must_use]
    pub fn source(mut self, endpoint: Endpoint, edge: McpService) -> Self {
        self.sources.push((endpoint, edge));
        self
    }

    /// Has one of the endpoints probed, unless `params` switch it off. A backend whose every
    /// endpoint is probed and down is down.
    #[must_use]
    pub fn probe(mut self, endpoint: Endpoint, prober: Prober, params: ProbeParams) -> Self {
        if params.enabled() {
            self.probes.push((endpoint, prober, params));
        }
        self
    }

    /// Wraps the service. Layers added later are further out.
    #[must_use]
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<McpService>,
        L::Service: Service<McpRequest, Response = McpResponse, Error = CallError>
            + Clone
            + Send
            + Sync
            + 'static,
        <L::Service as Service<McpRequest>>::Future: Send + 'static,
    {
        self.service = self
            .service
            .map(|inner| McpService::new(layer.layer(inner)));
        self
    }

    /// What to run when the router closes: end sessions, stop the process.
    #[must_use]
    pub fn on_close(
        mut self,
        closing: impl FnOnce() -> BoxFuture<'static, ()> + Send + 'static,
    ) -> Self {
        self.closing = Some(Box::new(closing));
        self
    }

    /// Where it is, for people: a URL or a command line, without credentials.
    #[must_use]
    pub fn url_text(mut self, url: impl Into<String>) -> Self {
        self.meta.url = url.into();
        self
    }

    /// Whether the router started it: a child process.
    #[must_use]
    pub const fn managed(mut self, managed: bool) -> Self {
        self.meta.managed = managed;
        self
    }

    /// Whether a client registered it while the router ran, which shows in its status. Default
    /// false.
    #[must_use]
    pub const fn registered(mut self, registered: bool) -> Self {
        self.meta.registered = registered;
        self
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend")
            .field("meta", &self.meta)
            .finish_non_exhaustive()
    }
}

/// A backend while the router runs: what it is, how to call it, how it fares.
pub(crate) struct Cell {
    pub(crate) meta: Meta,
    pub(crate) service: Option<McpService>,
    /// Whom to ask past every layer.
    pub(crate) sources: Option<Sources>,
    pub(crate) endpoints: Vec<Endpoint>,
    /// Told when a probe has changed its mind.
    pub(crate) probed: tokio::sync::Notify,
    /// Unlike that of any other, also of one with the same name.
    pub(crate) id: u64,
    place: AtomicUsize,
    /// Written by the supervisor alone; read by everybody without waiting.
    pub(crate) live: ArcSwap<Live>,
    /// Which of its resources anybody watches.
    pub(crate) subscriptions: Arc<Subscriptions>,
    /// Asks the supervisor to list again.
    pub(crate) relist: tokio::sync::Notify,
    /// Counts listings that ended, well or not.
    pub(crate) listed: watch::Sender<u64>,
    /// When it was last asked.
    relisted: std::sync::Mutex<Option<Instant>>,
    /// Told of every change of `live`.
    news: watch::Sender<()>,
    /// Stops what the router does about it of its own accord: listing, probing, watching.
    pub(crate) stop: CancellationToken,
    /// Tells that nobody holds this any more, so nobody can call.
    _gone: DropGuard,
}

/// What the router gives a backend when it takes it.
pub(crate) struct Ties {
    /// Who watches its resources; those of the one before it, if it replaces one.
    pub(crate) subscriptions: Arc<Subscriptions>,
    /// Ends with the router.
    pub(crate) stop: CancellationToken,
    /// Cancelled when nobody can call it any more.
    pub(crate) gone: DropGuard,
}

impl Cell {
    pub(crate) fn new(backend: &Backend, ties: Ties) -> Self {
        static CELLS: AtomicU64 = AtomicU64::new(0);
        let enabled = backend.service.is_some();
        let live = Live {
            state: if enabled {
                State::Starting
            } else {
                State::Disabled
            },
            info: Arc::default(),
            listing: Arc::default(),
            error_count: 0,
            failure: None,
            down_since: None,
            settled: !enabled,
        };
        Self {
            meta: backend.meta.clone(),
            service: backend.service.clone(),
            sources: backend
                .service
                .clone()
                .map(|service| Sources::new(service, backend.sources.clone())),
            endpoints: backend.endpoints.clone(),
            probed: tokio::sync::Notify::new(),
            id: CELLS.fetch_add(1, Ordering::Relaxed),
            place: AtomicUsize::new(0),
            live: ArcSwap::from_pointee(live),
            subscriptions: ties.subscriptions,
            relist: tokio::sync::Notify::new(),
            listed: watch::Sender::new(0),
            relisted: std::sync::Mutex::new(None),
            news: watch::Sender::new(()),
            stop: ties.stop,
            _gone: ties.gone,
        }
    }

    /// Place in the file: decides between equal priorities.
    pub(crate) fn position(&self) -> usize {
        self.place.load(Ordering::Relaxed)
    }

    pub(crate) fn set_position(&self, place: usize) {
        self.place.store(place, Ordering::Relaxed);
    }

    /// Resolves once `is` holds of what is known of it.
    pub(crate) async fn until(&self, is: impl Fn(&Live) -> bool) {
        let mut news = self.news.subscribe();
        while !is(&self.live.load()) {
            // The sender lives in the cell.
            let _ = news.changed().await;
        }
    }

    /// Whether calls to it have a chance.
    pub(crate) fn usable(&self) -> bool {
        matches!(self.live.load().state, State::Ready | State::Asleep)
    }

    /// Whether to choose it now: as well as the fittest of its endpoints, at most.
    pub(crate) fn fitness(&self) -> Fitness {
        let known = match self.usable() {
            true => Fitness::Usable,
            false => Fitness::Doubtful,
        };
        let best = self.endpoints.iter().map(fitness).min();
        known.max(best.unwrap_or(Fitness::Usable))
    }

    /// Whether its resources can be watched, or may be for all that is known.
    pub(crate) fn has_subscriptions(&self) -> bool {
        let live = self.live.load();
        let declared = live.info.capabilities.as_ref();
        let subscribe = |all: &RawJson| all.get("resources")?.get("subscribe");
        self.service.is_some()
            && declared.is_none_or(|all| subscribe(all).is_some_and(|v| v.as_str() == "true"))
    }

    /// Whether it may be asked to list again on a client's account: seldom, so that calls for
    /// names that nobody has do not become load on a backend.
    pub(crate) fn may_relist(&self) -> bool {
        const SELDOM: std::time::Duration = std::time::Duration::from_secs(5);
        let mut last = self
            .relisted
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = Instant::now();
        let may = last.is_none_or(|at| now.duration_since(at) >= SELDOM);
        if may {
            *last = Some(now);
        }
        may
    }

    /// Whether it has slept since the start, so that nobody knows what it offers.
    pub(crate) fn unlisted(&self) -> bool {
        let live = self.live.load();
        live.state == State::Asleep && !live.listing.complete
    }

    /// Has it list again on a client's account, unless that was done a moment ago. The future
    /// resolves when it has, or at once if there is nothing to wait for.
    pub(crate) fn refresh(self: &Arc<Self>) -> Option<impl Future<Output = ()> + Send + 'static> {
        // Before it is asked: it may be quick.
        let mut listed = self.listed.subscribe();
        let asked = self.may_relist();
        if asked {
            self.relist.notify_one();
        }
        let cell = self.clone();
        // Who comes second waits for what the first one asked for.
        (asked || self.unlisted()).then_some(async move {
            // The sender lives in the cell.
            let _ = listed.changed().await;
            drop(cell);
        })
    }

    /// Changes what is known; only the supervisor calls this.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Live)) {
        let mut live = Live::clone(&self.live.load());
        change(&mut live);
        self.live.store(Arc::new(live));
        self.news.send_replace(());
    }
}

fn fitness(endpoint: &Endpoint) -> Fitness {
    match endpoint.standing() {
        Standing::Usable => Fitness::Usable,
        Standing::Refused { .. } => Fitness::Out,
        Standing::Doubtful if endpoint.resting().is_some() => Fitness::Resting,
        Standing::Doubtful => Fitness::Doubtful,
    }
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cell")
            .field("meta", &self.meta)
            .finish_non_exhaustive()
    }
}
