//! Spreads the calls of one backend over its endpoints: replicas, URLs, processes.
//!
//! Without this, one process serves everybody while its twins idle, and its death costs every
//! caller an error although the twins are well. Here a call goes to the endpoint that a
//! [`Policy`] picks among the fittest, and one that fails there, in a way that
//! [allows it](mcp_router_service::RepeatAfter), goes to the next at once: nobody waits while
//! another endpoint is left, and each is asked once. Waiting and trying again is for the
//! [`RetryLayer`](crate::RetryLayer) outside.
//!
//! Where all endpoints fail together, asking each of them would multiply the load just when it
//! must not. So going on is paid for from the same budget as trying again, unless the call was
//! provably not sent and so was no load, or the next endpoint has not failed: one that dies must
//! not cost its callers an answer for want of budget.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use mcp_router_protocol::BackendName;
use mcp_router_routing::balance::{Policy, SlowStart};
use mcp_router_service::{CallError, EventStream, HoldGuard, McpRequest};
use tokio::time::Instant;
use tower::Service;

use crate::{Budget, Endpoint};

mod bound;
mod course;
mod events;
mod future;
mod group;
mod member;

pub use future::BalanceFuture;

use course::Course;
use group::Group;
use member::Member;

/// How calls are spread.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BalanceParams {
    /// Who gets the next call.
    pub policy: Policy,
    /// How the share of an endpoint grows that has just come back.
    pub slow_start: SlowStart,
}

/// Ends an endpoint in good order.
pub type Closer = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

/// One endpoint to be balanced over: its service with what it tells outside calls.
pub struct Replica<S> {
    service: S,
    endpoint: Endpoint,
    events: Option<EventStream>,
    close: Option<Closer>,
    stateful: Option<bool>,
}

/// Several replicas made one: the same three things that a single endpoint has.
pub struct Balanced<S> {
    /// Takes the calls.
    pub service: Balance<S>,
    /// The events of all: connected with the first, lost with the last. `None` if no replica
    /// tells any.
    pub events: Option<EventStream>,
    /// Ends all of them, at the same time.
    pub close: Closer,
}

/// Spreads calls over several endpoints of one backend. Clones share counters and endpoints.
///
/// A call goes to the endpoint that the policy picks among the fittest. If it fails there, in a
/// way that [allows it](mcp_router_service::RepeatAfter), it goes to the next at once, also where
/// the request forbids to repeat it [here](mcp_router_service::Repeat::here); each endpoint is
/// asked once. What comes back in the end is the last failure, which says that the call
/// [may have run](mcp_router_service::Sent) if any attempt may have.
///
/// ```
/// use mcp_router_health::BreakerParams;
/// use mcp_router_layers::{Balance, BalanceParams, BreakerLayer, Endpoint, Replica};
/// use mcp_router_protocol::{Method, RawJson, RawParams};
/// use mcp_router_routing::balance::Policy;
/// use mcp_router_service::{CallError, McpRequest, McpResponse};
/// use tower::{Layer, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), CallError> {
/// let replicas = ["db-1", "db-2"].map(|key| {
///     let endpoint = Endpoint::new(key, BreakerParams::default());
///     let edge = tower::service_fn(|_: McpRequest| async {
///         Ok::<_, CallError>(McpResponse::complete(RawJson::from_static("{}")))
///     });
///     Replica::new(BreakerLayer::new(endpoint.clone()).layer(edge), endpoint)
/// });
/// let params = BalanceParams {
///     policy: Policy::LeastConnections,
///     ..BalanceParams::default()
/// };
/// let db = Balance::over(&"db".parse().expect("a name"), params, replicas.into());
/// db.service.oneshot(McpRequest::new(Method::ToolsCall, RawParams::default())).await?;
/// # Ok(())
/// # }
/// ```
///
/// # State
///
/// Servers may remember a client from one call to the next. Unless an endpoint is known to
/// remember nothing, the calls of one client session go to the endpoint whose upstream session
/// the client's id [carries](mcp_router_service::Session::carried), else to the one that got the
/// first of them, until it fails or its circuit opens. An endpoint that is merely throttling keeps
/// its sessions: another one would not know them. One that [keeps
/// something](mcp_router_service::BackendInfo::attach) of each client keeps them also when it
/// fails: the client has to hear of that. Once its circuit is open, one call is refused, and the
/// session begins anew elsewhere. Calls with a
/// [pin](mcp_router_service::RequestContext::pin) go where it says and nowhere else.
///
/// # Budget
///
/// Give it the one of the retries outside, by [`paid_by`](Self::paid_by). Without any, every
/// endpoint may be asked.
///
/// # Place in the stack
///
/// Inside retry, outside breaker and timeout: those are about one endpoint, and each endpoint has
/// its own. The breaker shares its [`Endpoint`] with the balance, which so knows whom to leave out.
///
/// # Cost
///
/// A call takes no lock but one of its own session, if it has one. Beyond the clone of the
/// endpoint's service nothing is allocated for an answer that is no stream, with up to 16
/// endpoints.
pub struct Balance<S> {
    group: Arc<Group>,
    services: Arc<[S]>,
}

