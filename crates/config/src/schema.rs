//! The schema of the file: for editors, and for our own check.

use std::sync::LazyLock;

use serde_json::Value;

use crate::raw::RawFile;

/// Made once: a reload checks against the same.
pub(crate) static SCHEMA: LazyLock<Value> =
    LazyLock::new(|| schemars::schema_for!(RawFile).to_value());

/// The JSON Schema of the file, with a description of every key. `x-status` marks keys that are
/// accepted without effect (`not_active`) or refused (`not_implemented`) in this release.
pub fn schema() -> Value {
    SCHEMA.clone()
}
