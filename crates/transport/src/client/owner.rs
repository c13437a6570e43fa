//! Who a conversation with a backend is for.

use mcp_router_protocol::RawJson;
use mcp_router_service::{Scope, Session};

use crate::client::able;

/// Who a conversation is for, and so what the backend is told and whom its messages concern.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    /// The capabilities to declare, an object.
    pub(crate) declared: RawJson,
    /// `clientInfo`.
    pub(crate) info: RawJson,
    /// Whom its notifications concern.
    pub(crate) scope: Scope,
}

impl Owner {
    /// The router itself, whose name is `identity`: it declares whatever can be brought to some
    /// client, or servers would hide what needs it.
    pub(crate) fn router(identity: &RawJson) -> Self {
        Self::many(able::everything(), identity)
    }

    /// Clients who can do the same: what `declared` says.
    pub(crate) fn many(declared: RawJson, identity: &RawJson) -> Self {
        Self {
            declared,
            info: identity.clone(),
            scope: Scope::Shared,
        }
    }

    /// Whether the backend may ask for anything.
    pub(crate) fn may_ask(&self) -> bool {
        self.declared != able::nothing()
    }

    /// One client, as it described itself.
    pub(crate) fn client(session: &Session, identity: &RawJson) -> Self {
        let client = session.client();
        Self {
            declared: able::declared(client),
            info: client.info.clone().unwrap_or_else(|| identity.clone()),
            scope: Scope::Session(session.clone()),
        }
    }
}
