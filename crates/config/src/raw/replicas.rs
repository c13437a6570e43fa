//! Several equal servers or processes.

use schemars::JsonSchema;
use serde::Deserialize;

/// Equal servers, or how many equal processes.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Replicas")]
pub(crate) enum RawReplicas {
    Servers(Vec<Option<RawReplica>>),
    Processes(#[schemars(range(min = 1, max = 1000))] u32),
}

/// One of several equal servers.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Replica")]
pub(crate) struct RawReplica {
    /// Where the server is.
    #[schemars(length(min = 1))]
    pub(crate) url: Option<String>,
    /// Lower is used first, with `load_balancing: priority`.
    #[schemars(range(min = 0))]
    pub(crate) priority: Option<u32>,
}
