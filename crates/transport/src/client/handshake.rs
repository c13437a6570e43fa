//! The messages that open a conversation, and what their answers prove.
//!
//! No error code, and no silence, says "I am a legacy server": legacy servers answer an unknown
//! method with whatever they please. So only a modern answer proves modern, and everything else
//! is worth an `initialize`.

use mcp_router_protocol::jsonrpc::{notification_parts, request_parts};
use mcp_router_protocol::params::meta;
use mcp_router_protocol::{Era, Method, RawJson, RawParams, RequestId, Revision, code};
use mcp_router_service::{BackendInfo, CallError, McpRequest, Reason, Sent};
use serde::Serialize;

use crate::client::dialect::{Answer, Dialect, protocol_error};
use crate::client::rope::Rope;

/// `server/discover` in the newest revision.
pub(crate) fn discover(id: u64, identity: &RawJson) -> Result<Rope, CallError> {
    let dialect = Dialect::new(Revision::NEWEST_MODERN, identity.clone());
    dialect.request(id, &McpRequest::new(Method::Discover, RawParams::default()))
}

/// `initialize`, offering the newest legacy revision.
pub(crate) fn initialize(id: u64, capabilities: &RawJson, info: &RawJson) -> Rope {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Initialize<'a> {
        protocol_version: &'a str,
        capabilities: &'a RawJson,
        client_info: &'a RawJson,
    }
    let params = RawParams::of(&Initialize {
        protocol_version: Revision::NEWEST_LEGACY.as_str(),
        capabilities,
        client_info: info,
    });
    request(id, &Method::Initialize, &params)
}

/// `notifications/initialized`.
pub(crate) fn initialized() -> Rope {
    let parts = notification_parts(&Method::Initialized, &RawParams::default());
    Rope::new(parts)
}

/// `ping`.
pub(crate) fn ping(id: u64) -> Rope {
    request(id, &Method::Ping, &RawParams::default())
}

/// `notifications/cancelled` for an earlier request.
pub(crate) fn cancelled(id: u64) -> Rope {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Cancelled {
        request_id: u64,
    }
    let params = RawParams::of(&Cancelled { request_id: id });
    Rope::new(notification_parts(&Method::Cancelled, &params))
}

fn request(id: u64, method: &Method, params: &RawParams) -> Rope {
    Rope::new(request_parts(&RequestId::number(id), method, params))
}

/// What the answer to `server/discover` proves.
#[derive(Debug)]
pub(crate) enum Probed {
    /// A modern backend, described if it described itself.
    Modern(BackendInfo),
    /// Nothing modern: try `initialize`.
    Legacy,
    /// A modern backend without a revision that the router speaks.
    NoCommonVersion,
}

/// Reads the answer to `server/discover`.
pub(crate) fn read_discover(answer: &Answer, transport: &str) -> Probed {
    let known = BackendInfo {
        modern: true,
        mirrors: transport != "stdio",
        hop: format!("{} {transport}", Revision::NEWEST_MODERN),
        ..BackendInfo::default()
    };
    let (versions, info) = match answer {
        Ok(result) => {
            // Some legacy servers answer anything with an empty result.
            let capabilities = result.get("capabilities").filter(RawJson::is_object);
            let Some((versions, capabilities)) = result.get("supportedVersions").zip(capabilities)
            else {
                return Probed::Legacy;
            };
            let info = BackendInfo {
                capabilities: Some(capabilities),
                server_info: result.get("_meta").and_then(|m| m.get(meta::SERVER_INFO)),
                instructions: result.get_str("instructions"),
                ..known
            };
            (versions, info)
        }
        Err(error) if error.code() == code::UNSUPPORTED_VERSION => {
            match error.data().and_then(|d| d.get("supported")) {
                Some(versions) => (versions, known),
                None => return Probed::NoCommonVersion,
            }
        }
        Err(error) if code::is_modern(error.code()) => {
            return Probed::Modern(known);
        }
        Err(_) => return Probed::Legacy,
    };
    let versions: Vec<String> = versions.read_owned().unwrap_or_default();
    let known: Vec<Revision> = versions.iter().filter_map(|v| v.parse().ok()).collect();
    if known.iter().any(|v| v.era() == Era::Modern) {
        Probed::Modern(info)
    } else if known.is_empty() {
        Probed::NoCommonVersion
    } else {
        Probed::Legacy
    }
}

