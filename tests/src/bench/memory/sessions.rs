//! Sessions that have done what sessions do, and then wait.

use serde_json::json;

use super::NAMES;
use crate::bench::process::Logged;
use crate::harness::{HttpClient, LegacySession, until};

/// Open sessions of one router.
pub(super) struct Sessions<'a> {
    router: &'a Logged,
    open: Vec<LegacySession>,
}

impl<'a> Sessions<'a> {
    /// Opens so many, one after another; each calls a tool at every backend. Connections are
    /// closed after each request, so that what is left is the sessions'.
    pub(super) async fn open(router: &'a Logged, count: u64) -> Self {
        let mut open = Vec::new();
        for _ in 0..count {
            let session = router.session().await;
            for name in NAMES {
                let answer = session
                    .call(&format!("{name}.echo"), json!({"text": "x"}))
                    .await;
                assert_eq!(answer["result"]["content"][0]["text"], "x", "{answer}");
            }
            open.push(session);
        }
        Self { router, open }
    }

    /// Deletes all of them and waits until the router has none in memory.
    pub(super) async fn delete(self) {
        for session in &self.open {
            let reply = session.client().delete("/mcp").await;
            assert_eq!(reply.status, 204, "{}", reply.text());
        }
        let client = HttpClient::new(self.router.addr);
        until("no session in memory", async || {
            let page = client.get("/metrics").await.text();
            let mut lines = page.lines();
            let count = lines.find_map(|line| line.strip_prefix("mcp_router_sessions "));
            count.and_then(|count| count.parse().ok()) == Some(0.0)
        })
        .await;
    }
}
