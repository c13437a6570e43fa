//! `logging/setLevel` of a legacy session: every backend that logs hears of it.
//!
//! The level itself is kept by the session, and each backend edge knows how its hop is told. Told
//! here, it also counts for what backends log outside calls.

use std::time::Duration;

use futures::future::join_all;
use mcp_router_protocol::RawJson;
use mcp_router_service::{McpRequest, McpResponse};
use tokio::time::timeout;
use tower::ServiceExt;

use crate::backend::Cell;
use crate::hub::Hub;
use crate::status::State;

/// How long the client waits for backends. Calls tell them again where need be.
const TELLING: Duration = Duration::from_secs(2);

pub(super) async fn set(hub: &Hub, request: &McpRequest) -> McpResponse {
    let snapshot = hub.snapshot.load_full();
    let cells = snapshot.cells.iter().filter(|cell| logs(cell));
    let services = cells.filter_map(|cell| cell.sources.as_ref());
    let services = services.flat_map(|sources| sources.in_order());
    let telling = services.map(|service| service.oneshot(request.clone()));
    let told = timeout(TELLING, join_all(telling))
        .await
        .unwrap_or_default();
    let failed = told.iter().filter(|answer| answer.is_err()).count();
    if failed > 0 {
        tracing::debug!(failed, "backends were not told a log level");
    }
    McpResponse::complete(RawJson::from_static("{}"))
}

/// Whether it is there and logs. One that sleeps is told when it is called.
fn logs(cell: &Cell) -> bool {
    let live = cell.live.load();
    live.state == State::Ready && live.info.can("logging")
}
