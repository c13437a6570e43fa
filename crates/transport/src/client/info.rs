//! Who the router says it is.

use mcp_router_protocol::RawJson;
use serde::Serialize;

/// The `clientInfo` of requests that the router makes for itself, and of sessions that many
/// clients share.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Identity {
    /// The router's name.
    pub name: String,
    /// The router's version.
    pub version: String,
}

impl Identity {
    /// As JSON, ready for the wire.
    pub(crate) fn json(&self) -> RawJson {
        RawJson::of(self)
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            name: "mcp-router".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
