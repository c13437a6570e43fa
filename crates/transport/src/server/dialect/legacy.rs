//! 2024-11-05 to 2025-11-25: a handshake opens a session, and results are plain.

use bytes::Bytes;
use mcp_router_protocol::ask::declared;
use mcp_router_protocol::json::set_members;
use mcp_router_protocol::jsonrpc::result_parts;
use mcp_router_protocol::params::meta;
use mcp_router_protocol::result::{to_legacy, to_legacy_slices};
use mcp_router_protocol::shape::to_revision;
use mcp_router_protocol::{
    ErrorObject, Method, Noted, RawJson, RawParams, RequestId, Revision, code,
};
use mcp_router_service::{
    ClientProfile, McpRequest, McpResponse, McpService, Outcome, RequestContext, Session,
};
use tower::ServiceExt;

use super::kept::Kept;
use super::mention::{CACHE_SCOPE, Mention, RESULT_TYPE, SERVER_INFO, TTL_MS};
use super::modern::is_modern_only;
use super::{Wire, level, no_method};
use crate::server::peer::Hello;

/// Most that a session keeps of what its client said about itself.
const MAX_PROFILE: usize = 64 << 10;

/// Reads `initialize`: the revision to speak, and who the client is.
///
/// # Errors
/// -32602, saying which parameter is wrong.
pub(crate) fn hello(params: &RawParams) -> Result<Hello, ErrorObject> {
    let wrong = |text: &str| ErrorObject::new(code::INVALID_PARAMS, text);
    let version: Option<String> = params
        .get("protocolVersion")
        .and_then(|v| v.read_owned().ok());
    let version = version.ok_or_else(|| wrong("params.protocolVersion must be a string"))?;
    let capabilities = params.get("capabilities");
    if capabilities.as_ref().is_some_and(|c| !c.is_object()) {
        return Err(wrong("params.capabilities must be an object"));
    }
    let info = params.get("clientInfo");
    let size = |v: &Option<RawJson>| v.as_ref().map_or(0, |v| v.bytes().len());
    if size(&info) + size(&capabilities) > MAX_PROFILE {
        return Err(wrong("clientInfo and capabilities are over 64 KiB"));
    }
    let revision = Revision::negotiate_legacy(&version);
    let none = RawJson::from_static("{}");
    let client = ClientProfile {
        info: info.filter(RawJson::is_object).map(own),
        capabilities: Some(declared(&capabilities.unwrap_or(none), revision)),
        takes_input_required: false,
        ..ClientProfile::default()
    };
    let client = std::sync::Arc::new(client);
    Ok(Hello { revision, client })
}

/// Answers what needs no backend; `None` for everything that is the router's.
pub(crate) fn local(
    session: &Session,
    method: &Method,
    params: &RawParams,
) -> Option<Result<RawJson, ErrorObject>> {
    match method {
        Method::Ping => Some(Ok(RawJson::from_static("{}"))),
        Method::SetLevel => {
            let Some(level) = level::read(params) else {
                let text = "params.level is no log level";
                return Some(Err(ErrorObject::new(code::INVALID_PARAMS, text)));
            };
            session.set_log_level(level);
            // The router tells backends.
            None
        }
        modern if is_modern_only(modern) => Some(Err(no_method(modern))),
        notification if notification.is_notification() => Some(Err(no_method(notification))),
        _ => None,
    }
}

/// A copy that does not keep the whole request alive as long as the session.
fn own(value: RawJson) -> RawJson {
    RawJson::from_checked(Bytes::copy_from_slice(value.bytes()))
}

/// Answers `initialize` from what the router says of itself.
pub(crate) async fn welcome(
    router: McpService,
    revision: Revision,
    context: RequestContext,
) -> Result<RawJson, ErrorObject> {
    let request = McpRequest {
        method: Method::Discover,
        params: RawParams::default(),
        context: context.into(),
    };
    let outcome = match router.oneshot(request).await {
        Ok(McpResponse::Ready(outcome)) => outcome,
        Ok(stream) => match stream.outcome().await {
            Ok(outcome) => outcome,
            Err(error) => error.into_outcome(&Method::Initialize),
        },
        Err(error) => error.into_outcome(&Method::Initialize),
    };
    match outcome {
        Outcome::Complete(discover) => Ok(initialize_result(revision, &discover)),
        Outcome::Error(error) => Err(error),
        Outcome::InputRequired(_) | Outcome::Accepted => Err(ErrorObject::new(
            code::INTERNAL_ERROR,
            "the router does not describe itself",
        )),
    }
}

