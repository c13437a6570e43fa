//! `tools/call` and `prompts/get`: to the owner of the name, under its own name.

use std::sync::Arc;
use std::time::Duration;

use mcp_router_protocol::{ItemKind, name};
use mcp_router_service::{CallError, McpRequest, McpResponse, Reason, Sent};

use super::target::{Uris, choose, send};
use super::{invalid_params, manage};
use crate::catalogue::Snapshot;
use crate::hub::Hub;

/// How long a call for an unknown name waits for its backend to be listed again.
const REFRESH_WAIT: Duration = Duration::from_secs(2);

pub(super) async fn call(
    hub: &Arc<Hub>,
    kind: ItemKind,
    request: McpRequest,
) -> Result<McpResponse, CallError> {
    let Some(exposed) = request.params.name() else {
        return Ok(invalid_params("params.name must be a string"));
    };
    if kind == ItemKind::Tool && manage::is_reserved(&exposed) {
        return Ok(manage::call(hub, &exposed, &request.params));
    }
    let snapshot = hub.snapshot.load_full();
    if snapshot.table(kind).get(&exposed).is_some() {
        return forward(hub, &snapshot, kind, &exposed, request).await;
    }
    if refresh(hub, &snapshot, &exposed).await {
        let snapshot = hub.snapshot.load_full();
        if snapshot.table(kind).get(&exposed).is_some() {
            return forward(hub, &snapshot, kind, &exposed, request).await;
        }
    }
    if let Some(error) = away(&hub.snapshot.load(), &exposed) {
        return Err(error);
    }
    let what = if kind == ItemKind::Tool {
        "tool"
    } else {
        "prompt"
    };
    let shown: String = exposed
        .chars()
        .take(128)
        .flat_map(char::escape_debug)
        .collect();
    Ok(invalid_params(format!("Unknown {what}: {shown}")))
}

async fn forward(
    hub: &Hub,
    snapshot: &Snapshot,
    kind: ItemKind,
    exposed: &str,
    mut request: McpRequest,
) -> Result<McpResponse, CallError> {
    let Some(entry) = snapshot.table(kind).get(exposed) else {
        return Ok(invalid_params("Unknown name"));
    };
    let owner = choose(entry);
    if owner.item.key() != exposed {
        request.params = request.params.with_name(owner.item.key());
    }
    let uris = Uris::new(&owner.cell, hub.settings.namespaces);
    Ok(uris.answer(send(&owner.cell, request).await?))
}

/// The failure of a call into a namespace whose backends are all away: nobody can say that the
/// name is unknown, and the model should know what is really wrong.
fn away(snapshot: &Snapshot, exposed: &str) -> Option<CallError> {
    let (namespace, _) = name::split(exposed, |ns| snapshot.namespaces.contains_key(ns))?;
    let mut backends = snapshot
        .in_namespace(&namespace)
        .filter(|c| c.service.is_some());
    let first = backends.next()?;
    let any_there = first.usable() || backends.any(|c| c.usable());
    (!any_there).then(|| CallError::new(Reason::ConnectFailed, Sent::No).on(&first.meta.name))
}

/// Asks the backends of the name's namespace to list again, and waits for the next snapshot:
/// tools may be new there. Tells whether anything was asked.
async fn refresh(hub: &Hub, snapshot: &Snapshot, exposed: &str) -> bool {
    // At the start, backends may still be on their way to their first list.
    if !hub.is_ready() {
        hub.ready().await;
        return true;
    }
    let known = |ns: &str| snapshot.namespaces.contains_key(ns);
    let Some((namespace, _)) = name::split(exposed, known) else {
        return false;
    };
    let listings = snapshot
        .in_namespace(&namespace)
        .filter(|cell| cell.usable() && cell.may_relist())
        .map(|cell| {
            let mut listed = cell.listed.subscribe();
            cell.relist.notify_one();
            async move { listed.changed().await }
        });
    let listings: Vec<_> = listings.collect();
    let asked = !listings.is_empty();
    let _ = tokio::time::timeout(REFRESH_WAIT, futures::future::join_all(listings)).await;
    asked
}
