//! Calls to a modern backend: each says all about itself, in its body and in its headers.

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::mirror::PREFIX;
use mcp_router_protocol::{Method, RawJson, RawParams, Revision, code, header};
use mcp_router_service::{CallError, Event, McpRequest, McpResponse, Outcome, Reason, Sent};

use super::edge::{Edge, PROTOCOL_VERSION};
use super::exchange::Exchange;
use super::negotiate::Peer;
use super::traced::name_span;
use crate::client::dialect::{Asked, Dialect};
use crate::client::respond::{Source, respond};

const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// The headers that all requests share, with room for those that [`headers`] puts there.
pub(super) fn template(dialect: &Dialect) -> HeaderMap {
    let version = HeaderValue::from_static(dialect.revision.as_str());
    let room = HeaderValue::from_static("");
    HeaderMap::from_iter([
        (PROTOCOL_VERSION, version),
        (METHOD, room.clone()),
        (NAME, room),
    ])
}

/// The headers that repeat what the body says, put into a copy of the [`template`]. Made here,
/// never copied from anywhere.
pub(super) fn headers(mut headers: HeaderMap, request: &McpRequest) -> HeaderMap {
    let method = match &request.method {
        Method::ToolsCall => Some(HeaderValue::from_static("tools/call")),
        other => value(other.as_str()),
    };
    let params = &request.params;
    let name = match &request.method {
        Method::ToolsCall | Method::PromptsGet => params.name_text(),
        Method::ResourcesRead => params.uri_text(),
        Method::Other(method) if method.starts_with("tasks/") => {
            let id = params.get("taskId").and_then(|id| id.read_owned().ok());
            id.map(Cow::Owned)
        }
        _ => None,
    };
    for (header, value) in [(METHOD, method), (NAME, name.and_then(|name| value(&name)))] {
        match value {
            Some(value) => headers.insert(header, value),
            None => headers.remove(header),
        };
    }
    if request.method == Method::ToolsCall {
        repeat_params(request, &mut headers);
    }
    name_span(&mut headers, &request.context);
    headers
}

/// A text as a header's value.
fn value(text: &str) -> Option<HeaderValue> {
    let value = HeaderValue::from_str(&header::encode(text));
    // Encoded text is visible ASCII.
    value
        .inspect_err(|error| tracing::error!(%error, "a header cannot be written"))
        .ok()
}

/// R26: the arguments that the tool marked, and the client's headers that repeat something else:
/// whoever does not know what they are for hands them on.
fn repeat_params(request: &McpRequest, headers: &mut HeaderMap) {
    let context = &request.context;
    let mirror = context.mirror.as_deref();
    let arguments = mirror.and_then(|_| request.params.arguments());
    let own = mirror.map(|mirror| mirror.headers(arguments.as_ref()));
    let own = own
        .into_iter()
        .flatten()
        .map(|(name, value)| (name, Cow::Owned(value)));
    let unknown = context.param_headers.unknown(mirror);
    let unknown = unknown.filter_map(|h| Some((&*h.name, Cow::Borrowed(h.value.as_deref()?))));
    for (name, value) in own.chain(unknown) {
        let name = HeaderName::try_from(format!("{PREFIX}{name}"));
        let value = HeaderValue::from_str(&value);
        match (name, value) {
            (Ok(name), Ok(value)) => drop(headers.insert(name, value)),
            // Marks are header names, and values were encoded or came as headers.
            _ => tracing::error!("a header of a parameter cannot be written"),
        }
    }
}

/// The headers of `server/discover`.
pub(super) fn discover_headers(identity: &RawJson) -> HeaderMap {
    let dialect = Dialect::new(Revision::NEWEST_MODERN, identity.clone());
    headers(
        template(&dialect),
        &McpRequest::new(Method::Discover, RawParams::default()),
    )
}

