//! One task a backend: learns what it offers, and goes on learning.
//!
//! Without it, a backend that was slow at start would be missing for ever, one that changed its
//! tools would be called by names it no longer knows, and one that went away for a second would
//! take its tools out of an agent's hands.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{Stream, StreamExt};
use mcp_router_health::Backoff;
use mcp_router_layers::{Endpoint, Failure, Probe, Stage};
use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::{ItemKind, Method, RawParams};
use mcp_router_service::{
    BackendEvent, BackendInfo, CallError, EventStream, McpRequest, McpService, Outbox, Outcome,
    Scope,
};
use tokio::time::{Instant, sleep_until};
use tower::ServiceExt;

use crate::backend::Cell;
use crate::dispatch::subscribe;
use crate::flaps::Flaps;
use crate::hub::Hub;
use crate::listing::{Listing, Sources};
use crate::status::State;

pub(crate) struct Supervisor {
    hub: Arc<Hub>,
    cell: Arc<Cell>,
    sources: Sources,
    /// Kinds whose list is known to be out of date.
    dirty: Vec<ItemKind>,
    /// Between a failed listing and the next.
    retry: Backoff,
    rng: fastrand::Rng,
    /// When to list everything again.
    relist_at: Option<Instant>,
    /// When to forget the items of a backend that went away.
    forget_at: Option<Instant>,
    /// What is listed next comes from a backend that came back.
    returned: bool,
    flaps: Flaps,
    /// Every endpoint is down by its probes.
    probed_down: bool,
}

/// A listing on its way, with the kinds it is of.
type Running = BoxFuture<'static, (Vec<ItemKind>, Result<Listing, CallError>)>;

impl Supervisor {
    pub(crate) fn new(hub: Arc<Hub>, cell: Arc<Cell>, sources: Sources) -> Self {
        Self {
            hub,
            cell,
            sources,
            dirty: Vec::new(),
            retry: Backoff::default(),
            rng: fastrand::Rng::new(),
            relist_at: None,
            forget_at: None,
            returned: false,
            flaps: Flaps::default(),
            probed_down: false,
        }
    }

