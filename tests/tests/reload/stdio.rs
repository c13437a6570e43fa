//! The same over standard input and output.

use mcp_router_tests::fixture::Fixture;
use mcp_router_tests::harness::{Router, StdioRouter, config, signal, text};
use serde_json::json;

use super::Folder;

#[tokio::test]
async fn the_router_on_pipes_reloads_by_file_signal_and_tool_too() {
    let (a, b) = (
        Fixture::builder().spawn().await,
        Fixture::builder().spawn().await,
    );
    let folder = Folder::new(&config([("a", a.url())]));
    let builder = Router::builder().arg("--config").arg(&folder.arg());
    let mut router = StdioRouter::start_with(&builder);
    router.initialize("2025-06-18").await;
    let answer = router.call("a.echo", json!({"text": "x"})).await;
    assert_eq!(text(&answer), "x");
    let write = |name: &str| {
        let new = folder.path().join("new");
        std::fs::write(&new, config([("a", a.url()), (name, b.url())])).unwrap();
        std::fs::rename(new, folder.file()).unwrap();
    };
    write("b");
    let event = router.logs().event("configuration reloaded").await;
    assert_eq!(event["trigger"], "file");
    let answer = router.call("b.echo", json!({"text": "y"})).await;
    assert_eq!(text(&answer), "y");
    signal(router.pid(), "HUP");
    router
        .logs()
        .event("the configuration says what it said before")
        .await;
    write("c");
    let answer = router.call("reload_backends_config", json!({})).await;
    let reloaded = &answer["result"]["structuredContent"];
    assert_eq!(reloaded["errors"], json!([]), "{answer}");
    let answer = router.call("c.echo", json!({"text": "z"})).await;
    assert_eq!(text(&answer), "z");
}
