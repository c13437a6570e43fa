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
