//! JSON-RPC and MCP error codes, each with the revision that defines it.

/// The body is not JSON.
pub const PARSE_ERROR: i64 = -32700;
/// The JSON is not an acceptable JSON-RPC message.
pub const INVALID_REQUEST: i64 = -32600;
/// The method is unknown, or was removed in the revision spoken.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// The parameters are wrong: unknown tool, bad cursor, missing `_meta`.
pub const INVALID_PARAMS: i64 = -32602;
/// The router or a backend failed.
pub const INTERNAL_ERROR: i64 = -32603;
/// No such resource (legacy revisions only).
pub const RESOURCE_NOT_FOUND: i64 = -32002;
/// A header is missing, undecodable or differs from the body (2026-07-28).
pub const HEADER_MISMATCH: i64 = -32020;
/// The client lacks a capability that the request needs (2026-07-28).
pub const MISSING_CLIENT_CAPABILITY: i64 = -32021;
/// The protocol version is not supported (2026-07-28).
pub const UNSUPPORTED_VERSION: i64 = -32022;
/// A URL must be visited first (2025-11-25 only).
pub const URL_ELICITATION_REQUIRED: i64 = -32042;

/// Whether `code` can only come from a peer that speaks a modern revision.
pub fn is_modern(code: i64) -> bool {
    (UNSUPPORTED_VERSION..=HEADER_MISMATCH).contains(&code)
}
