//! What the fixture says of itself when it runs as a child of a router.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

/// How long [`until`] waits before it panics.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for something that announces itself to nobody: a file, a process, a page.
///
/// # Panics
/// If it has not come about after 30 s; `what` is named.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The file behind `fixture stdio --log-file`. All lives of a child, and several children, may
/// write to the same one.
#[derive(Debug)]
pub struct ChildLog {
    folder: TempDir,
}

impl Default for ChildLog {
    fn default() -> Self {
        Self::new()
    }
}

impl ChildLog {
    /// An empty log in a folder of its own, which goes with it.
    ///
    /// # Panics
    /// If there is no temporary folder.
    #[must_use]
    pub fn new() -> Self {
        Self {
            folder: TempDir::new().expect("a temporary folder"),
        }
    }

    /// What to give as `--log-file`.
    ///
    /// # Panics
    /// If the temporary folder's name is no UTF-8.
    #[must_use]
    pub fn path(&self) -> String {
        let path = self.folder.path().join("log");
        path.to_str().expect("UTF-8").to_owned()
    }

    /// All lines of one kind: `started`, `received`, `grandchild`.
    #[must_use]
    pub fn events(&self, event: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path()).unwrap_or_default();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines
            .filter(|line: &Value| line["event"] == event)
            .collect()
    }

    /// The processes named by the lines of one kind.
    #[must_use]
    pub fn pids(&self, event: &str) -> Vec<u32> {
        let pids = self.events(event).into_iter();
        pids.filter_map(|line| u32::try_from(line["pid"].as_u64()?).ok())
            .collect()
    }

    /// The messages received with this method, oldest first.
    #[must_use]
    pub fn received(&self, method: &str) -> Vec<Value> {
        let mut lines = self.events("received");
        lines.retain(|line| line["method"] == method);
        lines.into_iter().map(|mut l| l["message"].take()).collect()
    }

    /// How many calls with each `arguments.nonce` were received.
    #[must_use]
    pub fn executions(&self) -> HashMap<String, u64> {
        let mut executions = HashMap::new();
        for call in self.received("tools/call") {
            if let Some(nonce) = call["params"]["arguments"]["nonce"].as_str() {
                *executions.entry(nonce.to_owned()).or_default() += 1;
            }
        }
        executions
    }

    /// Waits until `count` messages with this method have been received.
    ///
    /// # Panics
    /// As [`until`].
    pub async fn wait_for(&self, method: &str, count: usize) {
        let what = format!("{count} × {method} at the child");
        until(&what, async || self.received(method).len() >= count).await;
    }

    /// Waits until there are `count` lines of one kind.
    ///
    /// # Panics
    /// As [`until`].
    pub async fn wait_for_events(&self, event: &str, count: usize) {
        let what = format!("{count} × {event} of the child");
        until(&what, async || self.events(event).len() >= count).await;
    }
}
