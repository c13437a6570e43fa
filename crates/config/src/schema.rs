//! The schema of the file: for editors, and for our own check.

use serde_json::Value;

use crate::raw::RawFile;

/// The JSON Schema of the file, with a description of every key.
pub fn schema() -> Value {
    schemars::schema_for!(RawFile).to_value()
}
