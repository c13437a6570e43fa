//! Whether an answer is what was asked for, a refusal for want of room, or something else.

use http::StatusCode;

/// How a request ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    Well,
    /// The router or the backend had no room for it.
    Refused(String),
    Otherwise(String),
}

/// Judges an answer; `expected` is the least length of a good one.
pub(super) fn judge(status: StatusCode, body: &[u8], expected: usize) -> Answer {
    if status == StatusCode::OK && body.len() >= expected && is_result(body) {
        return Answer::Well;
    }
    let shown = String::from_utf8_lossy(&body[..body.len().min(300)]);
    let text = format!("{status}: {shown}");
    let refused = match status {
        StatusCode::OK => has(body, r#""reason":"overloaded""#),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => true,
        _ => false,
    };
    if refused {
        Answer::Refused(text)
    } else {
        Answer::Otherwise(text)
    }
}

/// Whether the body is a result and not an error, judged by its first and last bytes: reading a
/// mebibyte through would measure the load generator.
fn is_result(body: &[u8]) -> bool {
    let (first, last) = (
        &body[..body.len().min(512)],
        &body[body.len().saturating_sub(512)..],
    );
    (has(first, r#""result":"#) || has(last, r#""result":"#)) && !has(last, r#""isError":true"#)
}

fn has(part: &[u8], text: &str) -> bool {
    part.windows(text.len()).any(|w| w == text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_error_is_not_counted_as_a_result() {
        let ok = |body: &[u8]| judge(StatusCode::OK, body, 0) == Answer::Well;

        assert!(ok(br#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#));
        assert!(!ok(br#"{"id":1,"result":{"content":[],"isError":true}}"#));
        assert!(!ok(br#"{"id":1,"error":{"code":-32603}}"#));
    }

    #[test]
    fn want_of_room_is_told_from_other_failures() {
        let body = |reason| {
            format!(
                r#"{{"id":1,"result":{{"content":[],"_meta":{{"mcp-router/failure":{{"reason":"{reason}"}}}},"isError":true}}}}"#
            )
        };
        let of = |status, body: String| judge(status, body.as_bytes(), 0);

        assert!(matches!(
            of(StatusCode::OK, body("overloaded")),
            Answer::Refused(_)
        ));
        assert!(matches!(
            of(StatusCode::SERVICE_UNAVAILABLE, String::new()),
            Answer::Refused(_)
        ));
        assert!(matches!(
            of(StatusCode::OK, body("timeout")),
            Answer::Otherwise(_)
        ));
        assert!(matches!(
            of(StatusCode::BAD_REQUEST, String::new()),
            Answer::Otherwise(_)
        ));
    }
}
