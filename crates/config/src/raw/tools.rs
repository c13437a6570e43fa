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
    /// Only these tools are exposed and can be called.
    pub(crate) allow: Option<Vec<String>>,
    /// These are not, even if they are allowed.
    pub(crate) deny: Option<Vec<String>>,
    /// Clients see and call the tool by its new name alone.
    pub(crate) rename: Option<BTreeMap<String, String>>,
    /// Calling these twice does no more than calling them once, so a lost answer is asked for
    /// again.
    pub(crate) idempotent: Option<Vec<String>>,
    /// One attempt at these tools; the first pattern that fits counts.
    #[schemars(with = "Option<std::collections::BTreeMap<String, f64>>")]
    pub(crate) timeout_seconds: Option<Mapping>,
}
