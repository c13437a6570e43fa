//! Middleware around *one* service: what every call to a backend needs, written once.
//!
//! Each layer is an ordinary `tower::Layer` and works in a stack that is not ours. [`LimitLayer`],
//! [`RetryLayer`], [`BreakerLayer`] and [`MetricsLayer`] are generic over request and answer, the
//! last three for types of anybody's with a closure that says what an answer means; the others
//! look into the call, so they take the [waist](mcp_router_service)'s types. Errors of an inner
//! service may be of any type that turns into a `CallError`, a boxed one included.
//!
//! The order of a backend's stack, outermost first:
//!
//! | layer | why there |
//! |---|---|
//! | [`LimitLayer`] | a call that waits for its turn must not use up its attempt's time, nor count as a failure of anybody |
//! | [`RetryLayer`] | around everything that an attempt must pass anew: the choice of an endpoint, its circuit, its time |
//! | [`Balance`] | several endpoints only; inside the retry, which waits when all of them have failed, and whose budget [pays](Balance::paid_by) |
//! | [`AttemptLayer`] | one for each endpoint, if calls are traced; outside the breaker, so that what it refuses is shown |
//! | [`BreakerLayer`] | one for each [`Endpoint`]; outside the timeout, so that a slow endpoint counts as a failing one |
//! | [`TimeoutLayer`] | one attempt; directly around the edge, which hears at once that the time is over |
//!
//! [`MetricsLayer`] stands wherever somebody wants to count. At the front of the whole router,
//! where a call is still one call, stand [`TraceLayer`] and, inside it, [`DrainLayer`].
//!
//! ```
//! use mcp_router_health::BreakerParams;
//! use mcp_router_layers::{
//!     BreakerLayer, CallStats, Endpoint, LimitLayer, LimitParams, MetricsLayer, RetryLayer,
//!     RetryParams, TimeoutLayer,
//! };
//! use mcp_router_protocol::{Method, RawJson, RawParams};
//! use mcp_router_service::{CallError, Class, McpRequest, McpResponse};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), CallError> {
//! let edge = tower::service_fn(|_: McpRequest| async {
//!     Ok::<_, CallError>(McpResponse::complete(RawJson::from_static("{}")))
//! });
//! let (stats, endpoint) = (CallStats::new(), Endpoint::new("db-1", BreakerParams::default()));
//! let backend = ServiceBuilder::new()
//!     .layer(MetricsLayer::new(stats.clone()))
//!     .layer(LimitLayer::new(LimitParams::default()))
//!     .layer(RetryLayer::new(RetryParams::default()))
//!     .layer(BreakerLayer::new(endpoint.clone()))
//!     .layer(TimeoutLayer::new(TimeoutLayer::DEFAULT))
//!     .service(edge);
//! backend.oneshot(McpRequest::new(Method::ToolsCall, RawParams::default())).await?;
//! assert_eq!(stats.ended(Class::Success), 1);
//! assert_eq!(endpoint.failures(), 0);
//! # Ok(())
//! # }
//! ```
//!
//! # What the crate deliberately does not know
//!
//! More than one backend (that is `core`), names of tools, sockets (`transport`), or where a parameter came from.

#![forbid(unsafe_code)]

mod attempt;
mod balance;
mod breaker;
mod drain;
mod endpoint;
mod judge;
mod limit;
mod metrics;
mod retry;
mod spans;
mod timeout;
mod trace;

pub use attempt::{Attempt, AttemptLayer};
pub use balance::{Balance, BalanceParams, Balanced, Closer, Replica};
pub use breaker::{Breaker, BreakerLayer};
pub use drain::{Drain, DrainLayer};
pub use endpoint::{Admitted, Endpoint, Failure, InFlight, MAX_REST, Probe, Stage, Standing};
pub use judge::{ByTraits, Judge};
pub use limit::{Limit, LimitLayer, LimitParams};
pub use metrics::{
    BOUNDS, CallRecord, CallStats, Counter, Metrics, MetricsLayer, Recorder, Running,
};
pub use retry::{
    Again, Budget, ByRequest, MAX_THROTTLED_WAIT, Policy, Retry, RetryLayer, RetryParams,
};
pub use timeout::{CLIENT_WAIT, Timeout, TimeoutLayer};
pub use trace::{Trace, TraceLayer};

/// The futures of the layers, for those who must name them.
pub mod future {
    pub use crate::attempt::AttemptFuture;
    pub use crate::balance::BalanceFuture;
    pub use crate::breaker::BreakerFuture;
    pub use crate::drain::DrainFuture;
    pub use crate::limit::LimitFuture;
    pub use crate::metrics::MetricsFuture;
    pub use crate::retry::RetryFuture;
    pub use crate::timeout::TimeoutFuture;
    pub use crate::trace::TraceFuture;
}

#[cfg(test)]
mod testing;
