//! Where messages do not fit their schema, and why that is right.

use serde_json::Value;

/// A message that does not fit.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) revision: &'a str,
    pub(super) message: &'a Value,
    /// Empty if there is none for it.
    pub(super) definition: &'a str,
}

/// A kind of deviation.
struct Known {
    applies: fn(&Case<'_>) -> bool,
    reason: &'static str,
}

const KNOWN: &[Known] = &[
    Known {
        applies: |case| case.message.get("error").is_some() && case.message["id"].is_null(),
        reason: "JSON-RPC wants `id: null` where the request's id could not be read; the schemas have \
                 no null among their ids, and clients of JSON-RPC expect the member",
    },
    Known {
        applies: |case| {
            let method = case.message["method"].as_str().unwrap_or_default();
            case.revision == "2026-07-28"
                && case.definition.is_empty()
                && (method.starts_with("tasks/") || method == "notifications/tasks")
        },
        reason: "the tasks extension has a schema of its own, apart from the protocol's",
    },
];

/// Why this deviation is right, if it is.
pub(super) fn reason(case: &Case<'_>) -> Option<&'static str> {
    let known = KNOWN.iter().find(|known| (known.applies)(case));
    known.map(|known| known.reason)
}

/// Whether `part` fits but for letters beyond ASCII, which no URI has. A backend that writes its
/// addresses with them is told them again as it wrote them: encoded they would be other addresses to
/// it, and to everybody who knows them.
pub(super) fn foreign_letters_alone(
    wrong: impl Fn(&Value) -> Option<String>,
    part: &Value,
) -> bool {
    let text = part.to_string();
    if text.is_ascii() {
        return false;
    }
    let plain: String = text
        .chars()
        .map(|c| if c.is_ascii() { c } else { 'x' })
        .collect();
    serde_json::from_str(&plain).is_ok_and(|plain| wrong(&plain).is_none())
}
