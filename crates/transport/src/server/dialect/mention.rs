//! Whether a result mentions a member at all.
//!
//! Most results need no change, and to see that by parsing would cost more than everything else
//! the edge does with them. A search for the quoted name costs a fiftieth; only what is found is
//! parsed. (A name inside a string is a find, too: then parsing tells.)

use std::sync::LazyLock;

use mcp_router_protocol::RawJson;
use memchr::memmem::Finder;

/// A quoted member name to look for; prepared once.
pub(super) struct Mention(LazyLock<Finder<'static>>);

impl Mention {
    pub(super) fn is_in(&self, json: &RawJson) -> bool {
        self.is_in_text(json.bytes())
    }

    pub(super) fn is_in_text(&self, text: &[u8]) -> bool {
        self.0.find(text).is_some()
    }
}

macro_rules! mentions {
    ($($name:ident = $text:literal),* $(,)?) => {
        $(pub(super) static $name: Mention = Mention(LazyLock::new(|| {
            Finder::new(concat!("\"", $text, "\""))
        }));)*
    };
}

mentions! {
    RESULT_TYPE = "resultType",
    TTL_MS = "ttlMs",
    CACHE_SCOPE = "cacheScope",
    META = "_meta",
    SERVER_INFO = "io.modelcontextprotocol/serverInfo",
}
