//! The list `alerts`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// Who is told when a backend becomes unhealthy or recovers.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Alert")]
pub(crate) struct RawAlert {
    /// What it speaks: `webhook` (JSON of the router's own), `slack` (and whoever takes
    /// the same) or `pagerduty` (Events API v2).
    pub(crate) r#type: Option<RawAlertType>,
    /// Where it is; required but for `pagerduty`, where it replaces PagerDuty's own address. A secret:
    /// never shown.
    #[schemars(length(min = 1))]
    pub(crate) url: Option<String>,
    /// Integration key of the PagerDuty service; required for `pagerduty`. A secret, too.
    #[schemars(length(min = 1))]
    pub(crate) routing_key: Option<String>,
    /// Headers to send along, as secrets.
    pub(crate) headers: Option<BTreeMap<String, String>>,
}

/// What the receiver of an alert speaks.
#[derive(Clone, Copy, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AlertType")]
pub(crate) enum RawAlertType {
    Webhook,
    Slack,
    Pagerduty,
}
