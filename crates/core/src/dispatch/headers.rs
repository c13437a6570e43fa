//! Arguments that are repeated in headers: the client's are checked against its body, and a backend
//! that misses some is listed again.

use std::time::Duration;

use mcp_router_protocol::{ErrorObject, ItemKind, Mirror, code};
use mcp_router_service::{McpRequest, McpResponse, Outcome};

use crate::backend::Cell;
use crate::catalogue::Choice;
use crate::hub::Hub;

/// How long a call waits for its backend to be listed again.
const RELIST_WAIT: Duration = Duration::from_secs(2);

/// -32020 if the client's headers say something else than its body (R26). A client that cannot send
/// headers need not.
pub(super) fn mismatch(mirror: &Mirror, request: &McpRequest) -> Option<ErrorObject> {
    let sent = &request.context.param_headers;
    if !sent.possible() {
        return None;
    }
    let arguments = request.params.arguments();
    let wrong = mirror
        .check(arguments.as_ref(), |name| sent.get(name))
        .err()?;
    let text = format!("Header mismatch: {wrong}");
    Some(ErrorObject::new(code::HEADER_MISMATCH, text))
}

/// Whether the backend refused the call for its headers: it did not run.
pub(super) fn are_missed(answer: &McpResponse) -> bool {
    matches!(
        answer,
        McpResponse::Ready(Outcome::Error(error)) if error.code() == code::HEADER_MISMATCH
    )
}

/// Lists the backend again that missed headers; the same choice by what it lists then, if that
/// changes what is sent. Not more often than on any other client's account.
pub(super) async fn renewed(
    hub: &Hub,
    kind: ItemKind,
    exposed: &str,
    choice: &Choice,
) -> Option<Choice> {
    let cell: &std::sync::Arc<Cell> = &choice.cell;
    if let Some(listed) = cell.refresh() {
        // If it takes longer, the client gets what the backend said.
        let _ = tokio::time::timeout(RELIST_WAIT, listed).await;
    }
    let snapshot = hub.snapshot.load();
    let entry = snapshot.table(kind).get(exposed)?;
    let mut choices = entry.choices.iter();
    let now = choices.find(|c| c.cell.id == cell.id)?;
    (now.mirror != choice.mirror).then(|| now.clone())
}