/// One call. Dropping it closes its stream, which is how a modern backend is told.
pub(super) async fn call(
    edge: &Arc<Edge>,
    peer: &Arc<Peer>,
    request: McpRequest,
) -> Result<McpResponse, CallError> {
    if request.method.is_notification() {
        // There are none from client to server over this transport.
        dropped::count_of(Dropped::ClientNotificationUnwanted, &request.method);
        return Ok(McpResponse::Ready(Outcome::Accepted));
    }
    let id = edge.next_id();
    let permit = edge.wire.permit().await?;
    let body = peer.dialect.request(id, &request)?;
    let headers = headers(peer.posting.clone(), &request);
    let asked = edge.ask_with(&peer.url, headers, body, id, Some(permit));
    let mut messages = asked.await.map_err(|failed| {
        if matches!(failed.status.map(|s| s.as_u16()), Some(404 | 405)) {
            // What answers here now is not what was found here.
            edge.link.wake();
        }
        failed.error
    })?;
    if let Some(answer) = messages.only_answer(id) {
        let outcome = peer.dialect.outcome(&Asked::of(&request), answer)?;
        return Ok(McpResponse::Ready(known_version(edge, outcome)?));
    }
    let exchange = Exchange::reading(edge, &request, id, messages, peer.dialect.clone());
    Box::pin(respond(Versioned(exchange))).await
}

/// A call whose backend may have changed its revision under us.
struct Versioned(Exchange);

impl Source for Versioned {
    async fn next(&mut self) -> Result<Event, CallError> {
        match self.0.next().await? {
            Event::Outcome(outcome) => known_version(&self.0.edge, outcome).map(Event::Outcome),
            event => Ok(event),
        }
    }
}

/// An outcome, unless it says that our revision is none of the backend's any more.
fn known_version(edge: &Edge, outcome: Outcome) -> Result<Outcome, CallError> {
    if let Outcome::Error(error) = &outcome
        && error.code() == code::UNSUPPORTED_VERSION
    {
        edge.link.wake();
        let error = CallError::new(Reason::ProtocolError, Sent::RejectedUnexecuted);
        return Err(error.detail("protocol version no longer supported"));
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use mcp_router_protocol::Mirror;
    use mcp_router_service::{ParamHeader, ParamHeaders};

    use super::*;

    fn made(method: Method, params: &'static str) -> HeaderMap {
        let params = RawParams::parse(Some(params.into())).unwrap();
        let dialect = Dialect::new(Revision::V2026_07_28, RawJson::from_static("{}"));
        headers(template(&dialect), &McpRequest::new(method, params))
    }

    #[test]
    fn r19_headers_repeat_the_backends_own_names() {
        let call = made(Method::ToolsCall, r#"{"name":"echo"}"#);
        assert_eq!(call["mcp-method"], "tools/call");
        assert_eq!(call["mcp-name"], "echo");
        assert_eq!(call["mcp-protocol-version"], "2026-07-28");
        let read = made(Method::ResourcesRead, r#"{"uri":"a:1"}"#);
        assert_eq!(read["mcp-name"], "a:1");
        let task = made(Method::from("tasks/get"), r#"{"taskId":"t1"}"#);
        assert_eq!(task["mcp-name"], "t1");
        assert!(!made(Method::ToolsList, "{}").contains_key("mcp-name"));
    }

    #[test]
    fn r26_marked_arguments_are_repeated_and_unknown_headers_handed_on() {
        let tool = RawJson::from_static(
            r#"{"inputSchema":{"properties":{"region":{"type":"string","x-mcp-header":"Region"},
            "gone":{"type":"string","x-mcp-header":"Gone"}}}}"#,
        );
        let params = r#"{"name":"t","arguments":{"region":" a","gone":null}}"#;
        let params = RawParams::parse(Some(params.into())).unwrap();
        let mut request = McpRequest::new(Method::ToolsCall, params);
        request.context.mirror = Mirror::of(&tool).unwrap().map(Arc::new);
        let header = |name: &str| ParamHeader {
            name: name.into(),
            value: Some("client".into()),
        };
        let sent = [header("region"), header("gone"), header("trace")];
        request.context.param_headers = ParamHeaders::Some(sent.into());
        let dialect = Dialect::new(Revision::V2026_07_28, RawJson::from_static("{}"));
        let made = headers(template(&dialect), &request);
        assert_eq!(made["mcp-param-region"], "=?base64?IGE=?=");
        assert_eq!(made["mcp-param-trace"], "client");
        assert!(!made.contains_key("mcp-param-gone"));
    }

    #[test]
    fn b24_no_name_reaches_the_wire_raw() {
        let call = made(Method::ToolsCall, r#"{"name":"a\r\nX: y"}"#);
        assert_eq!(call["mcp-name"], "=?base64?YQ0KWDogeQ==?=");
        let method = made(Method::from("x\ny"), "{}");
        assert!(
            method["mcp-method"]
                .to_str()
                .unwrap()
                .starts_with("=?base64?")
        );
    }
}
