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
pub(super) fn foreign_letters_alone(fits: impl Fn(&Value) -> bool, part: &Value) -> bool {
    let text = part.to_string();
    if text.is_ascii() {
        return false;
    }
    let plain: String = text
        .chars()
        .map(|c| if c.is_ascii() { c } else { 'x' })
        .collect();
    serde_json::from_str(&plain).is_ok_and(|plain| fits(&plain))
}

/// Whether `part` fits but for what a client answered to a server's questions. Forms may ask for any
/// number, but the schemas of the answers know integers alone; and an answer that is none at all, by
/// which the conformance suite tries servers, is for the server that asked to refuse.
pub(super) fn answers_alone(fits: impl Fn(&Value) -> bool, definition: &str, part: &Value) -> bool {
    let mut mended = part.clone();
    if definition == "ElicitResult" {
        round(&mut mended);
    } else if let Some(params) = mended["params"].as_object_mut() {
        match params.get_mut("inputResponses") {
            Some(Value::Object(answers)) => {
                answers.retain(|_, answer| answer.is_object());
                answers.values_mut().for_each(round);
            }
            Some(_) => _ = params.remove("inputResponses"),
            None => {}
        }
    }
    mended != *part && fits(&mended)
}

/// Takes the fractions off the numbers of a form.
fn round(answer: &mut Value) {
    let content = answer.get_mut("content").and_then(Value::as_object_mut);
    for value in content.into_iter().flat_map(|content| content.values_mut()) {
        if value.is_f64() {
            *value = Value::from(0);
        }
    }
}
