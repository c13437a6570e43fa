//! 2026-07-28: every request carries what is needed to serve it.
//!
//! The checks run in the order that the specification's errors presuppose: required `_meta`,
//! headers, version, method. Parameters are the router's to judge.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use mcp_router_protocol::header::{self, InvalidSentinel};
use mcp_router_protocol::params::meta;
use mcp_router_protocol::{
    ErrorObject, LogLevel, Method, RawJson, RawParams, RequestId, Revision, code,
};
use mcp_router_service::{
    ClientProfile, McpRequest, Outcome, Principal, RequestContext, SharedContext,
};

use super::{Signature, Wire, no_method, progress_token};

/// A header that repeats something of the body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mirrored<'a> {
    Absent,
    /// Not text, or there twice.
    Unreadable,
    Text(&'a str),
}

/// The headers that must agree with the body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mirror<'a> {
    pub(crate) version: Mirrored<'a>,
    pub(crate) method: Mirrored<'a>,
    pub(crate) name: Mirrored<'a>,
}

/// Whether a method exists in modern revisions alone.
pub(crate) const fn is_modern_only(method: &Method) -> bool {
    matches!(method, Method::Discover | Method::Listen)
}

/// Checks a modern request and makes it the router's. `mirror` is absent where the transport has
/// no headers.
///
/// # Errors
/// What the client gets, of the first rule that is broken.
pub(crate) fn accept(
    method: Method,
    params: RawParams,
    mirror: Option<Mirror<'_>>,
    principal: Principal,
) -> Result<McpRequest, ErrorObject> {
    let (version, capabilities) = required(&params)?;
    let version = version.text().unwrap_or_default();
    if let Some(mirror) = mirror {
        agree(&mirror, &version, &method, &params)?;
    }
    supported(&version)?;
    if method.is_legacy_only() || method.is_notification() {
        return Err(no_method(&method));
    }
    let log_level = log_level(&params)?;
    let wants_progress = progress_token(&params).is_some();
    let client = ClientProfile {
        info: params.meta_value(meta::CLIENT_INFO),
        capabilities: Some(capabilities),
        takes_input_required: true,
        ..ClientProfile::default()
    };
    Ok(McpRequest {
        method,
        params,
        context: SharedContext::from(RequestContext {
            principal,
            wants_progress,
            log_level,
            ..RequestContext::new(Arc::new(client))
        }),
    })
}

/// The members of `_meta` that must be there: version, a string, and capabilities, an object.
fn required(params: &RawParams) -> Result<(RawJson, RawJson), ErrorObject> {
    let missing = |key: &str, what: &str| {
        let text = format!("_meta[\"{key}\"] is required and must be {what}");
        ErrorObject::new(code::INVALID_PARAMS, text)
    };
    let version = params.meta_value(meta::PROTOCOL_VERSION);
    let version = version.filter(|v| v.text().is_some());
    let version = version.ok_or_else(|| missing(meta::PROTOCOL_VERSION, "a string"))?;
    let capabilities = params.meta_value(meta::CLIENT_CAPABILITIES);
    let capabilities = capabilities
        .filter(RawJson::is_object)
        .ok_or_else(|| missing(meta::CLIENT_CAPABILITIES, "an object"))?;
    Ok((version, capabilities))
}

fn log_level(params: &RawParams) -> Result<Option<LogLevel>, ErrorObject> {
    let Some(level) = params.meta_value(meta::LOG_LEVEL) else {
        return Ok(None);
    };
    let level = level.text().and_then(|level| level.parse().ok());
    level.map(Some).ok_or_else(|| {
        let text = format!("_meta[\"{}\"] is no log level", meta::LOG_LEVEL);
        ErrorObject::new(code::INVALID_PARAMS, text)
    })
}

