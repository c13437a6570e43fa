//! Registration of backends at run time.

use schemars::JsonSchema;
use serde::Deserialize;

/// Registration of backends at run time.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Registration")]
pub(crate) struct RawRegistration {
    /// Register servers at private, loopback and other addresses that are not the internet's.
    pub(crate) allow_private: Option<bool>,
    /// Programs that may be registered, with whatever arguments, and whole command lines. Allow no
    /// shell and no interpreter by its name alone: their arguments are programs.
    pub(crate) allow_commands: Option<Vec<String>>,
}