/// Reads the answer to `initialize`.
pub(crate) fn read_initialize(
    answer: Answer,
    transport: &str,
) -> Result<(Revision, BackendInfo), CallError> {
    let result = answer.map_err(|error| {
        let detail = format!("initialize: error {}", error.code());
        CallError::new(Reason::ProtocolError, Sent::No).detail(detail)
    })?;
    let version = result.get_str("protocolVersion").unwrap_or_default();
    let revision: Revision = version
        .parse()
        .ok()
        .filter(|r: &Revision| r.era() == Era::Legacy)
        .ok_or_else(no_common_version)?;
    let info = BackendInfo {
        capabilities: result.get("capabilities").filter(RawJson::is_object),
        server_info: result.get("serverInfo"),
        instructions: result.get_str("instructions"),
        // What a session of an older revision holds, nobody can see from here.
        stateful: true,
        attach: false,
        hop: format!("{revision} {transport}"),
        ..BackendInfo::default()
    };
    Ok((revision, info))
}

pub(crate) fn no_common_version() -> CallError {
    let mut error = protocol_error("no common protocol version");
    error.sent = Sent::No;
    error
}

#[cfg(test)]
mod tests {
    use mcp_router_protocol::ErrorObject;

    use super::*;

    fn raw(text: &'static str) -> RawJson {
        RawJson::from_static(text)
    }

    fn error(code: i64, data: Option<&'static str>) -> Answer {
        let data = data.map(raw);
        Err(ErrorObject::with_data(code, "x", data.as_ref()))
    }

    #[test]
    fn r46_only_modern_answers_prove_modern() {
        let modern = r#"{"supportedVersions":["2027-01-01","2026-07-28"],"capabilities":{"tools":{}},"instructions":"i","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}}}"#;
        let Probed::Modern(info) = read_discover(&Ok(raw(modern)), "stdio") else {
            panic!()
        };
        assert_eq!(info.hop, "2026-07-28 stdio");
        assert!(info.can("tools") && info.instructions.is_some() && info.server_info.is_some());
        for code in [code::HEADER_MISMATCH, code::MISSING_CLIENT_CAPABILITY] {
            let probed = read_discover(&error(code, None), "stdio");
            assert!(matches!(probed, Probed::Modern(_)), "{code}");
        }
    }

    #[test]
    fn r46_anything_else_is_worth_an_initialize() {
        for answer in [
            Ok(raw("{}")),
            Ok(raw("[]")),
            Ok(raw(
                r#"{"supportedVersions":["2025-11-25"],"capabilities":{}}"#,
            )),
            error(-32601, None),
            error(-32602, None),
            error(-32000, None),
            error(0, None),
            error(-32022, Some(r#"{"supported":["2025-11-25"]}"#)),
        ] {
            let probed = read_discover(&answer, "stdio");
            assert!(matches!(probed, Probed::Legacy), "{answer:?}: {probed:?}");
        }
        for data in [None, Some(r#"{"supported":["2099-01-01"]}"#)] {
            let probed = read_discover(&error(-32022, data), "stdio");
            assert!(matches!(probed, Probed::NoCommonVersion));
        }
    }

    #[test]
    fn any_legacy_revision_is_accepted_and_no_other() {
        let init = |v: &str| {
            let text = format!(r#"{{"protocolVersion":"{v}","capabilities":{{}}}}"#);
            read_initialize(Ok(RawJson::parse(text.into()).unwrap()), "sse")
        };
        let (revision, info) = init("2024-11-05").unwrap();
        assert_eq!(revision, Revision::V2024_11_05);
        assert_eq!(info.hop, "2024-11-05 sse");
        for version in ["2026-07-28", "1.0", ""] {
            assert_eq!(init(version).unwrap_err().reason, Reason::ProtocolError);
        }
        assert!(read_initialize(error(-32600, None), "sse").is_err());
    }
}
