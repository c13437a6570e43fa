//! Connections at rest, and backends that end them.

use std::time::Duration;

use futures::future::join_all;
use mcp_router_tests::fixture::{Era, Fixture};
use mcp_router_tests::harness::{Router, config, failure};
use serde_json::json;

/// Callers that call at the same time.
const CALLERS: u64 = 250;
/// Calls of each, 4-6 s apart.
const ROUNDS: u64 = 4;

/// uvicorn and Node close a connection that was idle for 5 s; by default the router puts it aside
/// after 4. Each round uses 250 connections at once and leaves them idle for as long as its callers
/// happen to wait, so that a thousand calls look for the moment at which one is lost. That takes
/// 20 s, most of them asleep.
#[tokio::test]
async fn f20_a_thousand_calls_four_to_six_seconds_apart_lose_none() {
    let fixture = Fixture::builder()
        .era(Era::Modern)
        .idle_close(Duration::from_secs(5))
        .spawn()
        .await;
    let router = Router::start(&config([("a", fixture.url())])).await;
    router.until_healthy("a").await;
    let client = router.modern();
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let callers = (0..CALLERS).map(|caller| {
        let client = &client;
        let mut random = fastrand::Rng::with_seed(seed ^ caller);
        async move {
            for round in 0..ROUNDS {
                // At once in the first round, so that each call needs a connection of its own.
                let pause = if round == 0 {
                    0
                } else {
                    random.u64(4000..6000)
                };
                tokio::time::sleep(Duration::from_millis(pause)).await;
                let nonce = format!("{caller}-{round}");
                let arguments = json!({"nonce": nonce, "ms": 300});
                let answer = client.call("a.sleep", arguments).await;
                assert_eq!(failure(&answer), None, "{nonce}: {answer}");
                assert_eq!(answer["result"]["structuredContent"]["executions"], 1);
            }
        }
    });
    join_all(callers).await;
    assert_eq!(
        fixture.log().count("tools/call"),
        (CALLERS * ROUNDS) as usize
    );
    assert_eq!(router.backend("a").await["error_count"], 0);
}
