//! Ids of events: which replica holds the stream, which stream it is, and what of it was seen.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mcp_router_protocol::RequestId;

/// Longest id of a request that event ids repeat. It serves to tell the client what was lost.
const MAX_REQUEST: usize = 64;
/// Longest event id looked at.
const MAX_LEN: usize = 256;

/// The id of an event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::server::http) struct EventId {
    pub(super) replica: String,
    pub(super) stream: u64,
    /// The event's number in the stream; the first message has 1.
    pub(super) event: u64,
    /// The id of the call, encoded; empty if it is too long.
    request: String,
}

impl EventId {
    /// The id of what comes before the first message.
    pub(super) fn first(replica: &str, stream: u64, request: &RequestId) -> Self {
        let json = request.json();
        let request = match json.len() {
            0..=MAX_REQUEST => URL_SAFE_NO_PAD.encode(json),
            _ => String::new(),
        };
        Self {
            replica: replica.to_owned(),
            stream,
            event: 0,
            request,
        }
    }

    /// The id of another event of the stream.
    pub(super) fn at(&self, event: u64) -> Self {
        Self {
            event,
            ..self.clone()
        }
    }

    /// The id of the call that the stream belongs to.
    pub(super) fn request(&self) -> Option<RequestId> {
        let json = URL_SAFE_NO_PAD.decode(&self.request).ok()?;
        let checked = mcp_router_protocol::RawJson::parse(json.into()).ok()?;
        RequestId::parse(checked.bytes()).ok()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            replica,
            stream,
            event,
            request,
        } = self;
        write!(f, "{replica}.{stream}.{event}.{request}")
    }
}

impl FromStr for EventId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text.len() > MAX_LEN {
            return Err(());
        }
        let mut parts = text.splitn(4, '.');
        let mut next = || parts.next().ok_or(());
        Ok(Self {
            replica: next()?.to_owned(),
            stream: next()?.parse().map_err(drop)?,
            event: next()?.parse().map_err(drop)?,
            request: next()?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        for request in [RequestId::number(7), RequestId::string("a.b\u{e4}\n")] {
            let id = EventId::first("abc-_d", 12, &request).at(3);
            let text = id.to_string();
            assert!(text.bytes().all(|b| b.is_ascii_graphic()), "{text}");
            assert_eq!(text.parse(), Ok(id.clone()));
            assert_eq!(id.request(), Some(request));
        }
        let long = RequestId::string(&"x".repeat(500));
        let id = EventId::first("a", 1, &long);
        assert_eq!((id.request(), id.to_string().len() < 30), (None, true));
    }

    #[test]
    fn what_is_no_id_of_ours_is_none() {
        let endless = format!("a.1.1.{}", "x".repeat(500));
        for text in ["", "7", "a.b", "a.b.c.d", "a.1.-1.", "a.1.1", &endless] {
            assert_eq!(text.parse::<EventId>(), Err(()), "{text}");
        }
        let odd: EventId = "a.1.1.!!".parse().unwrap();
        assert_eq!(odd.request(), None);
    }
}
