//! The checks of headers: who asks, and, in the modern era, whether they say what the body says.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::super::catalogue::{HEADER_ARGUMENT, HEADER_SUFFIX, HEADER_TOOL};
use super::super::modern;

pub(crate) const VERSION: &str = "mcp-protocol-version";

pub(crate) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// The refusal of a request that a page in a browser may have made.
pub(crate) fn foreign(headers: &HeaderMap) -> Option<StatusCode> {
    let host = value(headers, "host").unwrap_or_default();
    let origin = value(headers, "origin");
    let origin_host =
        origin.map(|origin| origin.split_once("://").map_or(origin, |(_, host)| host));
    let all_local = is_local(host) && origin_host.is_none_or(is_local);
    (!all_local).then_some(StatusCode::FORBIDDEN)
}

fn is_local(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    matches!(host, "localhost" | "127.0.0.1" | "::1")
}

/// In what the headers of a modern request differ from its body, its mirrored argument included.
pub(super) fn mismatch(headers: &HeaderMap, message: &Value) -> Option<String> {
    envelope_mismatch(headers, message).or_else(|| {
        let params = &message["params"];
        let mirrored = message["method"] == "tools/call" && params["name"] == HEADER_TOOL;
        let argument = params["arguments"][HEADER_ARGUMENT].as_str();
        let name = format!("mcp-param-{HEADER_SUFFIX}").to_lowercase();
        mirrored.then(|| differs(headers, &name, argument))?
    })
}

/// In what the headers that all requests have differ from the body.
pub(crate) fn envelope_mismatch(headers: &HeaderMap, message: &Value) -> Option<String> {
    let params = &message["params"];
    let method = message["method"].as_str();
    let name = match method {
        Some("tools/call" | "prompts/get") => params["name"].as_str(),
        Some("resources/read") => params["uri"].as_str(),
        Some("tasks/get" | "tasks/update" | "tasks/cancel") => params["taskId"].as_str(),
        _ => None,
    };
    differs(headers, VERSION, modern::version(message))
        .or_else(|| differs(headers, "mcp-method", method))
        .or_else(|| name.and_then(|name| differs(headers, "mcp-name", Some(name))))
}

fn differs(headers: &HeaderMap, name: &str, expected: Option<&str>) -> Option<String> {
    let found = headers.get(name).map(|raw| decode(raw.as_bytes()));
    let agrees = match (&found, expected) {
        (Some(Some(found)), Some(expected)) => found == expected,
        (None, None) => true,
        _ => false,
    };
    (!agrees).then(|| format!("{name} differs from the body"))
}

/// A header's value, taken out of its wrapping if it has one; none if the wrapping holds no Base64 text.
fn decode(raw: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(raw).ok()?.trim();
    let wrapped = text
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="));
    match wrapped {
        None => Some(text.to_owned()),
        Some(wrapped) => String::from_utf8(STANDARD.decode(wrapped).ok()?).ok(),
    }
}
