//! The head of a request, looked through once.
//!
//! A dozen checks each want a header or two. To look every one up in the map costs a hash and a
//! walk each time, where one pass over so few headers finds them all.

use http::header::HeaderValue;
use http::request::Parts;

use super::Caller;
use crate::server::dialect::modern::Mirrored;

/// Whether a header is there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Seen<'a> {
    #[default]
    Not,
    Once(&'a HeaderValue),
    /// Again and again.
    Often,
}

impl<'a> Seen<'a> {
    fn add(&mut self, value: &'a HeaderValue) {
        *self = match self {
            Self::Not => Self::Once(value),
            Self::Once(_) | Self::Often => Self::Often,
        };
    }

    /// The value if it is there once and is text.
    pub(super) fn text(self) -> Mirrored<'a> {
        match self {
            Self::Not => Mirrored::Absent,
            Self::Once(one) => one.to_str().map_or(Mirrored::Unreadable, Mirrored::Text),
            Self::Often => Mirrored::Unreadable,
        }
    }

    pub(super) const fn is_there(self) -> bool {
        !matches!(self, Self::Not)
    }
}

/// A request but for its body, and who brings it.
#[derive(Debug)]
pub(super) struct Front<'a> {
    pub(super) head: &'a Parts,
    pub(super) caller: &'a Caller,
    pub(super) host: Seen<'a>,
    pub(super) origin: Seen<'a>,
    pub(super) transfer_encoding: Seen<'a>,
    pub(super) content_type: Seen<'a>,
    pub(super) accept: Seen<'a>,
    pub(super) version: Seen<'a>,
    pub(super) method: Seen<'a>,
    pub(super) name: Seen<'a>,
    pub(super) session: Seen<'a>,
    pub(super) last_event: Seen<'a>,
    /// Whether it repeats parameters of a tool.
    pub(super) has_params: bool,
    /// What all headers come to on the wire, in bytes.
    pub(super) size: usize,
}

/// What stands before the name of a parameter of a tool.
pub(super) const PARAM: &str = "mcp-param-";

impl<'a> Front<'a> {
    pub(super) fn new(head: &'a Parts, caller: &'a Caller) -> Self {
        let mut front = Self::blank(head, caller);
        for (name, value) in &head.headers {
            let name = name.as_str();
            front.size += name.len() + value.len() + 4;
            match front.slot(name) {
                Some(slot) => slot.add(value),
                None => front.has_params |= name.starts_with(PARAM),
            }
        }
        front
    }

    const fn blank(head: &'a Parts, caller: &'a Caller) -> Self {
        Self {
            head,
            caller,
            host: Seen::Not,
            origin: Seen::Not,
            transfer_encoding: Seen::Not,
            content_type: Seen::Not,
            accept: Seen::Not,
            version: Seen::Not,
            method: Seen::Not,
            name: Seen::Not,
            session: Seen::Not,
            last_event: Seen::Not,
            has_params: false,
            size: 0,
        }
    }

    fn slot(&mut self, name: &str) -> Option<&mut Seen<'a>> {
        Some(match name {
            "host" => &mut self.host,
            "origin" => &mut self.origin,
            "transfer-encoding" => &mut self.transfer_encoding,
            "content-type" => &mut self.content_type,
            "accept" => &mut self.accept,
            "mcp-protocol-version" => &mut self.version,
            "mcp-method" => &mut self.method,
            "mcp-name" => &mut self.name,
            "mcp-session-id" => &mut self.session,
            "last-event-id" => &mut self.last_event,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn headers_are_found_in_one_pass_and_repeated_ones_told() {
        let request = Request::get("/mcp")
            .header("Host", "localhost")
            .header("MCP-Protocol-Version", "2026-07-28")
            .header("Mcp-Name", "a")
            .header("mcp-name", "b")
            .header("Mcp-Session-Id", &b"\xff"[..])
            .header("X-Other", "1");
        let (head, ()) = request.body(()).unwrap().into_parts();
        let caller = Caller::default();
        let front = Front::new(&head, &caller);
        assert!(matches!(front.host.text(), Mirrored::Text("localhost")));
        assert!(matches!(front.version.text(), Mirrored::Text("2026-07-28")));
        assert!(matches!(front.name, Seen::Often));
        assert!(matches!(front.name.text(), Mirrored::Unreadable));
        assert!(front.session.is_there());
        assert!(matches!(front.session.text(), Mirrored::Unreadable));
        assert!(matches!(front.method.text(), Mirrored::Absent));
        assert!(!front.has_params);
        let sizes = [4 + 9, 20 + 10, 8 + 1, 8 + 1, 14 + 1, 7 + 1];
        let sizes = sizes.map(|size: usize| size + 4);
        assert_eq!(front.size, sizes.iter().sum::<usize>());

        let request = Request::get("/mcp").header("Mcp-Param-Region", "eu");
        let (head, ()) = request.body(()).unwrap().into_parts();
        assert!(Front::new(&head, &caller).has_params);
    }
}
