//! Keys whose behaviour comes with later releases. They are checked now, so that a file does not
//! turn out wrong on the day they work.

use schemars::JsonSchema;
use serde::Deserialize;

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
