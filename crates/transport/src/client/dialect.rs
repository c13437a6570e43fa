//! One hop's revision: how a request of the inner dialect is spelled there, and how the answer
//! reads here.
//!
//! `_meta` holds keys that belong to the hop: forwarded as they came, a backend would check the
//! client's version and report progress under the client's token. They are replaced in place;
//! every other byte of the parameters goes on as it was, uncopied.

use bytes::Bytes;
use mcp_router_protocol::jsonrpc::{notification_parts, request_parts_with};
use mcp_router_protocol::params::{MetaChange, meta};
use mcp_router_protocol::result::{ResultType, result_type};
use mcp_router_protocol::{
    Era, ErrorObject, JsonError, LogLevel, Method, RawJson, RawParams, RequestId, Revision, code,
};
use mcp_router_service::{CallError, McpRequest, Outcome, Reason, Sent};

use crate::client::able;
use crate::client::rope::Rope;

/// What a backend answered to a request.
pub(crate) type Answer = Result<RawJson, ErrorObject>;

/// The revision of one hop.
#[derive(Clone, Debug)]
pub(crate) struct Dialect {
    pub(crate) revision: Revision,
    /// The revision as JSON.
    version: Bytes,
    /// The router's own `clientInfo`.
    pub(crate) identity: RawJson,
}

/// What of a request is needed to read its answer.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    uri: Option<String>,
}

impl Asked {
    pub(crate) fn of(request: &McpRequest) -> Self {
        Self {
            method: request.method.clone(),
            uri: (request.method == Method::ResourcesRead)
                .then(|| request.params.uri())
                .flatten(),
        }
    }
}

impl Dialect {
    pub(crate) fn new(revision: Revision, identity: RawJson) -> Self {
        Self {
            revision,
            version: format!("\"{revision}\"").into(),
            identity,
        }
    }

    pub(crate) fn era(&self) -> Era {
        self.revision.era()
    }

    /// A request as this hop's backend must get it.
    pub(crate) fn request(&self, id: u64, request: &McpRequest) -> Result<Rope, CallError> {
        let token = request.context.wants_progress.then(|| id.to_string());
        let id = RequestId::number(id);
        let trace = request.context.trace.map(|trace| trace.json());
        let hop = Hop {
            token: token.as_deref().map(str::as_bytes),
            trace: trace.as_ref().map(|trace| &trace.bytes()[..]),
        };
        let change = match self.era() {
            Era::Modern => self.modern_meta(request, hop),
            Era::Legacy => legacy_meta(&request.params, hop),
        };
        let change = change.map_err(|e| unwritable().because(e))?;
        let params = self.reduced(request)?;
        let parts = request_parts_with(&id, &request.method, &params, &change);
        Ok(Rope::new(parts))
    }

    /// A notification as this hop's backend must get it.
    pub(crate) fn notification(&self, method: &Method, params: &RawParams) -> Rope {
        let hop = Hop::default();
        let params = match self.era() {
            Era::Legacy => params.with_meta(hop.these(&hop.legacy())),
            Era::Modern => Ok(params.clone()),
        };
        Rope::new(notification_parts(method, &params.unwrap_or_default()))
    }

    /// Parameters less what the revision does not know.
    fn reduced(&self, request: &McpRequest) -> Result<RawParams, CallError> {
        if request.method == Method::Complete && self.revision < Revision::V2025_06_18 {
            let gone = request.params.with_members(&[("context", None)]);
            return gone.map_err(|e| unwritable().because(e));
        }
        Ok(request.params.clone())
    }

    fn modern_meta(&self, request: &McpRequest, hop: Hop<'_>) -> Result<MetaChange, JsonError> {
        let context = &*request.context;
        let client = &context.client;
        let none = able::nothing();
        let bridged;
        let capabilities = match &client.capabilities {
            Some(declared) if client.takes_input_required => match able::carried(declared) {
                Some(carried) => {
                    bridged = carried;
                    &bridged
                }
                None => declared,
            },
            // Of a client of another era, what can be brought to it.
            Some(declared) if declared.bytes().len() > 2 => {
                bridged = able::declared(client);
                &bridged
            }
            _ => &none,
        };
        let info = client.info.as_ref().unwrap_or(&self.identity);
        // A legacy client's level is its session's; one that named none leaves it to the server.
        let session = context.session.as_ref();
        let session = session.map(|s| s.log_level().unwrap_or(LogLevel::Info));
        let level = context.log_level.or(session);
        let level = level.map(LogLevel::json);
        let changes: [(&str, Option<&[u8]>); 7] = [
            (meta::PROTOCOL_VERSION, Some(&self.version)),
            (meta::CLIENT_CAPABILITIES, Some(capabilities.bytes())),
            (meta::CLIENT_INFO, Some(info.bytes())),
            (meta::LOG_LEVEL, level.map(str::as_bytes)),
            (meta::PROGRESS_TOKEN, hop.token),
            (meta::SUBSCRIPTION_ID, None),
            (meta::TRACEPARENT, hop.trace),
        ];
        request.params.meta_change(hop.these(&changes))
    }

