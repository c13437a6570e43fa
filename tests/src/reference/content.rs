//! The things that tools, prompts and resources give.

use serde_json::{Value, json};

/// One red pixel.
pub(super) const IMAGE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/// A WAVE file without samples.
const SOUND: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";

pub(super) fn text(text: impl Into<String>) -> Value {
    json!({"type": "text", "text": text.into()})
}

pub(super) fn image() -> Value {
    json!({"type": "image", "data": IMAGE, "mimeType": "image/png"})
}

pub(super) fn sound() -> Value {
    json!({"type": "audio", "data": SOUND, "mimeType": "audio/wav"})
}

pub(super) fn embedded(uri: &str, kind: &str, text: &str) -> Value {
    json!({"type": "resource", "resource": {"uri": uri, "mimeType": kind, "text": text}})
}

/// A tool's result of one text.
pub(super) fn says(words: impl Into<String>) -> Value {
    json!({"content": [text(words)]})
}

/// What a resource holds; none if there is no such resource.
pub(super) fn resource(uri: &str) -> Option<Value> {
    let words = |text: &str| json!({"uri": uri, "mimeType": "text/plain", "text": text});
    let content = match uri {
        "test://static-text" => words("This is the content of the static text resource."),
        "test://watched-resource" => words("Watched resource content"),
        "test://static-binary" => json!({"uri": uri, "mimeType": "image/png", "blob": IMAGE}),
        _ => {
            let id = uri
                .strip_prefix("test://template/")?
                .strip_suffix("/data")
                .filter(|id| !id.is_empty() && !id.contains('/'))?;
            let text =
                json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
            json!({"uri": uri, "mimeType": "application/json", "text": text.to_string()})
        }
    };
    Some(json!({"contents": [content]}))
}
