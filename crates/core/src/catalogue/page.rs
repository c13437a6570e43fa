//! Pages of the merged lists, by cursors that any replica with the same key can open.
//!
//! A cursor says behind which name the next page starts. So nothing is kept in memory, and a list
//! that changes between two pages neither repeats nor skips what stayed.

use bytes::{Bytes, BytesMut};
use mcp_router_protocol::{ItemKind, RawJson};
use mcp_router_service::seal::Sealer;

use super::view::{View, join};

/// A cursor that this router, or one with its key, did not make for this list (R15).
#[derive(Debug)]
pub(crate) struct BadCursor;

/// Where a page starts.
enum Start {
    /// Behind this exposed name.
    Behind(String),
    /// At this one of the router's own tools, which come last.
    Own(usize),
}

/// How long and for whom a list may be cached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Freshness {
    pub(crate) ttl_ms: u64,
    pub(crate) public: bool,
}

/// One page of a list, as the result of a list request. The router's `own` items come last.
///
/// # Errors
/// [`BadCursor`].
pub(crate) fn page(
    view: &View,
    own: &[RawJson],
    kind: ItemKind,
    cursor: Option<&RawJson>,
    size: usize,
    cursors: &Sealer,
    freshness: &Freshness,
) -> Result<RawJson, BadCursor> {
    let start = match cursor {
        None if view.rows().len() + own.len() <= size => {
            return Ok(view.whole(*freshness, || {
                write(kind, &join(view.rows(), own), None, freshness)
            }));
        }
        None => Start::Behind(String::new()),
        Some(cursor) => open(cursor, kind, cursors)?,
    };
    let (rest, own_from) = match &start {
        Start::Behind(key) => (view.after(key), 0),
        Start::Own(at) => (&[][..], *at),
    };
    let here = &rest[..rest.len().min(size)];
    let own_here = &own[own_from.min(own.len())..];
    let own_here = &own_here[..own_here.len().min(size - here.len())];
    let own_end = own_from + own_here.len();
    let next = if here.len() < rest.len() {
        here.last().map(|row| [b"k", row.name.as_bytes()].concat())
    } else if own_end < own.len() {
        Some(format!("o{own_end}").into_bytes())
    } else {
        None
    };
    let next = next.map(|content| cursors.seal(&content, kind.member().as_bytes()));
    let items = join(here, own_here);
    Ok(write(kind, &items, next.as_deref(), freshness))
}

fn open(cursor: &RawJson, kind: ItemKind, cursors: &Sealer) -> Result<Start, BadCursor> {
    let text: String = cursor.read_owned().map_err(|_| BadCursor)?;
    let content = cursors
        .open(&text, kind.member().as_bytes())
        .ok_or(BadCursor)?;
    let content = String::from_utf8(content).map_err(|_| BadCursor)?;
    match content.split_at_checked(1) {
        Some(("k", key)) => Ok(Start::Behind(key.to_owned())),
        Some(("o", at)) => at.parse().map(Start::Own).map_err(|_| BadCursor),
        _ => Err(BadCursor),
    }
}

fn write(kind: ItemKind, items: &Bytes, next: Option<&str>, freshness: &Freshness) -> RawJson {
    let mut out = BytesMut::with_capacity(items.len() + 512);
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(kind.member().as_bytes());
    out.extend_from_slice(b"\":[");
    out.extend_from_slice(items);
    out.extend_from_slice(b"]");
    if let Some(next) = next {
        // Sealed tokens are base64url: nothing in them needs escaping.
        out.extend_from_slice(format!(",\"nextCursor\":\"{next}\"").as_bytes());
    }
    let scope = if freshness.public {
        "public"
    } else {
        "private"
    };
    let tail = format!(
        ",\"ttlMs\":{},\"cacheScope\":\"{scope}\",\"resultType\":\"complete\"}}",
        freshness.ttl_ms
    );
    out.extend_from_slice(tail.as_bytes());
    RawJson::from_checked(out.freeze())
}
