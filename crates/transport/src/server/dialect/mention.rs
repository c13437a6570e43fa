//! Whether a result mentions a member at all.
//!
//! Most results need no change, and to see that by parsing would cost more than everything else
//! the edge does with them. A search for the quoted name costs a fiftieth; only what is found is
//! parsed. (A name inside a string is a find, too: then parsing tells.) And what a backend sent was
//! looked at when it came: of that, it is known without a search.

use std::sync::LazyLock;

use mcp_router_protocol::{Noted, RawJson};
use memchr::memmem::Finder;

/// A quoted member name to look for, prepared once, and what is noted of the results without it.
pub(super) struct Mention(Noted, LazyLock<Finder<'static>>);

impl Mention {
    pub(super) fn is_in(&self, json: &RawJson) -> bool {
        json.says(self.0)
            .unwrap_or_else(|| self.is_in_text(json.bytes()))
    }

    pub(super) fn is_in_text(&self, text: &[u8]) -> bool {
        self.1.find(text).is_some()
    }
}

macro_rules! mentions {
    ($($name:ident = $noted:ident, $text:literal);* $(;)?) => {
        $(pub(super) static $name: Mention = Mention(
            Noted::$noted,
            LazyLock::new(|| Finder::new(concat!("\"", $text, "\""))),
        );)*
    };
}

mentions! {
    RESULT_TYPE = ResultType, "resultType";
    TTL_MS = TtlMs, "ttlMs";
    CACHE_SCOPE = CacheScope, "cacheScope";
    META = Meta, "_meta";
    // A member of `_meta`.
    SERVER_INFO = Meta, "io.modelcontextprotocol/serverInfo";
}