// === impl Replica ===

impl<S> Replica<S> {
    /// A replica that tells nothing about itself. `service` goes to `endpoint` and is the stack of
    /// that endpoint, with its own breaker.
    pub fn new(service: S, endpoint: Endpoint) -> Self {
        Self {
            service,
            endpoint,
            events: None,
            close: None,
            stateful: None,
        }
    }

    /// What it tells outside calls. It also decides whether the replica is taken to be linked and
    /// stateful.
    #[must_use]
    pub fn events(mut self, events: EventStream) -> Self {
        self.events = Some(events);
        self
    }

    /// How to end it.
    #[must_use]
    pub fn on_close(
        mut self,
        close: impl FnOnce() -> BoxFuture<'static, ()> + Send + 'static,
    ) -> Self {
        self.close = Some(Box::new(close));
        self
    }

    /// Whether it may remember clients, where no event says so. Unknown counts as yes.
    #[must_use]
    pub fn stateful(mut self, stateful: bool) -> Self {
        self.stateful = Some(stateful);
        self
    }
}

// === impl Balance ===

impl<S> Balance<S> {
    /// Makes `replicas` one. `backend` names them in logs and in clients' sessions.
    pub fn over(
        backend: &BackendName,
        params: BalanceParams,
        replicas: Vec<Replica<S>>,
    ) -> Balanced<S> {
        Self::seeded(backend, params, replicas, group::seed())
    }

    /// Has `budget` pay for every further endpoint that a call is given to, also in its clones. The
    /// first budget counts.
    #[must_use]
    pub fn paid_by(self, budget: &Budget) -> Self {
        let _ = self.group.budget.set(budget.clone());
        self
    }

    /// The same `seed` and the same calls give the same choices.
    fn seeded(
        backend: &BackendName,
        params: BalanceParams,
        replicas: Vec<Replica<S>>,
        seed: u64,
    ) -> Balanced<S> {
        let mut members = Vec::with_capacity(replicas.len());
        let (mut services, mut streams, mut closers) = (Vec::new(), Vec::new(), Vec::new());
        for (at, replica) in replicas.into_iter().enumerate() {
            members.push(Member::new(backend, replica.endpoint, replica.stateful));
            services.push(replica.service);
            streams.extend(replica.events.map(|events| (at, events)));
            closers.extend(replica.close);
        }
        let group = Arc::new(Group {
            backend: backend.clone(),
            slot: backend.as_str().into(),
            members,
            params,
            turn: AtomicU64::new(0),
            detour: AtomicU64::new(0),
            budget: OnceLock::new(),
            seed,
            origin: Instant::now(),
        });
        Balanced {
            events: (!streams.is_empty()).then(|| events::merge(group.clone(), streams)),
            service: Self {
                group,
                services: services.into(),
            },
            close: Box::new(|| {
                let all = closers.into_iter().map(|close| close());
                join_all(all.collect::<Vec<_>>()).map(drop).boxed()
            }),
        }
    }
}

impl<S> Service<McpRequest> for Balance<S>
where
    S: Service<McpRequest> + Clone,
    S::Response: HoldGuard,
    S::Error: Into<CallError>,
{
    type Response = S::Response;
    type Error = CallError;
    type Future = BalanceFuture<S>;

    /// Always ready: which replica must be, the request decides.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: McpRequest) -> Self::Future {
        let (course, first) = Course::begin(&self.group, request);
        BalanceFuture::new(self.services.clone(), course, first)
    }
}

impl<S> Clone for Balance<S> {
    fn clone(&self) -> Self {
        Self {
            group: self.group.clone(),
            services: self.services.clone(),
        }
    }
}

impl<S> fmt::Debug for Balance<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balance")
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for Balanced<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balanced")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for Replica<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replica")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// What a failed answer counts as, at least, to [`Policy::PeakEwma`]: who fails quickly must not
/// look quick.
const FAILURE_LATENCY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
