//! What a client sends and takes: `Content-Type` and `Accept`.

use http::header::ACCEPT;
use http::request::Parts;
use http::{Response, StatusCode};

use super::body::Body;
use super::front::{Front, Seen};
use super::reply;

const BOTH: &str = "application/json, text/event-stream";

/// The body must say that it is JSON. A web page of another site cannot, without asking first:
/// what it can send is `text/plain` (B17).
pub(super) fn sends_json(front: &Front<'_>) -> Result<(), Box<Response<Body>>> {
    let essence = match front.content_type {
        Seen::Once(one) if one == "application/json" => return Ok(()),
        Seen::Once(one) => one.to_str().unwrap_or_default(),
        Seen::Not | Seen::Often => "",
    };
    let essence = essence.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let text = "Content-Type must be application/json";
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Err(Box::new(reply::refused_unread(status, text)))
}

/// An answer may be JSON or a stream of events, whichever the call turns out to be.
pub(super) fn takes(front: &Front<'_>, types: &[&str]) -> Result<(), Box<Response<Body>>> {
    // What nearly every client writes: both of the types that there are.
    let both = matches!(front.accept, Seen::Once(one) if one == BOTH);
    if both || types.iter().all(|t| accepts(front.head, t)) {
        return Ok(());
    }
    let text = format!("Accept must allow {}", types.join(" and "));
    let status = StatusCode::NOT_ACCEPTABLE;
    Err(Box::new(reply::refused_unread(status, &text)))
}

/// Whether `Accept` allows a media type. Who sends none takes anything (RFC 9110).
fn accepts(head: &Parts, wanted: &str) -> bool {
    let mut any = false;
    let group = wanted.split('/').next().unwrap_or_default();
    for value in head.headers.get_all(ACCEPT) {
        let Ok(value) = value.to_str() else { continue };
        for range in value.split(',') {
            any = true;
            let mut parts = range.split(';').map(str::trim);
            let range = parts.next().unwrap_or_default();
            let matches = range == "*/*"
                || range.eq_ignore_ascii_case(wanted)
                || range
                    .strip_suffix("/*")
                    .is_some_and(|g| g.eq_ignore_ascii_case(group));
            let refused = parts.any(|p| {
                p.strip_prefix("q=")
                    .is_some_and(|q| q.parse::<f32>() == Ok(0.0))
            });
            if matches && !refused {
                return true;
            }
        }
    }
    !any
}
