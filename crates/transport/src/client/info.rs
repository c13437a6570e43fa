//! Who the router says it is, and what a backend says it is.

use std::collections::BTreeMap;

use mcp_router_protocol::params::meta;
use mcp_router_protocol::{RawJson, RawParams, Revision};
use mcp_router_service::BackendInfo;
use serde::Serialize;

/// Who the router is: `serverInfo` towards clients, and the `clientInfo` of requests that it makes
/// for itself and of sessions that many clients share.
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

/// What a legacy backend said in `initialize`, as a discover result of the inner dialect.
pub(crate) fn described(info: &BackendInfo) -> RawJson {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Described<'a> {
        supported_versions: [&'a str; 1],
        capabilities: &'a RawJson,
        #[serde(skip_serializing_if = "Option::is_none")]
        instructions: Option<&'a str>,
        #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
        meta: Option<BTreeMap<&'a str, &'a RawJson>>,
    }
    RawJson::of(&Described {
        supported_versions: [Revision::NEWEST_MODERN.as_str()],
        capabilities: info
            .capabilities
            .as_ref()
            .unwrap_or(&RawJson::from_static("{}")),
        instructions: info.instructions.as_deref(),
        meta: info
            .server_info
            .as_ref()
            .map(|info| BTreeMap::from([(meta::SERVER_INFO, info)])),
    })
}

/// The kinds of changes that a backend says it tells, as parameters of `subscriptions/listen`;
/// `None` if it tells none.
pub(crate) fn listen_params(info: &BackendInfo) -> Option<RawParams> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Kinds {
        tools_list_changed: bool,
        prompts_list_changed: bool,
        resources_list_changed: bool,
    }
    #[derive(Serialize)]
    struct Listen {
        notifications: Kinds,
    }
    let capabilities = info.capabilities.as_ref()?;
    let tells = |kind: &str| {
        let told = capabilities.get(kind).and_then(|k| k.get("listChanged"));
        told.is_some_and(|t| t.as_str() == "true")
    };
    let kinds = Kinds {
        tools_list_changed: tells("tools"),
        prompts_list_changed: tells("prompts"),
        resources_list_changed: tells("resources"),
    };
    let any =
        kinds.tools_list_changed || kinds.prompts_list_changed || kinds.resources_list_changed;
    any.then(|| {
        RawParams::of(&Listen {
            notifications: kinds,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_that_a_backend_tells_are_asked_for() {
        let info = |text| BackendInfo {
            capabilities: Some(RawJson::from_static(text)),
            ..BackendInfo::default()
        };
        assert!(listen_params(&info(r#"{"tools":{}}"#)).is_none());
        let params = listen_params(&info(r#"{"tools":{"listChanged":true},"prompts":{}}"#));
        assert_eq!(
            params.unwrap().json().unwrap().as_str(),
            r#"{"notifications":{"toolsListChanged":true,"promptsListChanged":false,"resourcesListChanged":false}}"#
        );
    }
}