    /// The backend's answer in the inner dialect.
    pub(crate) fn outcome(&self, asked: &Asked, answer: Answer) -> Result<Outcome, CallError> {
        let result = match answer {
            Ok(result) => result,
            Err(error) => return Ok(Outcome::Error(self.error(asked, error))),
        };
        if !result.is_object() {
            return Err(protocol_error("a result is no object"));
        }
        if self.era() == Era::Legacy {
            return Ok(Outcome::Complete(result));
        }
        match result_type(&result) {
            Ok(ResultType::Complete) => Ok(Outcome::Complete(result)),
            Ok(ResultType::InputRequired) => Ok(Outcome::InputRequired(result.into())),
            // Interim too: the router makes of it what its client can take.
            Ok(ResultType::Task) if asked.method == Method::ToolsCall => {
                Ok(Outcome::InputRequired(result.into()))
            }
            Ok(ResultType::Task | ResultType::Other(_)) => {
                Err(protocol_error("unknown resultType"))
            }
            Err(error) => Err(protocol_error("a result is no object").because(error)),
        }
    }

    /// R30: inside the router a missing resource is -32602 naming its URI, whoever said so.
    fn error(&self, asked: &Asked, error: ErrorObject) -> ErrorObject {
        let missing = error.code() == code::RESOURCE_NOT_FOUND;
        if !missing || asked.method != Method::ResourcesRead {
            return error;
        }
        if error.data().and_then(|d| d.get("uri")).is_some() {
            return error.with_code(code::INVALID_PARAMS);
        }
        let uri = RawJson::of(asked.uri.as_deref().unwrap_or_default());
        let data = format!("{{\"uri\":{}}}", uri.as_str());
        let data = RawJson::from_checked(data.into());
        ErrorObject::with_data(code::INVALID_PARAMS, error.message(), Some(&data))
    }
}

/// A backend's answer that is not MCP.
pub(crate) fn protocol_error(detail: &'static str) -> CallError {
    CallError::new(Reason::ProtocolError, Sent::Unknown).detail(detail)
}

fn unwritable() -> CallError {
    CallError::new(Reason::Internal, Sent::No).detail("parameters cannot be rewritten")
}

/// What `_meta` of one hop says of that hop alone, as JSON.
#[derive(Clone, Copy, Default)]
struct Hop<'a> {
    /// Absent: the backend is to tell of no progress.
    token: Option<&'a [u8]>,
    /// Absent: the call is not traced here, and what the client says of its trace stays.
    trace: Option<&'a [u8]>,
}

impl<'a> Hop<'a> {
    /// Of changes, of which the trace is the last, those to be made.
    fn these<T>(self, changes: &[T]) -> &[T] {
        &changes[..changes.len() - usize::from(self.trace.is_none())]
    }

    /// What a legacy backend must not find, and what it must, the trace last.
    const fn legacy(self) -> [(&'static str, Option<&'a [u8]>); 7] {
        [
            (meta::PROTOCOL_VERSION, None),
            (meta::CLIENT_CAPABILITIES, None),
            (meta::CLIENT_INFO, None),
            (meta::LOG_LEVEL, None),
            (meta::SUBSCRIPTION_ID, None),
            (meta::PROGRESS_TOKEN, self.token),
            (meta::TRACEPARENT, self.trace),
        ]
    }
}

/// `_meta` for a legacy backend.
fn legacy_meta(params: &RawParams, hop: Hop<'_>) -> Result<MetaChange, JsonError> {
    params.meta_change(hop.these(&hop.legacy()))
}

#[cfg(test)]
mod tests;
