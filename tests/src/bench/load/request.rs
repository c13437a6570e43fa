//! The requests of the load generator, in the revision it was told.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::Full;

use super::Load;
use crate::fixture::{Era, MODERN};

/// The `params._meta` of stateless requests.
const MODERN_META: &str = concat!(
    r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
    r#""io.modelcontextprotocol/clientCapabilities":{}}"#
);

/// Opens a session.
pub(super) const HELLO: &str = concat!(
    r#"{"jsonrpc":"2.0","id":"hello","method":"initialize","params":{"#,
    r#""protocolVersion":"2025-11-25","capabilities":{},"#,
    r#""clientInfo":{"name":"bench","version":"1"}}}"#,
);

/// Says that the session is open.
pub(super) const READY: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

impl Load {
    /// Request number `id` of the connection with this session.
    pub(super) fn request(&self, id: usize, session: Option<&str>) -> Request<Full<Bytes>> {
        let modern = self.era == Era::Modern;
        let meta = if modern { MODERN_META } else { r#""_meta":{}"# };
        let tool = match self.tool.len() {
            0 => None,
            // Connections begin with different tools, and go on to others where the numbers of
            // both have no common divisor.
            count => self.tool.get(id % count),
        };
        let (method, params) = match tool {
            Some(tool) => {
                let arguments = self.arguments();
                let params = format!(r#""name":"{tool}","arguments":{arguments},{meta}"#);
                ("tools/call", params)
            }
            None => ("tools/list", meta.to_owned()),
        };
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}}}}}"#);
        let mut request = self.post(body, session);
        if modern {
            let headers = request.headers_mut();
            headers.insert("mcp-protocol-version", HeaderValue::from_static(MODERN));
            headers.insert("mcp-method", HeaderValue::from_static(method));
            if let Some(name) = tool.and_then(|tool| tool.parse().ok()) {
                headers.insert("mcp-name", name);
            }
        }
        request
    }

    fn arguments(&self) -> String {
        match &self.arguments {
            Some(given) => given.clone(),
            None => format!(r#"{{"text":"{}"}}"#, "x".repeat(self.payload)),
        }
    }

    /// A message in its HTTP request.
    pub(super) fn post(
        &self,
        body: impl Into<Bytes>,
        session: Option<&str>,
    ) -> Request<Full<Bytes>> {
        let mut builder = Request::builder()
            .method(Method::POST)
            .uri(self.path.as_str())
            .header(header::HOST, self.addr.to_string())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, text/event-stream");
        if let Some(session) = session {
            builder = builder
                .header("mcp-session-id", session)
                .header("mcp-protocol-version", "2025-11-25");
        }
        builder
            .body(Full::new(body.into()))
            .expect("constant headers and a session id that came as one")
    }
}
