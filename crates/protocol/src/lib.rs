//! What MCP says on the wire: messages, ids, error codes, names
#![forbid(unsafe_code)]
