//! Calls that need something from a client at the end of a pipe.

use mcp_router_tests::fixture::{Era, Fixture};
use mcp_router_tests::harness::{StdioRouter, child_entry, config, everything};
use serde_json::{Value, json};

/// Four backends: each era over HTTP and as a child.
async fn file() -> (String, [Fixture; 2]) {
    let old = Fixture::builder().era(Era::Legacy).asking().spawn().await;
    let new = Fixture::builder().era(Era::Modern).asking().spawn().await;
    let mut file = config([("old", old.url()), ("new", new.url())]);
    file += &child_entry("oldchild", &["--era", "legacy", "--asking"]);
    file += &child_entry("newchild", &["--era", "modern", "--asking"]);
    (file, [old, new])
}

const BACKENDS: [&str; 4] = ["old", "new", "oldchild", "newchild"];

fn through(says: &Value, nonce: &str) {
    assert_eq!(says["nonce"], nonce, "{says}");
    assert_eq!(says["executions"], 1, "{says}");
    assert!(says["answers"][0].get("error").is_none(), "{says}");
}

#[tokio::test]
async fn r31_r33_a_legacy_client_over_stdio_is_asked_whatever_the_backend_speaks() {
    let (file, _backends) = file().await;
    let mut router = StdioRouter::start(&file);
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": everything(),
        "clientInfo": {"name": "harness", "version": "1"},
    });
    router.request("initialize", params).await;
    router.notify("notifications/initialized", json!({})).await;
    router.request("tools/list", json!({})).await;
    for backend in BACKENDS {
        for tool in ["ask_elicit", "ask_all", "ask_twice"] {
            let nonce = format!("{backend} {tool}");
            let talk = router
                .legacy_talk(&format!("{backend}.{tool}"), json!({ "nonce": nonce }))
                .await;
            assert!(talk.response.get("error").is_none(), "{}", talk.response);
            through(&talk.says(), &nonce);
        }
    }
}

#[tokio::test]
async fn r32_r33_a_stateless_client_over_stdio_makes_rounds_whatever_the_backend_speaks() {
    let (file, _backends) = file().await;
    let mut router = StdioRouter::start(&file);
    router.modern("tools/list", json!({})).await;
    for backend in BACKENDS {
        for tool in ["ask_elicit", "ask_all", "ask_twice"] {
            let nonce = format!("{backend} {tool}");
            let talk = router
                .modern_talk(&format!("{backend}.{tool}"), json!({ "nonce": nonce }))
                .await;
            assert!(talk.response.get("error").is_none(), "{}", talk.response);
            through(&talk.says(), &nonce);
        }
    }
}
