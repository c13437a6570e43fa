//! What client edges say to backend edges, across the router: nothing of it is ever on the wire.

use futures::future::join_all;
use mcp_router_protocol::RawJson;
use mcp_router_service::{CallError, McpRequest, McpResponse, Reason, Sent};
use tower::ServiceExt;

use crate::hub::Hub;
use crate::listing::Sources;

/// Opens what a new session of a client wants open from the start, at all backends that keep
/// something of every client, at the same time. Who fails now is opened by the first call.
pub(super) async fn attach(hub: &Hub, request: &McpRequest) -> McpResponse {
    let snapshot = hub.snapshot.load_full();
    let wanted = snapshot
        .cells
        .iter()
        .filter(|cell| cell.usable() && cell.live.load().info.attach);
    let opening = wanted.filter_map(|cell| {
        let opening = cell.service.clone()?.oneshot(request.clone());
        Some(async move {
            if let Err(error) = opening.await {
                tracing::info!(backend = %cell.meta.name, %error, "upstream session not opened at once");
            }
        })
    });
    join_all(opening).await;
    McpResponse::complete(RawJson::from_static("{}"))
}

/// Has the upstream sessions closed that a session carries, now that it is over, at whichever of a
/// backend's endpoints they are. Past every layer: nothing is repeated or kept waiting for it.
pub(super) async fn detach(hub: &Hub, request: &McpRequest) -> McpResponse {
    if let Some(session) = &request.context.session {
        let snapshot = hub.snapshot.load_full();
        let cells = snapshot.cells.iter();
        let carried = cells.filter(|cell| session.carries(&cell.meta.name));
        let closing = carried.flat_map(|cell| {
            let edges = cell.sources.iter().flat_map(Sources::in_order);
            let backend = &cell.meta.name;
            edges.map(move |edge| async move {
                if let Err(error) = edge.oneshot(request.clone()).await {
                    tracing::info!(%backend, %error, "upstream session not closed");
                }
            })
        });
        join_all(closing).await;
    }
    McpResponse::complete(RawJson::from_static("{}"))
}

/// Brings a client's answer to the backend that asked.
///
/// # Errors
/// If it is not there.
pub(super) async fn answer(hub: &Hub, request: McpRequest) -> Result<McpResponse, CallError> {
    let nobody = || CallError::new(Reason::NoBackend, Sent::No);
    let pin = request.context.pin.as_ref().ok_or_else(nobody)?;
    let service = {
        let snapshot = hub.snapshot.load();
        let mut cells = snapshot.cells.iter();
        let cell = cells.find(|cell| cell.meta.name == pin.backend);
        cell.and_then(|cell| cell.service.clone())
    };
    service.ok_or_else(nobody)?.oneshot(request).await
}