    /// Runs until the router stops, or is without the backend. `events` is absent for backends that tell nothing: they are
    /// asked to describe themselves, and listed whenever their list gets old.
    pub(crate) async fn run(mut self, events: Option<EventStream>) {
        let mut events = match events {
            Some(events) => events.left_stream(),
            None => describe(self.sources.service().clone()).right_stream(),
        };
        let stop = self.cell.stop.clone();
        let cell = self.cell.clone();
        let mut running: Option<Running> = None;
        let mut open = true;
        loop {
            if running.is_none() && !self.dirty.is_empty() {
                running = Some(self.list());
            }
            let listing = running.is_some();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                event = events.next(), if open => match event {
                    Some(event) => self.on_event(event),
                    None => open = false,
                },
                (kinds, result) = finished(&mut running) => {
                    running = None;
                    self.on_listed(&kinds, result);
                    cell.listed.send_modify(|count| *count += 1);
                }
                () = cell.probed.notified() => self.on_probed(),
                () = cell.relist.notified(), if !listing => self.all_dirty(),
                () = at(self.relist_at), if !listing => self.all_dirty(),
                () = at(self.forget_at) => self.forget(),
            }
        }
    }

    fn on_event(&mut self, event: BackendEvent) {
        match event {
            BackendEvent::Connected(info) => {
                tracing::info!(backend = %self.cell.meta.name, protocol = %info.hop, "backend connected");
                self.cell.update(|live| live.info = Arc::new(info));
                self.retry.reset();
                self.returned = true;
                self.all_dirty();
                self.cell.subscriptions.connected();
            }
            BackendEvent::Lost { error, retry_in } => {
                self.relist_at = None;
                self.cell.subscriptions.lost();
                let text = error_text(&error);
                self.failed(Stage::Connect, error.reason.as_str(), text, Some(retry_in));
            }
            BackendEvent::Asleep => self.asleep(),
            BackendEvent::Changed(kind) => {
                tracing::debug!(backend = %self.cell.meta.name, ?kind, "list changed");
                if !self.dirty.contains(&kind) {
                    self.dirty.push(kind);
                }
            }
            BackendEvent::Notification {
                method,
                params,
                scope,
            } => self.notified(&method, params, &scope),
        }
    }

    /// A message of the backend's that belongs to no call.
    fn notified(&self, method: &Method, params: RawParams, scope: &Scope) {
        match (method, scope) {
            (Method::ResourceUpdated, Scope::Shared) => {
                let namespaces = self.hub.settings().namespaces;
                let namespace = self.cell.meta.namespace.as_ref();
                let namespace = namespace.filter(|_| namespaces);
                self.cell.subscriptions.updated(namespace, &params);
            }
            (Method::ResourceUpdated, Scope::Session(session)) => {
                let namespaces = self.hub.settings().namespaces;
                let namespace = self.cell.meta.namespace.as_ref();
                let namespace = namespace.filter(|_| namespaces);
                subscribe::updated_in_own(&self.cell, namespace, session, &params);
            }
            (Method::LogMessage, Scope::Shared) => self.hub.readers.log(&params),
            // A client's own conversation: nobody else's business.
            (Method::LogMessage, Scope::Session(session)) => {
                let method = method.clone();
                if session
                    .send(Outbox::Notification { method, params })
                    .is_err()
                {
                    dropped::count(Dropped::ClientQueueFull);
                }
            }
            _ => dropped::count_of(Dropped::BackendNotificationUnwanted, method),
        }
    }

    /// What it listed still holds, and listing it again would wake it.
    fn asleep(&mut self) {
        tracing::debug!(backend = %self.cell.meta.name, "backend asleep");
        (self.relist_at, self.forget_at) = (None, None);
        self.dirty.clear();
        self.cell.update(|live| {
            live.state = State::Asleep;
            live.down_since = None;
            live.settled = true;
        });
        self.hub.publish_soon();
    }

    /// A probe has changed its mind.
    fn on_probed(&mut self) {
        let endpoints = &self.cell.endpoints;
        let mut probes = endpoints.iter().map(Endpoint::probe);
        let down = !endpoints.is_empty() && probes.all(|probe| probe == Probe::Down);
        if std::mem::replace(&mut self.probed_down, down) == down {
            return;
        }
        if !down {
            // Ready when it is listed again, which is not worth waking it for.
            if self.cell.live.load().state != State::Asleep {
                self.all_dirty();
            }
            return;
        }
        let failure = endpoints.iter().find_map(Endpoint::last_failure);
        let text = failure.map_or_else(|| "probes fail".to_owned(), |f| f.text.to_string());
        self.failed(Stage::Probe, "probe", text, None);
    }

    fn all_dirty(&mut self) {
        self.relist_at = None;
        self.dirty = ItemKind::ALL.to_vec();
    }

    fn list(&mut self) -> Running {
        let kinds = std::mem::take(&mut self.dirty);
        let live = self.cell.live.load_full();
        let (sources, bounds) = (self.sources.clone(), self.hub.settings().bounds);
        async move {
            let listed = live
                .listing
                .refreshed(&sources, &live.info, &kinds, bounds)
                .await;
            (kinds, listed)
        }
        .boxed()
    }

    fn on_listed(&mut self, kinds: &[ItemKind], result: Result<Listing, CallError>) {
        let name = &self.cell.meta.name.clone();
        match result {
            Ok(listing) => {
                let mut ttl = self.lifetime(&listing);
                let listing = self.steadied(listing, &mut ttl);
                tracing::debug!(backend = %name, tools = listing.of(ItemKind::Tool).len(), "listed");
                let ready = !self.probed_down;
                self.cell.update(|live| {
                    live.listing = listing;
                    live.settled = true;
                    if !ready {
                        return; // it lists, and its probes still say that it is down
                    }
                    if live.state != State::Ready {
                        tracing::info!(backend = %name, "backend ready");
                    }
                    live.state = State::Ready;
                    live.error_count = 0;
                    live.failure = None;
                    live.down_since = None;
                });
                self.retry.reset();
                self.forget_at = self.forget_at.filter(|_| !ready);
                self.tell_listed(None);
                self.relist_at = Some(Instant::now() + ttl);
                self.hub.publish_soon();
            }
            Err(error) => {
                // What was to be listed still is.
                let wait = self.retry.next(&mut self.rng);
                self.relist_at = Some(Instant::now() + wait);
                tracing::debug!(backend = %name, ?kinds, "listing failed");
                let text = error_text(&error);
                self.tell_listed(Some((&text, wait)));
                self.failed(Stage::List, error.reason.as_str(), text, Some(wait));
            }
        }
    }

    /// The list to show: the new one, or the last one while a backend that comes and goes has
    /// changed it often enough. Then `ttl` becomes the time until the next may be shown.
    fn steadied(&mut self, listing: Listing, ttl: &mut Duration) -> Arc<Listing> {
        let shown = self.cell.live.load().listing.clone();
        if self.returned
            && !(shown.complete && listing.same_items(&shown))
            && let Err(wait) = self.flaps.take(Instant::now())
        {
            let (backend, wait_ms) = (&self.cell.meta.name, wait.as_millis() as u64);
            tracing::info!(%backend, wait_ms, "backend flaps: its last list stays");
            *ttl = wait.min(*ttl);
            return shown;
        }
        self.returned = false;
        Arc::new(listing)
    }

    /// Notes at a lone endpoint how its listing went. Of several, nobody knows which it was.
    fn tell_listed(&self, failed: Option<(&str, Duration)>) {
        let [endpoint] = &self.cell.endpoints[..] else {
            return;
        };
        match failed {
            Some((text, wait)) => endpoint.note_failure(Stage::List, text, Some(wait)),
            None => endpoint.mended(Stage::List),
        }
    }

    /// How long a list is good for: the operator's bound, shortened by what the backend says.
    fn lifetime(&self, listing: &Listing) -> Duration {
        let cache_ttl = self.hub.settings().cache_ttl;
        match listing.ttl() {
            // Zero means "do not cache" to clients; re-listing for ever would hammer the backend.
            Some(ttl) if !ttl.is_zero() => ttl.max(Duration::from_secs(1)).min(cache_ttl),
            _ => cache_ttl,
        }
    }

    fn failed(&mut self, stage: Stage, reason: &str, text: String, retry_in: Option<Duration>) {
        let now = Instant::now();
        let before = self.cell.live.load().state;
        if before != State::Down {
            tracing::warn!(
                backend = %self.cell.meta.name, reason, error = %text,
                retry_in_ms = retry_in.map(|d| d.as_millis() as u64), "backend down"
            );
            self.forget_at = Some(Instant::now() + self.hub.settings().stale_ttl);
        }
        self.cell.update(|live| {
            live.state = State::Down;
            live.error_count = live.error_count.saturating_add(1);
            let since = Failure::begin(live.failure.as_deref(), stage, now);
            live.failure = Some(Arc::new(Failure {
                stage,
                text: text.into(),
                since,
                next_retry: retry_in.map(|wait| now + wait),
            }));
            live.down_since.get_or_insert_with(std::time::Instant::now);
            live.settled = true;
        });
        self.hub.publish_soon();
    }

    fn forget(&mut self) {
        self.forget_at = None;
        tracing::warn!(backend = %self.cell.meta.name, "backend stays away: its items are gone");
        self.cell.update(|live| live.listing = Arc::default());
        self.hub.publish_soon();
    }
}

