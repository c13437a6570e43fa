//! The span of a call, for what looks at the headers of a backend's requests.
//!
//! MCP's place for it is `_meta`, and there it is ([`dialect`](crate::client::dialect)). But a proxy
//! or web framework on the way to the server knows nothing of `_meta`; without the header its spans
//! would be in a trace of their own.

use http::{HeaderMap, HeaderName, HeaderValue};
use mcp_router_service::RequestContext;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Names the call's span, if the call is traced here. Made here, never copied from anywhere.
pub(super) fn name_span(headers: &mut HeaderMap, context: &RequestContext) {
    let Some(trace) = context.trace else {
        return;
    };
    match HeaderValue::try_from(trace.to_string()) {
        Ok(value) => drop(headers.insert(TRACEPARENT, value)),
        // Hexadecimal digits and dashes.
        Err(error) => tracing::error!(%error, "a header cannot be written"),
    }
}
