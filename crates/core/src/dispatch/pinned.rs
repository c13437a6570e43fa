//! Later rounds of a call go where the first went: no routing, no fallback, nobody else.

use std::borrow::Cow;

use mcp_router_protocol::ItemKind;
use mcp_router_service::{CallError, McpRequest, Reason, Sent};

use crate::catalogue::{Choice, Snapshot};

/// The candidates of a request: all, or the one that it is pinned to.
///
/// # Errors
/// If the backend that it is pinned to is not there any more.
pub(super) fn candidates<'a>(
    snapshot: &Snapshot,
    kind: ItemKind,
    request: &McpRequest,
    own: &str,
    choices: Cow<'a, [Choice]>,
) -> Result<Cow<'a, [Choice]>, CallError> {
    let Some(pin) = &request.context.pin else {
        return Ok(choices);
    };
    let known = choices.iter().find(|c| c.cell.meta.name == pin.backend);
    let choice = match known {
        Some(choice) => choice.clone(),
        None => {
            let mut cells = snapshot.cells.iter();
            let cell = cells.find(|c| c.meta.name == pin.backend);
            let gone = || CallError::new(Reason::NoBackend, Sent::No).on(&pin.backend);
            Choice::unlisted(cell.ok_or_else(gone)?, kind, own)
        }
    };
    Ok(Cow::Owned(vec![choice]))
}
