//! `completion/complete`: to the owner of the prompt or template that is completed.

use std::borrow::Cow;
use std::sync::Arc;

use mcp_router_protocol::{ItemKind, RawJson, code, json};
use mcp_router_service::{CallError, ClientProfile, McpRequest, McpResponse, Outcome};

use super::failover::{Candidates, send};
use super::{invalid_params, pinned, read};
use crate::catalogue::{Choice, Snapshot};
use crate::counted::Counted;
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
    let Some((choices, member, own)) = owners(&snapshot, &reference, &request.context.client)
    else {
        return Ok(invalid_params(
            "params.ref names no prompt or resource template",
        ));
    };
    // What a backend calls the item differs from backend to backend for tools alone.
    let value = RawJson::of(&own);
    let rewritten = json::set_members(&reference, &[(member, Some(value.bytes()))])
        .and_then(|r| request.params.with_members(&[("ref", Some(r.bytes()))]));
    match rewritten {
        Ok(params) => request.params = params,
        Err(_) => return Ok(invalid_params("params.ref must be an object")),
    }
    let choices = pinned::candidates(&snapshot, ItemKind::Prompt, &request, &own, choices)?;
    let counted = Counted::completion(&hub.meters);
    let candidates = Candidates::from(&choices[..]).counted(counted);
    let (answer, _) = send(candidates, request, |_, _| None).await?;
    Ok(completed(answer))
}

/// Servers of 2024-11-05 complete without saying so, others do not at all: all are asked, and one
/// that does not know the method has nothing to suggest.
fn completed(answer: McpResponse) -> McpResponse {
    match answer {
        McpResponse::Ready(Outcome::Error(error)) if error.code() == code::METHOD_NOT_FOUND => {
            let nothing = r#"{"completion":{"values":[],"total":0,"hasMore":false}}"#;
            McpResponse::complete(RawJson::from_static(nothing))
        }
        other => other,
    }
}

/// Who can complete the reference, the member that names the item, and its name there.
fn owners<'a>(
    snapshot: &'a Snapshot,
    reference: &RawJson,
    client: &ClientProfile,
) -> Option<(Cow<'a, [Choice]>, &'static str, String)> {
    let listed = |kind, asked: &str| {
        let entry = snapshot.find(kind, asked, client)?;
        let own = entry.shown.key().to_owned();
        Some((Cow::Borrowed(&entry.choices[..]), own))
    };
    match reference.get_str("type")?.as_str() {
        "ref/prompt" => {
            let (choices, own) = listed(ItemKind::Prompt, &reference.get_str("name")?)?;
            Some((choices, "name", own))
        }
        "ref/resource" => {
            let asked = reference.get_str("uri")?;
            let found = listed(ItemKind::Template, &asked);
            let (choices, own) = found.or_else(|| read::owners(snapshot, &asked))?;
            Some((choices, "uri", own))
        }
        _ => None,
    }
}
