//! Keys whose behaviour comes with later releases. They are checked now, so that a file does not
//! turn out wrong on the day they work.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// Equal servers, or how many equal processes.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Replicas")]
pub(crate) enum RawReplicas {
    Servers(Vec<Option<RawReplica>>),
    Processes(
        #[expect(dead_code, reason = "its range is checked; obeyed with replicas")]
        #[schemars(range(min = 1, max = 1000))]
        u32,
    ),
}

/// One of several equal servers.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Replica")]
pub(crate) struct RawReplica {
    /// Required.
    #[schemars(length(min = 1))]
    pub(crate) url: Option<String>,
    /// Lower is used first, with `load_balancing: priority`.
    #[schemars(range(min = 0))]
    pub(crate) priority: Option<u32>,
}

/// Which tools are exposed, and how.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Tools")]
pub(crate) struct RawTools {
    /// Patterns of tools that are exposed.
    pub(crate) allow: Option<Vec<String>>,
    /// Patterns of tools that are not.
    pub(crate) deny: Option<Vec<String>>,
    /// Own name to exposed name.
    pub(crate) rename: Option<BTreeMap<String, String>>,
    /// Patterns of tools that may be called twice.
    pub(crate) idempotent: Option<Vec<String>>,
}

/// Registration of backends at run time.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Registration")]
pub(crate) struct RawRegistration {
    /// Whether private and loopback addresses may be registered.
    pub(crate) allow_private: Option<bool>,
    /// Programs that may be registered.
    pub(crate) allow_commands: Option<Vec<String>>,
}

/// Who is told when a backend becomes unhealthy or recovers.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Alert")]
pub(crate) struct RawAlert {
    /// Required. What it speaks.
    pub(crate) r#type: Option<RawAlertType>,
    /// Where it is.
    #[schemars(length(min = 1))]
    pub(crate) url: Option<String>,
    /// Key of a PagerDuty service.
    #[schemars(length(min = 1))]
    pub(crate) routing_key: Option<String>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AlertType")]
pub(crate) enum RawAlertType {
    Webhook,
    Slack,
    Pagerduty,
}
