//! What the page loads, all of it in this program.

use bytes::Bytes;
use http::{Response, header};

use super::pages::respond;

/// A file of the page: where it is, what it is, and what is in it.
pub(super) struct Asset {
    pub(super) path: &'static str,
    kind: &'static str,
    text: &'static str,
}

/// All of them.
pub(super) const ASSETS: [Asset; 3] = [
    Asset {
        path: "/ui/app.css",
        kind: "text/css; charset=utf-8",
        text: include_str!("assets/app.css"),
    },
    Asset {
        path: "/ui/app.js",
        kind: "text/javascript; charset=utf-8",
        text: include_str!("assets/app.js"),
    },
    Asset {
        path: "/ui/icon.svg",
        kind: "image/svg+xml",
        text: include_str!("assets/icon.svg"),
    },
];

impl Asset {
    pub(super) fn get(&self) -> Response<Bytes> {
        let mut response = respond(self.kind, self.text);
        // Asked for again after an update of the router, and not written to a disk at all.
        let no_cache = header::HeaderValue::from_static("no-cache");
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, no_cache);
        response
    }
}
