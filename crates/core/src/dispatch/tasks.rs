//! The tasks extension (2026-07-28): calls that end later, asked for by an id.
//!
//! An id means something to the server alone that gave it. So what clients get is a sealed one that
//! holds who that was, and that nobody but the caller can use: any replica of the router finds the
//! way, and none keeps anything.

use std::sync::Arc;

use mcp_router_protocol::json::set_members;
use mcp_router_protocol::result::{ResultType, result_type};
use mcp_router_protocol::{ErrorObject, Method, RawJson, code};
use mcp_router_service::seal::Sealer;
use mcp_router_service::{
    CallError, ClientProfile, Interim, McpRequest, McpResponse, Outcome, Pin, Principal, Reason,
    RepeatAfter, Sent,
};

use super::failover::send_to;
use super::invalid_params;
use super::uris::Uris;
use crate::backend::Cell;
use crate::hub::Hub;

const EXTENSION: &str = "io.modelcontextprotocol/tasks";
/// The member that names a task.
pub(super) const TASK_ID: &str = "taskId";

/// Whether a method asks for a task.
pub(super) fn is_about_task(method: &Method) -> bool {
    matches!(
        method.as_str(),
        "tasks/get" | "tasks/update" | "tasks/cancel"
    )
}

/// Whether the client takes tasks.
pub(super) fn declares(client: &ClientProfile) -> bool {
    let declared = client
        .capabilities
        .as_ref()
        .filter(|_| client.takes_input_required);
    let extensions = declared.and_then(|all| all.get("extensions"));
    extensions.is_some_and(|all| all.get(EXTENSION).is_some())
}

/// -32021: the client must declare the extension first.
pub(super) fn undeclared() -> ErrorObject {
    let data = format!(r#"{{"requiredCapabilities":{{"extensions":{{"{EXTENSION}":{{}}}}}}}}"#);
    ErrorObject::with_data(
        code::MISSING_CLIENT_CAPABILITY,
        "Missing required client capability",
        Some(&RawJson::from_checked(data.into())),
    )
}

/// What a call needs to turn a backend's task into the client's.
#[derive(Clone, Debug)]
pub(super) struct Tasks {
    sealer: Sealer,
    principal: Principal,
    client: Arc<ClientProfile>,
}

impl Tasks {
    pub(super) fn of(hub: &Hub, request: &McpRequest) -> Self {
        Self {
            sealer: hub.tasks.clone(),
            principal: request.context.principal.clone(),
            client: request.context.client.clone(),
        }
    }

    /// An interim outcome of a call: with the client's id of the task, if it is one.
    ///
    /// # Errors
    /// If the client does not take tasks: its backend must not have made one.
    pub(super) fn outcome(&self, interim: Interim, cell: &Cell) -> Result<Outcome, CallError> {
        if !matches!(result_type(&interim), Ok(ResultType::Task)) {
            return Ok(Outcome::InputRequired(interim));
        }
        let wrong = |text| CallError::new(Reason::ProtocolError, Sent::Unknown).detail(text);
        if !declares(&self.client) {
            return Err(wrong("a task for a client that takes none"));
        }
        let own = interim
            .get_str(TASK_ID)
            .ok_or_else(|| wrong("a task without an id"))?;
        let endpoint = interim.by.as_ref().map_or("", |by| &by.endpoint);
        let content = [cell.meta.name.as_str(), endpoint, &own].join("\0");
        let id = self
            .sealer
            .seal(content.as_bytes(), &bound(&self.principal));
        let id = RawJson::of(&id);
        let result = set_members(&interim.result, &[(TASK_ID, Some(id.bytes()))]);
        let result = result.map_err(|e| wrong("a task is no object").because(e))?;
        Ok(Outcome::Complete(result))
    }
}

/// Whose tokens of others are not.
fn bound(principal: &Principal) -> Vec<u8> {
    match principal {
        Principal::Anonymous => Vec::new(),
        Principal::Named(name) => [b"n", name.as_bytes()].concat(),
    }
}

/// Where a task is, and its id there.
pub(super) fn open(hub: &Hub, principal: &Principal, id: &str) -> Option<(Pin, String)> {
    let content = hub.tasks.open(id, &bound(principal))?;
    let content = String::from_utf8(content).ok()?;
    let mut parts = content.splitn(3, '\0');
    let backend = parts.next()?.parse().ok()?;
    let endpoint = parts.next()?.into();
    Some((Pin { backend, endpoint }, parts.next()?.to_owned()))
}

/// The backend that a task is at, if it is still there.
pub(super) fn owner(hub: &Hub, pin: &Pin) -> Option<Arc<Cell>> {
    let snapshot = hub.snapshot.load();
    let mut cells = snapshot.cells.iter();
    cells.find(|cell| cell.meta.name == pin.backend).cloned()
}

/// -32602: nobody has this task, or it is not the caller's.
pub(super) fn unknown() -> ErrorObject {
    ErrorObject::new(code::INVALID_PARAMS, "Task not found")
}

/// Brings a request about a task to the backend that has it.
///
/// # Errors
/// What happened to it there.
pub(super) async fn relay(
    hub: &Arc<Hub>,
    mut request: McpRequest,
) -> Result<McpResponse, CallError> {
    if !declares(&request.context.client) {
        return Ok(McpResponse::error(undeclared()));
    }
    let asked = request.params.get(TASK_ID);
    let Some(asked) = asked.and_then(|id| id.read_owned::<String>().ok()) else {
        return Ok(invalid_params("params.taskId must be a string"));
    };
    let found = open(hub, &request.context.principal, &asked);
    let found = found.and_then(|(pin, own)| Some((owner(hub, &pin)?, pin, own)));
    let Some((cell, pin, own)) = found else {
        return Ok(McpResponse::error(unknown()));
    };
    let own = RawJson::of(&own);
    let params = request.params.with_members(&[(TASK_ID, Some(own.bytes()))]);
    request.params = params.unwrap_or_default();
    request.context.pin = Some(pin);
    // Asking twice does no more than asking once: all three are acknowledged, not answered.
    request.context.repeat.after = RepeatAfter::Failed;
    let principal = request.context.principal.clone();
    let answer = send_to(&cell, request).await?;
    let prefixed = hub.snapshot.load().prefixed;
    let uris = Uris::new(hub, prefixed, &cell, &principal);
    Ok(match answer {
        McpResponse::Ready(Outcome::Complete(result)) => {
            McpResponse::complete(renamed(&result, &asked, &uris))
        }
        other => other,
    })
}

/// A task's state with the id that the client knows it by, and its result as a call's.
fn renamed(state: &RawJson, asked: &str, uris: &Uris) -> RawJson {
    let id = state.get(TASK_ID).map(|_| RawJson::of(asked));
    let result = state.get("result").map(|result| uris.rewrite(&result));
    let changes: Vec<(&str, Option<&[u8]>)> = [(TASK_ID, &id), ("result", &result)]
        .into_iter()
        .filter_map(|(key, new)| Some((key, Some(&new.as_ref()?.bytes()[..]))))
        .collect();
    set_members(state, &changes).unwrap_or_else(|_| state.clone())
}