/// R6, R8, R9: what a header says and what the body says are the same.
fn agree(
    mirror: &Mirror<'_>,
    version: &str,
    method: &Method,
    params: &RawParams,
) -> Result<(), ErrorObject> {
    fn plain(header: &str) -> Result<Cow<'_, str>, InvalidSentinel> {
        Ok(Cow::Borrowed(header.trim_matches([' ', '\t'])))
    }
    compare("MCP-Protocol-Version", mirror.version, Some(version), plain)?;
    compare("Mcp-Method", mirror.method, Some(method.as_str()), plain)?;
    let task;
    let source = match method {
        Method::ToolsCall | Method::PromptsGet => params.name_text(),
        Method::ResourcesRead => params.uri_text(),
        Method::Other(name) if is_about_a_task(name) => {
            task = params.get("taskId");
            task.as_ref().and_then(RawJson::text)
        }
        _ => return Ok(()),
    };
    compare("Mcp-Name", mirror.name, source.as_deref(), header::decode)
}

fn is_about_a_task(method: &str) -> bool {
    matches!(method, "tasks/get" | "tasks/update" | "tasks/cancel")
}

fn compare(
    name: &str,
    header: Mirrored<'_>,
    body: Option<&str>,
    read: impl FnOnce(&str) -> Result<Cow<'_, str>, InvalidSentinel>,
) -> Result<(), ErrorObject> {
    let why = match (header, body) {
        // The body lacks it too: a wrong parameter, not a wrong header.
        (Mirrored::Absent, None) => return Ok(()),
        (Mirrored::Absent, Some(_)) => "is missing",
        (Mirrored::Unreadable, _) => "is not readable, or there twice",
        (Mirrored::Text(text), body) => match read(text) {
            Err(InvalidSentinel) => "cannot be decoded",
            Ok(text) if Some(&*text) == body => return Ok(()),
            Ok(_) => "differs from the body",
        },
    };
    let text = format!("Header mismatch: {name} {why}");
    Err(ErrorObject::new(code::HEADER_MISMATCH, text))
}

/// R7. Who speaks the modern envelope with a legacy version is told of modern versions only: the
/// legacy ones need the other envelope.
fn supported(version: &str) -> Result<(), ErrorObject> {
    if version == Revision::NEWEST_MODERN.as_str() {
        return Ok(());
    }
    let known: Option<Revision> = version.parse().ok();
    let all = Revision::ALL.iter().map(|r| r.as_str());
    let supported: Vec<_> = match known {
        Some(_) => vec![Revision::NEWEST_MODERN.as_str()],
        None => all.collect(),
    };
    let requested: String = version.chars().take(64).collect();
    let data = serde_json::json!({ "supported": supported, "requested": requested });
    Err(ErrorObject::with_data(
        code::UNSUPPORTED_VERSION,
        "Unsupported protocol version",
        Some(&RawJson::of(&data)),
    ))
}

/// The answer to a modern request.
pub(crate) fn outcome(
    id: &RequestId,
    method: &Method,
    outcome: Outcome,
    signature: &Signature,
) -> Wire {
    match outcome {
        Outcome::Complete(result) if *method == Method::Listen => signature.end(id, &result),
        Outcome::Complete(result) if method.is_list() => signature.list(id, &result),
        Outcome::Complete(result) => signature.result(id, &result, is_cacheable(method)),
        Outcome::InputRequired(interim) => signature.result(id, &interim, false),
        Outcome::Error(error) => Wire::error(Some(id), &modern_error(error)),
        Outcome::Accepted => Wire::error(Some(id), &no_method(method)),
    }
}

/// Whether results must say how long, and for whom, they may be kept.
const fn is_cacheable(method: &Method) -> bool {
    matches!(
        method,
        Method::Discover
            | Method::ToolsList
            | Method::PromptsList
            | Method::ResourcesList
            | Method::ResourceTemplatesList
            | Method::ResourcesRead
    )
}

/// R30: codes of older revisions never reach a modern client.
fn modern_error(error: ErrorObject) -> ErrorObject {
    match error.code() {
        code::RESOURCE_NOT_FOUND => error.with_code(code::INVALID_PARAMS),
        code::URL_ELICITATION_REQUIRED => error.with_code(code::INTERNAL_ERROR),
        _ => error,
    }
}

/// The message that ends a subscription on a transport without streams of its own.
pub(crate) fn cancelled(id: &RequestId) -> Wire {
    let params = [b"{\"requestId\":", &id.json()[..], b"}"].concat();
    let params = RawParams::parse(Some(Bytes::from(params))).unwrap_or_default();
    Wire::notification(&Method::Cancelled, &params)
}