async fn finished(running: &mut Option<Running>) -> (Vec<ItemKind>, Result<Listing, CallError>) {
    match running {
        Some(listing) => listing.await,
        None => std::future::pending().await,
    }
}

/// The error and its causes, without the word on what was sent: nobody called.
fn error_text(error: &CallError) -> String {
    let mut text = error.reason.as_str().to_owned();
    if let Some(detail) = &error.detail {
        text = format!("{text} ({detail})");
    }
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// The events of a backend that tells nothing: one description of itself.
fn describe(service: McpService) -> impl Stream<Item = BackendEvent> + Send + Unpin {
    futures::stream::once(async move {
        let request = McpRequest::new(mcp_router_protocol::Method::Discover, RawParams::default());
        let answer = async { service.oneshot(request).await?.outcome().await };
        let info = match answer.await {
            Ok(Outcome::Complete(result)) => BackendInfo {
                capabilities: result.get("capabilities"),
                instructions: result.get_str("instructions"),
                // The inner dialect is the modern revision.
                modern: true,
                hop: "in process".into(),
                ..BackendInfo::default()
            },
            // No description: everything is asked for, and what is unknown is empty.
            _ => BackendInfo {
                hop: "in process".into(),
                ..BackendInfo::default()
            },
        };
        BackendEvent::Connected(info)
    })
    .boxed()
}
