//! Arguments that are repeated in headers, on their way through the router.
//!
//! Only the client edge sees a client's headers, only the catalogue knows which of them a tool
//! wants, and only the backend edge writes the backend's. So they travel beside the request.

use std::sync::Arc;

use mcp_router_protocol::mirror::{Mirror, Sent};

/// The `Mcp-Param-*` headers that came with a request.
#[derive(Clone, Debug, Default)]
pub enum ParamHeaders {
    /// It came where there are none: through a pipe, in an older revision, from this process.
    #[default]
    Impossible,
    /// None came, where some could have.
    None,
    /// These came.
    Some(Arc<[ParamHeader]>),
}

/// One header.
#[derive(Clone, Debug)]
pub struct ParamHeader {
    /// Its name in lower case, without `mcp-param-`.
    pub name: Box<str>,
    /// Its value, not decoded; `None` if it is no text.
    pub value: Option<Box<str>>,
}

impl ParamHeaders {
    /// All that came.
    pub fn all(&self) -> &[ParamHeader] {
        match self {
            Self::Impossible | Self::None => &[],
            Self::Some(all) => all,
        }
    }

    /// Whether the client would have sent headers that it must send.
    pub const fn possible(&self) -> bool {
        !matches!(self, Self::Impossible)
    }

    /// What came under `name`, in any case.
    pub fn get(&self, name: &str) -> Sent<'_> {
        let mut named = self
            .all()
            .iter()
            .filter(|h| h.name.eq_ignore_ascii_case(name));
        match (named.next(), named.next()) {
            (None, _) => Sent::Absent,
            (Some(ParamHeader { value: Some(v), .. }), None) => Sent::Text(v),
            _ => Sent::Unreadable,
        }
    }

    /// Those that repeat nothing that the tool marked: whoever stands between hands them on.
    pub fn unknown<'a>(
        &'a self,
        mirror: Option<&'a Mirror>,
    ) -> impl Iterator<Item = &'a ParamHeader> {
        let unknown = move |h: &&ParamHeader| mirror.is_none_or(|m| !m.has(&h.name));
        self.all().iter().filter(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_in_any_case_and_twice_is_unreadable() {
        let header = |name: &str, value: Option<&str>| ParamHeader {
            name: name.into(),
            value: value.map(Into::into),
        };
        let all = [
            header("a", Some("1")),
            header("b", None),
            header("c", Some("2")),
            header("c", Some("2")),
        ];
        let headers = ParamHeaders::Some(all.into());
        assert_eq!(headers.get("A"), Sent::Text("1"));
        assert_eq!(headers.get("b"), Sent::Unreadable);
        assert_eq!(headers.get("C"), Sent::Unreadable);
        assert_eq!(headers.get("d"), Sent::Absent);
        assert!(headers.possible() && !ParamHeaders::default().possible());
        assert_eq!(headers.unknown(None).count(), 4);
    }
}
