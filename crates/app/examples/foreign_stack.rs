//! Our breaker and retry, stacked with tower's own layers around somebody else's service.
//!
//! ```sh
//! cargo run -p mcp-router-app --example foreign_stack
//! ```
//!
//! Nothing here is MCP: requests and answers are of the service's own types, and two closures say
//! what they mean: which answers speak against the endpoint, and which may be asked for again.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mcp_router_health::{BackoffParams, BreakerParams, CircuitState};
use mcp_router_layers::{Again, BreakerLayer, Endpoint, RetryLayer, RetryParams};
use mcp_router_service::{CallError, Class, Reason};
use tower::limit::ConcurrencyLimitLayer;
use tower::timeout::TimeoutLayer;
use tower::util::BoxCloneService;
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};

/// The price of an article, from a server that fails now and then.
type Prices = BoxCloneService<&'static str, Price, CallError>;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Price {
    Cents(NonZeroU32),
    /// The server answers that it cannot, and works.
    Unknown,
}

/// A service of somebody else's: it knows nothing of MCP, and its errors are boxed. The first
/// `down` requests find nobody.
fn server(down: u32, asked: Arc<AtomicU32>) -> BoxCloneService<&'static str, Price, BoxError> {
    let ask = move |article: &'static str| {
        let at = asked.fetch_add(1, Ordering::Relaxed);
        async move {
            match article {
                _ if at < down => Err(BoxError::from("connection refused")),
                "tea" => Ok(NonZeroU32::new(250).map_or(Price::Unknown, Price::Cents)),
                _ => Ok(Price::Unknown),
            }
        }
    };
    BoxCloneService::new(service_fn(ask))
}

/// The stack, outermost first. Ours and tower's alternate.
fn stack(
    endpoint: Endpoint,
    server: BoxCloneService<&'static str, Price, BoxError>,
) -> Result<Prices, BoxError> {
    let backoff = BackoffParams::new(
        Duration::from_millis(10),
        2.0,
        Duration::from_millis(40),
        0.5,
    )?;
    let retry = RetryLayer::new(RetryParams {
        max_attempts: 3,
        backoff,
        ..RetryParams::default()
    });
    // Asking for a price twice does no harm; asking a circuit that is open does no good.
    let again = |_: &&str, result: Result<&Price, &CallError>| match result {
        Err(error) if error.reason != Reason::CircuitOpen => Again::after(error.retry_after),
        _ => Again::No,
    };
    // An article that is not known says nothing against the server.
    let judge = |result: Result<&Price, &BoxError>| match result {
        Ok(_) => Class::Success,
        Err(_) => Class::Failure,
    };
    let stack = ServiceBuilder::new()
        .layer(ConcurrencyLimitLayer::new(16))
        .layer(retry.policy(again))
        // Outside the timeout, so that a slow server counts as a failing one.
        .layer(BreakerLayer::new(endpoint).judge(judge))
        .layer(TimeoutLayer::new(Duration::from_secs(1)))
        .service(server);
    Ok(BoxCloneService::new(stack))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    // Two failures in a row are made good by the third attempt.
    let asked = Arc::new(AtomicU32::new(0));
    let endpoint = Endpoint::new("prices", BreakerParams::default());
    let prices = stack(endpoint.clone(), server(2, asked.clone()))?;
    let tea = prices.clone().oneshot("tea").await?;
    assert_eq!(tea, Price::Cents(NonZeroU32::new(250).ok_or("zero")?));
    assert_eq!(prices.oneshot("moon").await?, Price::Unknown);
    assert_eq!(asked.load(Ordering::Relaxed), 4);

    // A server that stays away is left alone after three failures: nobody asks it a fourth time.
    let asked = Arc::new(AtomicU32::new(0));
    let breaker = BreakerParams::new(3, Duration::from_secs(60), 1)?;
    let endpoint = Endpoint::new("away", breaker);
    let prices = stack(endpoint.clone(), server(u32::MAX, asked.clone()))?;
    for _ in 0..5 {
        assert!(prices.clone().oneshot("tea").await.is_err());
    }
    assert_eq!(endpoint.state(), CircuitState::Open);
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    Ok(())
}

#[test]
fn the_example_holds_what_it_says() -> Result<(), BoxError> {
    main()
}
