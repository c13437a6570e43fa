//! How many tools clients are given.

use mcp_router_tests::fixture::Fixture;
use mcp_router_tests::harness::{Router, config, until};
use serde_json::json;

use super::samples::Samples;

#[tokio::test]
async fn more_than_forty_tools_are_counted_and_warned_of_with_whose_they_are() {
    let large = Fixture::builder().bare().tools(60).spawn().await;
    let small = Fixture::builder().bare().tools(2).spawn().await;
    let file = config([("large", large.url()), ("small", small.url())]);
    let router = Router::start(&file).await;
    router.until_healthy("large").await;
    router.until_healthy("small").await;
    let list = router.modern().request("tools/list", json!({})).await;
    let listed = list["result"]["tools"].as_array().expect("tools").len();
    let samples = Samples::of(&router).await;
    for profile in ["plain", "cursor"] {
        let labels = [("client_profile", profile)];
        assert_eq!(
            samples.sum("mcp_router_exposed_tools", &labels),
            listed as f64
        );
    }
    let of_small = [("backend", "small")];
    assert_eq!(samples.sum("mcp_router_backend_tools", &of_small), 2.0);
    let line = router.logs().line("clients are given more than 40").await;
    for part in ["large 60, small 2", "tools.allow", "tools.deny"] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    small.add_tool("one-more");
    small.announce(mcp_router_tests::fixture::List::Tools);
    until("it is counted", async || {
        let samples = Samples::of(&router).await;
        samples.sum("mcp_router_backend_tools", &of_small) == 3.0
    })
    .await;
    router.logs().line("large 60, small 3").await;
}
