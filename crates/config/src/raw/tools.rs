//! What is exposed of a backend's tools, and how they are called.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_yaml::Mapping;

/// Which tools are exposed, and how.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Tools")]
pub(crate) struct RawTools {
    /// Patterns of tools that are exposed. Absent: all.
    pub(crate) allow: Option<Vec<String>>,
    /// Patterns of tools that are not, even if they are allowed.
    pub(crate) deny: Option<Vec<String>>,
    /// Own name to the name that clients see instead.
    pub(crate) rename: Option<BTreeMap<String, String>>,
    /// Patterns of tools that may be called twice.
    pub(crate) idempotent: Option<Vec<String>>,
    /// Pattern to seconds: one attempt at these tools. The first that matches counts.
    #[schemars(with = "Option<std::collections::BTreeMap<String, f64>>")]
    pub(crate) timeout_seconds: Option<Mapping>,
}
