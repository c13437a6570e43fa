//! Middleware around *one* service: what every call to a backend needs, written once.
//!
//! Each layer is an ordinary `tower::Layer` and works in a stack that is not ours. [`LimitLayer`]
//! is generic over request and answer; the others look into the call, so they take the
//! [waist](mcp_router_service)'s types. Errors of an inner service may be of any type that turns
//! into a `CallError`, a boxed one included.
//!
//! The order of a backend's stack, outermost first:
//!
//! | layer | why there |
//! |---|---|
//! | [`LimitLayer`] | a call that waits for its turn must not use up its attempt's time |
//! | [`TimeoutLayer`] | one attempt; whatever counts failures later goes around it |
//!
//! At the front of the whole router, where a call is still one call, stand [`TraceLayer`] and,
//! inside it, [`DrainLayer`].
//!
//! # What the crate deliberately does not know
//!
//! More than one backend (that is `core`), sockets (`transport`), or where a parameter came from.

#![forbid(unsafe_code)]

mod balance;
mod breaker;
mod drain;
mod endpoint;
mod judge;
mod limit;
mod metrics;
mod retry;
mod timeout;
mod trace;

pub use balance::{Balance, BalanceParams, Balanced, Closer, Replica};
pub use breaker::{Breaker, BreakerLayer};
pub use drain::{Drain, DrainLayer};
pub use endpoint::{Admitted, Endpoint, Failure, InFlight, MAX_REST, Probe, Stage, Standing};
pub use judge::{ByTraits, Judge};
pub use limit::{Limit, LimitLayer, LimitParams};
pub use metrics::{
    BOUNDS, CallRecord, CallStats, Counter, Metrics, MetricsLayer, Recorder, Running,
};
pub use retry::{Again, ByRequest, MAX_THROTTLED_WAIT, Policy, Retry, RetryLayer, RetryParams};
pub use timeout::{CLIENT_WAIT, Timeout, TimeoutLayer};
pub use trace::{Trace, TraceLayer};

/// The futures of the layers, for those who must name them.
pub mod future {
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
