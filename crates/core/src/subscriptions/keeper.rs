//! Holds the one upstream subscription of a backend.
//!
//! It is an ordinary listen stream whose filter is every watched URI. Another set of URIs is
//! another stream, opened before the old one is dropped, so that nothing falls between; a stream
//! that ends is opened again, ever more slowly while that fails.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use mcp_router_health::{Backoff, BackoffParams};
use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::{Method, RawParams};
use mcp_router_service::{CallError, Event, Reason, RequestContext, ResponseStream, Sent};
use tokio::time::{Instant, sleep_until};

use super::upstream::{self, Answered};
use crate::backend::Cell;
use crate::hub::Hub;
use crate::listing::Sources;

/// The member of the filter.
const URIS: &str = "resourceSubscriptions";
/// The first wait before a stream is opened again, and the longest.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// The task that looks after one backend's subscriptions.
pub(crate) struct Keeper {
    hub: Arc<Hub>,
    cell: Arc<Cell>,
    sources: Sources,
    open: Option<Open>,
    backoff: Backoff,
    rng: fastrand::Rng,
    /// When to try again.
    retry_at: Option<Instant>,
}

/// A stream, and what was asked for on it.
struct Open {
    uris: Vec<Arc<str>>,
    stream: ResponseStream,
}

impl Keeper {
    pub(crate) fn new(hub: Arc<Hub>, cell: Arc<Cell>, sources: Sources) -> Self {
        let backoff = BackoffParams::RECONNECT.capped(LONGEST).starting(FIRST);
        Self {
            hub,
            cell,
            sources,
            open: None,
            backoff: Backoff::new(backoff),
            rng: fastrand::Rng::new(),
            retry_at: None,
        }
    }

    /// Runs for ever. Dropped, it ends the subscription.
    pub(crate) async fn run(mut self) {
        let cell = self.cell.clone();
        loop {
            let due = self.retry_at.is_none_or(|at| at <= Instant::now());
            let wanted = cell.subscriptions.wanted();
            if self.open.as_ref().map_or(&[][..], |open| &open.uris) != wanted && due {
                self.reopen(wanted).await;
            }
            let retry = async {
                match self.retry_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = cell.subscriptions.wake.notified() => self.woken(),
                () = retry => self.retry_at = None,
                event = next(&mut self.open) => self.take(event),
            }
        }
    }

    /// The backend was lost, or is back, or other URIs are wanted.
    fn woken(&mut self) {
        if self.cell.subscriptions.lost.swap(false, Ordering::AcqRel) {
            self.ended();
        } else {
            // Whoever wakes us knows more than our timer.
            self.retry_at = None;
        }
    }

    fn take(&mut self, event: Option<Result<Event, CallError>>) {
        match event {
            Some(Ok(Event::Notification { method, params })) => self.notified(&method, &params),
            Some(Ok(Event::ServerRequest(request))) => {
                dropped::count_of(Dropped::BackendRequestUnattributed, &request.method);
                request.refuse();
            }
            Some(Ok(Event::Outcome(_)) | Err(_)) | None => self.ended(),
        }
    }

    fn notified(&self, method: &Method, params: &RawParams) {
        match method {
            Method::ResourceUpdated => {
                let prefixed = self.hub.settings().namespaces;
                let namespace = self.cell.meta.namespace.as_ref().filter(|_| prefixed);
                self.cell.subscriptions.updated(namespace, params);
            }
            _ => dropped::count_of(Dropped::BackendNotificationUnwanted, method),
        }
    }

    fn ended(&mut self) {
        if self.open.take().is_some() {
            tracing::debug!(backend = %self.cell.meta.name, "subscription lost");
        }
        self.cell.subscriptions.unsettle();
        self.retry_at = Some(Instant::now() + self.backoff.next(&mut self.rng));
    }

    /// Opens a stream for `wanted`, then ends the one before.
    async fn reopen(&mut self, wanted: Vec<Arc<str>>) {
        if wanted.is_empty() {
            self.open = None;
            return;
        }
        let cell = self.cell.clone();
        let answered = ask(&self.sources, &wanted).await;
        match answered {
            Ok(Answered::Open(stream, honoured)) => {
                self.drain();
                let honours = |uri: &str| honoured.as_ref().is_none_or(|all| all.contains(uri));
                let mut uris = wanted.clone();
                uris.retain(|uri| honours(uri));
                // The one before ends first: whoever is told now hears of each update once.
                self.open = (!uris.is_empty()).then_some(Open { uris, stream });
                cell.subscriptions.settle(&wanted, honours);
                self.backoff.reset();
                self.retry_at = None;
            }
            Ok(Answered::No(_)) => {
                self.open = None;
                cell.subscriptions.settle(&wanted, |_| false);
            }
            Err(error) => {
                tracing::debug!(backend = %cell.meta.name, %error, "no subscription for now");
                // What was open may still be: it knows fewer URIs, and the others wait.
                self.retry_at = Some(Instant::now() + self.backoff.next(&mut self.rng));
            }
        }
    }

    /// Takes what came on the old stream while the new one was opened.
    fn drain(&mut self) {
        while let Some(Some(event)) = next(&mut self.open).now_or_never() {
            match event {
                Ok(Event::Notification { method, params }) => self.notified(&method, &params),
                Ok(Event::ServerRequest(request)) => request.refuse(),
                Ok(Event::Outcome(_)) | Err(_) => return,
            }
        }
    }
}

/// Asks the endpoints in turn.
async fn ask(sources: &Sources, wanted: &[Arc<str>]) -> Result<Answered, CallError> {
    let uris: Vec<&str> = wanted.iter().map(|uri| &**uri).collect();
    let filter = serde_json::json!({ "notifications": { URIS: uris } });
    let params = RawParams::of(&filter);
    let mut failed = CallError::new(Reason::NoBackend, Sent::No);
    for service in sources.in_order() {
        // Whoever shares it: it is nobody's in particular.
        let context = RequestContext::default();
        match upstream::open(service, params.clone(), URIS, context).await {
            Ok(answered) => return Ok(answered),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

async fn next(open: &mut Option<Open>) -> Option<Result<Event, CallError>> {
    match open {
        Some(open) => open.stream.next().await,
        None => std::future::pending().await,
    }
}
