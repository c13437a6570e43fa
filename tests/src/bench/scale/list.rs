//! A whole list, page by page, without keeping it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::harness::Router;

/// What a list of tools came to.
pub(super) struct Listed {
    pub(super) tools: usize,
    pub(super) pages: usize,
    pub(super) took: Duration,
}

/// Lists all tools.
pub(super) async fn all(router: &Router) -> Listed {
    let client = router.modern();
    let start = Instant::now();
    let (mut tools, mut pages, mut params) = (0, 0, json!({}));
    loop {
        let answer = client.request("tools/list", params).await;
        let page = answer["result"]["tools"].as_array();
        tools += page.unwrap_or_else(|| panic!("no tools in {answer}")).len();
        pages += 1;
        match &answer["result"]["nextCursor"] {
            Value::String(cursor) => params = json!({"cursor": cursor}),
            _ => break,
        }
    }
    Listed {
        tools,
        pages,
        took: start.elapsed(),
    }
}
