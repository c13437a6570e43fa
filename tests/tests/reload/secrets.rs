//! Secrets that are exchanged, and are shown nowhere.

use mcp_router_tests::fixture::Fixture;
use mcp_router_tests::harness::{config, text, until};
use serde_json::json;

use super::{Folder, manage};

#[tokio::test]
async fn a_secret_file_that_changes_is_read_again_and_told_to_nobody() {
    let backend = Fixture::builder().spawn().await;
    let entry = config([("a", backend.url())]);
    let headers = ", headers: { Authorization: \"Bearer ${file:secrets/token}\" } }\n";
    let folder = Folder::new(&entry.replace(" }\n", headers));
    let secrets = folder.path().join("secrets");
    std::fs::create_dir(&secrets).unwrap();
    std::fs::write(secrets.join("token"), "canary-one\n").unwrap();
    let router = folder.router().await;
    let sent = async || {
        let answer = router.modern().call("a.echo", json!({"text": "x"})).await;
        assert_eq!(text(&answer), "x", "{answer}");
        let last = backend.log().of("tools/call").pop().unwrap();
        last.header("authorization").unwrap().to_owned()
    };
    assert_eq!(sent().await, "Bearer canary-one");
    // As secret stores write: beside it, then by renaming.
    std::fs::write(secrets.join("new"), "canary-two\n").unwrap();
    std::fs::rename(secrets.join("new"), secrets.join("token")).unwrap();
    until("the new secret is sent", async || {
        sent().await == "Bearer canary-two"
    })
    .await;
    // Written wrongly, it changes nothing.
    std::fs::write(secrets.join("token"), "canary\u{1}three\n").unwrap();
    let wrong = router.logs().line("the configuration is wrong").await;
    assert_eq!(sent().await, "Bearer canary-two");
    let listed = manage(&router, "list_backends", json!({})).await;
    assert!(!listed["structuredContent"]["config_errors"].is_null());
    for shown in [wrong, listed.to_string(), router.logs().text()] {
        assert!(!shown.contains("canary"), "{shown}");
    }
}
