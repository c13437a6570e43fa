//! `completion/complete`: to the owner of the prompt or template that is completed.

use std::sync::Arc;

use mcp_router_protocol::{ItemKind, RawJson, json};
use mcp_router_service::{CallError, McpRequest, McpResponse};

use super::target::{choose, send};
use super::{invalid_params, read};
use crate::backend::Cell;
use crate::catalogue::Snapshot;
use crate::hub::Hub;

pub(super) async fn complete(
    hub: &Arc<Hub>,
    mut request: McpRequest,
) -> Result<McpResponse, CallError> {
    let Some(reference) = request.params.get("ref") else {
        return Ok(invalid_params("params.ref is missing"));
    };
    hub.ready().await;
    let snapshot = hub.snapshot.load_full();
    let Some((cell, member, own)) = owner(&snapshot, &reference) else {
        return Ok(invalid_params(
            "params.ref names no prompt or resource template",
        ));
    };
    let own = RawJson::of(&own);
    let rewritten = json::set_members(&reference, &[(member, Some(own.bytes()))])
        .and_then(|r| request.params.with_members(&[("ref", Some(r.bytes()))]));
    match rewritten {
        Ok(params) => request.params = params,
        Err(_) => return Ok(invalid_params("params.ref must be an object")),
    }
    send(&cell, request).await
}

/// Who completes the reference: the backend, the member that names the item, and its own name.
fn owner(snapshot: &Snapshot, reference: &RawJson) -> Option<(Arc<Cell>, &'static str, String)> {
    match reference.get_str("type")?.as_str() {
        "ref/prompt" => {
            let entry = snapshot
                .table(ItemKind::Prompt)
                .get(&reference.get_str("name")?)?;
            let owner = choose(entry);
            Some((owner.cell.clone(), "name", owner.item.key().to_owned()))
        }
        "ref/resource" => {
            let asked = reference.get_str("uri")?;
            if let Some(entry) = snapshot.table(ItemKind::Template).get(&asked) {
                let owner = choose(entry);
                return Some((owner.cell.clone(), "uri", owner.item.key().to_owned()));
            }
            let (cell, own) = read::owner(snapshot, &asked)?;
            Some((cell, "uri", own))
        }
        _ => None,
    }
}
