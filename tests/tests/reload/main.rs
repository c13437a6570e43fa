//! Routers that change while they run: by their files, by signals, by tools.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod files;
mod load;
mod register;
mod secrets;
mod stdio;

use std::path::{Path, PathBuf};

use mcp_router_tests::harness::{Router, until};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with a configuration file that the test writes itself.
struct Folder(TempDir);

impl Folder {
    fn new(text: &str) -> Self {
        let folder = Self(TempDir::new().unwrap());
        std::fs::write(folder.file(), text).unwrap();
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self) -> PathBuf {
        self.path().join("backends.yaml")
    }

    fn arg(&self) -> String {
        self.file().to_str().unwrap().to_owned()
    }

    /// A router that reads the file.
    async fn router(&self) -> Router {
        let builder = Router::builder().arg("--config").arg(&self.arg());
        let router = builder.start().await;
        router.until_ready().await;
        router
    }
}

/// Reads the file again by tool; its structured answer.
async fn reload(router: &Router) -> Value {
    let answer = manage(router, "reload_backends_config", json!({})).await;
    answer["structuredContent"].clone()
}

/// Calls one of the router's own tools; its result.
async fn manage(router: &Router, tool: &str, arguments: Value) -> Value {
    let mut answer = router.modern().call(tool, arguments).await;
    assert!(answer["result"].is_object(), "{answer}");
    answer["result"].take()
}

/// The names of all tools that clients see.
async fn tools(router: &Router) -> Vec<String> {
    let answer = router.modern().request("tools/list", json!({})).await;
    let tools = answer["result"]["tools"].as_array().unwrap().clone();
    let names = tools.iter().map(|t| t["name"].as_str().unwrap().to_owned());
    names.collect()
}

async fn until_tool(router: &Router, name: &str, there: bool) {
    let what = format!("{name} listed: {there}");
    until(&what, async || {
        tools(router).await.iter().any(|tool| tool == name) == there
    })
    .await;
}
