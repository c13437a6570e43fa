//! What is exposed of a backend's tools, and how they are called.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

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