fn initialize_result(revision: Revision, discover: &RawJson) -> RawJson {
    let object = |value: Option<RawJson>| {
        value
            .filter(RawJson::is_object)
            .unwrap_or_else(|| RawJson::from_static("{}"))
    };
    let mut capabilities = without_tasks(object(discover.get("capabilities")));
    if revision < Revision::V2025_03_26 {
        // Completion is asked for there without its being declared.
        let without = set_members(&capabilities, &[("completions", None)]);
        capabilities = without.unwrap_or(capabilities);
    }
    let info = discover
        .get("_meta")
        .and_then(|m| m.get(meta::SERVER_INFO))
        .filter(RawJson::is_object)
        .unwrap_or_else(|| RawJson::from_static(r#"{"name":"mcp-router","version":""}"#));
    let mut text = format!(
        r#"{{"protocolVersion":"{revision}","capabilities":{},"serverInfo":{}"#,
        capabilities.as_str(),
        info.as_str()
    );
    if let Some(instructions) = discover.get("instructions") {
        text.push_str(",\"instructions\":");
        text.push_str(instructions.as_str());
    }
    text.push('}');
    RawJson::from_checked(text.into())
}

/// Tasks of the extension are polled with methods that legacy revisions do not have; the other
/// extension is for them, too.
fn without_tasks(capabilities: RawJson) -> RawJson {
    let Some(extensions) = capabilities.get("extensions") else {
        return capabilities;
    };
    let rest = set_members(&extensions, &[("io.modelcontextprotocol/tasks", None)]);
    let rest = rest.ok().filter(|rest| rest.as_str() != "{}");
    let rest = rest.as_ref().map(|rest| &rest.bytes()[..]);
    set_members(&capabilities, &[("extensions", rest)]).unwrap_or(capabilities)
}

/// Who asks makes no difference here but by its revision.
static LISTS: Kept = Kept::new();

/// The answer to a legacy request.
pub(crate) fn outcome(
    id: &RequestId,
    method: &Method,
    revision: Revision,
    outcome: Outcome,
) -> Wire {
    match outcome {
        Outcome::Complete(result) if method.is_list() => {
            let make = || plain(&to_revision(method, &result, revision));
            let kept = LISTS.of(&result, revision, make);
            Wire::result(id, &kept.unwrap_or_else(make))
        }
        Outcome::Complete(result) => {
            let result = to_revision(method, &result, revision);
            match untyped(&result) {
                Some(rest) => Wire::of(result_parts(id, b"{", [rest])),
                None if is_plain(&result) => Wire::result(id, &result),
                None => Wire::of(result_parts(id, b"", to_legacy_slices(&result))),
            }
        }
        Outcome::Error(error) => Wire::error(Some(id), &legacy_error(method, revision, error)),
        Outcome::Accepted => Wire::error(Some(id), &no_method(method)),
        // Backend edges ask by requests where the client cannot take this.
        Outcome::InputRequired(_) => {
            let text = format!("the backend needs input that {revision} cannot ask for");
            Wire::error(Some(id), &ErrorObject::new(code::INTERNAL_ERROR, text))
        }
    }
}

/// R29.
static MODERN: [&Mention; 4] = [&RESULT_TYPE, &TTL_MS, &CACHE_SCOPE, &SERVER_INFO];

/// What stands behind the brace of a result that begins with its type, as most servers write it,
/// and has nothing else that only modern clients know.
fn untyped(result: &RawJson) -> Option<Bytes> {
    const TYPED: &[u8] = br#"{"resultType":"complete","#;
    let rest = result.bytes().strip_prefix(TYPED)?;
    let mentioned = match result.says(Noted::ResultType) {
        // Once, as nothing is noted of a result with such a member twice.
        Some(_) => MODERN[1..].iter().any(|m| m.is_in(result)),
        None => MODERN.iter().any(|m| m.is_in_text(rest)),
    };
    (!mentioned).then(|| result.bytes().slice(TYPED.len()..))
}

/// A result without what only modern clients know.
fn plain(result: &RawJson) -> RawJson {
    match is_plain(result) {
        true => result.clone(),
        false => to_legacy(result),
    }
}

/// Whether a result is sure to have nothing that legacy revisions do not know.
fn is_plain(result: &RawJson) -> bool {
    !MODERN.iter().any(|m| m.is_in(result))
}

/// R30: "no such resource" has its own code here, modern codes have no meaning, and only the
/// newest of these revisions knows of URLs to be visited first.
fn legacy_error(method: &Method, revision: Revision, error: ErrorObject) -> ErrorObject {
    let of_resource = matches!(method, Method::ResourcesRead | Method::ResourcesSubscribe);
    let names_uri = || error.data().is_some_and(|d| d.get("uri").is_some());
    match error.code() {
        code::INVALID_PARAMS if of_resource && names_uri() => {
            error.with_code(code::RESOURCE_NOT_FOUND)
        }
        code::URL_ELICITATION_REQUIRED if revision < Revision::V2025_11_25 => {
            error.with_code(code::INTERNAL_ERROR)
        }
        modern if code::is_modern(modern) => error.with_code(code::INTERNAL_ERROR),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r30_codes_are_those_of_the_clients_revision() {
        let uri = RawJson::from_static(r#"{"uri":"a:1"}"#);
        let coded = |method: &Method, revision, code| {
            let error = ErrorObject::with_data(code, "m", Some(&uri));
            legacy_error(method, revision, error).code()
        };
        for (method, revision, code, expected) in [
            (Method::ResourcesRead, Revision::V2025_11_25, -32602, -32002),
            (Method::ToolsCall, Revision::V2025_11_25, -32602, -32602),
            (Method::ToolsCall, Revision::V2025_11_25, -32042, -32042),
            (Method::ToolsCall, Revision::V2025_06_18, -32042, -32603),
            (Method::ToolsCall, Revision::V2024_11_05, -32042, -32603),
            (Method::ToolsCall, Revision::V2025_11_25, -32021, -32603),
        ] {
            assert_eq!(
                coded(&method, revision, code),
                expected,
                "{revision} {code}"
            );
        }
    }

    #[test]
    fn r29_results_lose_what_only_modern_clients_know_wherever_it_stands() {
        let id = RequestId::number(1);
        for (result, left) in [
            (
                r#"{"resultType":"complete","content":[]}"#,
                r#"{"content":[]}"#,
            ),
            (
                r#"{"content":[],"resultType":"complete"}"#,
                r#"{"content":[]}"#,
            ),
            (r#"{"resultType":"complete"}"#, "{}"),
            (r#"{"resultType":"complete","ttlMs":5,"a":1}"#, r#"{"a":1}"#),
            (
                r#"{"resultType":"complete","a":"\"ttlMs\""}"#,
                r#"{"a":"\"ttlMs\""}"#,
            ),
            (r#"{"content":[]}"#, r#"{"content":[]}"#),
        ] {
            let result = RawJson::from_static(result);
            let revision = Revision::V2025_11_25;
            let wire = outcome(&id, &Method::ToolsCall, revision, Outcome::Complete(result));
            let text = String::from_utf8(wire.parts.concat()).unwrap();
            let expected = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{left}}}"#);
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn capabilities_are_those_of_the_clients_revision() {
        let discover = RawJson::from_static(
            r#"{"capabilities":{"completions":{},"extensions":{"io.modelcontextprotocol/tasks":{},"io.modelcontextprotocol/ui":{}}}}"#,
        );
        let shown = |revision| {
            let result = initialize_result(revision, &discover);
            result.get("capabilities").map(|c| c.as_str().to_owned())
        };
        let ui = r#""extensions":{"io.modelcontextprotocol/ui":{}}}"#;
        let oldest = shown(Revision::V2024_11_05);
        assert_eq!(oldest, Some(format!("{{{ui}")));
        let newest = shown(Revision::V2025_11_25);
        assert_eq!(newest, Some(format!(r#"{{"completions":{{}},{ui}"#)));
    }
}
