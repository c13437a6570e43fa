//! What is asked of a client, and what it is told when it cannot be asked.

use mcp_router_protocol::ask::{allows, needs};
use mcp_router_protocol::{ErrorObject, Method, RawJson, RawParams, code, json};
use mcp_router_service::{CallError, ClientProfile, Reason, Sent};

/// Most requests in one round.
pub(super) const MAX_REQUESTS: usize = 64;

/// Largest state of a backend, in bytes: clients have to send it back, sealed, within the limit of
/// a request.
const MAX_STATE: usize = 1 << 20;

/// One entry of `inputRequests`.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) key: String,
    pub(super) method: Method,
    pub(super) params: RawParams,
}

/// What an interim result wants.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) requests: Vec<Request>,
    /// The state to bring back: a string, as its JSON text.
    pub(super) state: Option<RawJson>,
}

impl Wanted {
    /// Reads an interim result.
    ///
    /// # Errors
    /// If the backend wants nothing, or something that there is not.
    pub(super) fn read(result: &RawJson) -> Result<Self, CallError> {
        let present = |key| result.get(key).filter(|v| v.as_str() != "null");
        let state = present("requestState");
        if state.as_ref().is_some_and(|s| !s.as_str().starts_with('"')) {
            return Err(invalid("`requestState` is no string"));
        }
        if state.as_ref().is_some_and(|s| s.bytes().len() > MAX_STATE) {
            let error = CallError::new(Reason::TooLarge, Sent::Unknown);
            return Err(error.detail("`requestState` is over 1 MiB"));
        }
        let mut requests = Vec::new();
        if let Some(all) = present("inputRequests") {
            let members = json::members(all.bytes(), |_| true);
            let members = members.map_err(|_| invalid("`inputRequests` is no object"))?;
            if members.len() > MAX_REQUESTS {
                return Err(invalid("too many input requests"));
            }
            for member in members {
                let entry = RawJson::from_checked(all.bytes().slice(member.value));
                requests.push(request(member.key.into_owned(), &entry)?);
            }
        }
        if requests.is_empty() && state.is_none() {
            return Err(invalid("an interim result that wants nothing"));
        }
        Ok(Self { requests, state })
    }
}

fn request(key: String, entry: &RawJson) -> Result<Request, CallError> {
    let method = entry.get_str("method");
    let method = Method::from(method.as_deref().unwrap_or_default());
    let params = RawParams::parse(entry.get("params").map(RawJson::into_bytes));
    let params = params.map_err(|_| invalid("an input request without usable parameters"))?;
    if needs(&method, &params).is_none() {
        return Err(invalid("an input request that no client knows"));
    }
    Ok(Request {
        key,
        method,
        params,
    })
}

fn invalid(detail: &'static str) -> CallError {
    CallError::new(Reason::ProtocolError, Sent::Unknown).detail(detail)
}

/// The error for a call that needs more of its client than that declared; `None` if it may ask
/// (R35).
pub(super) fn refusal(
    client: &ClientProfile,
    method: &Method,
    params: &RawParams,
) -> Option<ErrorObject> {
    let none = RawJson::from_static("{}");
    let declared = client.capabilities.as_ref().unwrap_or(&none);
    if allows(declared, method, params) {
        return None;
    }
    let (name, part) = needs(method, params)?;
    let required = match part {
        Some(part) => format!(r#"{{"{name}":{{"{part}":{{}}}}}}"#),
        None => format!(r#"{{"{name}":{{}}}}"#),
    };
    Some(incapable(client, &RawJson::from_checked(required.into())))
}

/// What a client is told that lacks these capabilities: its own revision's error, or, where that
/// has none, one that names them.
pub(super) fn incapable(client: &ClientProfile, required: &RawJson) -> ErrorObject {
    if client.takes_input_required {
        let data = format!(r#"{{"requiredCapabilities":{}}}"#, required.as_str());
        let data = RawJson::from_checked(data.into());
        let text = "Missing required client capability";
        return ErrorObject::with_data(code::MISSING_CLIENT_CAPABILITY, text, Some(&data));
    }
    let text = format!(
        "This needs a capability that the client did not declare: {}",
        named(required)
    );
    let data = format!(
        r#"{{"reason":"client_capability","requiredCapabilities":{}}}"#,
        required.as_str()
    );
    let data = RawJson::from_checked(data.into());
    ErrorObject::with_data(code::INTERNAL_ERROR, text, Some(&data))
}

/// Capabilities for people: `elicitation.url, sampling`.
fn named(required: &RawJson) -> String {
    let keys = |object: &RawJson| -> Vec<String> {
        let members = json::members(object.bytes(), |_| true).unwrap_or_default();
        members.into_iter().map(|m| m.key.into_owned()).collect()
    };
    let mut names = Vec::new();
    for name in keys(required) {
        let parts = required.get(&name).map(|c| keys(&c)).unwrap_or_default();
        if parts.is_empty() {
            names.push(name.clone());
        }
        names.extend(parts.iter().map(|part| format!("{name}.{part}")));
    }
    let names: String = names.join(", ").chars().take(200).collect();
    names.escape_debug().to_string()
}

/// -32603 for a call that ended because of its client; `data` names the reason.
pub(super) fn ended(reason: &str, text: &str) -> ErrorObject {
    let data = format!(r#"{{"reason":"{reason}"}}"#);
    let data = RawJson::from_checked(data.into());
    ErrorObject::with_data(code::INTERNAL_ERROR, text, Some(&data))
}
