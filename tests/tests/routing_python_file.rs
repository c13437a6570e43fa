//! A file of the Python router, unchanged but for the addresses: it starts, every key is obeyed, and
//! it means what that router's documentation says.

use std::process::Command;

use mcp_router_tests::fixture::{Fixture, FixtureBuilder};
use mcp_router_tests::harness::{Router, binary, text};
use serde_json::{Value, json};

const FILE: &str = include_str!("../../crates/config/tests/fixtures/python-router.yaml");

/// A backend with these tools and no others.
fn with(tools: &[&str]) -> FixtureBuilder {
    let bare = Fixture::builder().bare();
    tools.iter().fold(bare, |builder, tool| builder.tool(tool))
}

fn calls(backend: &Fixture) -> usize {
    backend.log().count("tools/call")
}

async fn echo(router: &Router, tool: &str) -> Value {
    router.modern().call(tool, json!({"text": "hello"})).await
}

#[test]
fn nothing_in_the_file_is_without_effect() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backends.yaml");
    std::fs::write(&path, FILE).unwrap();
    let checked = Command::new(binary("mcp-router-http"))
        .arg("--config")
        .arg(&path)
        .arg("check")
        // Ours, not the router's.
        .env_remove("MCP_SCHEMA_DIR")
        .env_remove("MCP_ROUTER_BIN_DIR")
        .output()
        .unwrap();
    let said = [checked.stdout, checked.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(checked.status.success(), "{said}");
    assert!(!said.contains("warning"), "{said}");
}

#[tokio::test]
async fn the_file_means_what_it_says() {
    let users = with(&["find_user"]).spawn().await;
    let reports = with(&["report_daily", "count"]).spawn().await;
    let spare = with(&["report_daily", "count"]).spawn().await;
    let file = FILE
        .replace("http://localhost:8001", &users.base_url())
        .replace("http://localhost:8002", &reports.base_url())
        .replace("http://localhost:8003", &spare.base_url());
    let router = Router::start(&file).await;
    router.until_ready().await;
    for name in ["users", "reports", "reports-spare"] {
        router.until_healthy(name).await;
    }

    // Names carry their namespace.
    let names = router.legacy_session("2025-11-25").await.tool_names().await;
    for name in ["users.find_user", "reports.report_daily", "reports.count"] {
        assert!(
            names.iter().any(|n| n == name),
            "{name} is not in {names:?}"
        );
    }
    // Path: by the pattern, listed or not.
    assert_eq!(text(&echo(&router, "users.find_user").await), "hello");
    let unlisted = echo(&router, "users.get_user").await;
    assert_eq!(unlisted["error"]["message"], "Unknown tool: get_user");
    assert_eq!(calls(&users), 2);
    // No route: the default strategy, capability.
    let nowhere = echo(&router, "users.other").await;
    assert_eq!(nowhere["error"]["code"], -32602, "{nowhere}");
    assert_eq!(calls(&users), 2);
    // Fallback: the first, and the named one when it is gone.
    assert_eq!(text(&echo(&router, "reports.report_daily").await), "hello");
    assert_eq!((calls(&reports), calls(&spare)), (1, 0));
    reports.go_down().await;
    assert_eq!(text(&echo(&router, "reports.report_daily").await), "hello");
    assert_eq!((calls(&reports), calls(&spare)), (1, 1));
    // And by priority, where capability decides.
    assert_eq!(text(&echo(&router, "reports.count").await), "hello");
    assert_eq!((calls(&reports), calls(&spare)), (1, 2));
}
