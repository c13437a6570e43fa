//! `server/discover`: what the snapshot says, and for how long.

use mcp_router_protocol::{ItemKind, RawJson};
use mcp_router_service::McpResponse;

use super::list::freshness;
use crate::catalogue::Snapshot;

/// It is made of what the lists are made of, so it is good for as long as the least fresh of them,
/// and for others only if all of them are.
pub(super) fn discover(snapshot: &Snapshot) -> McpResponse {
    let lists = ItemKind::ALL.map(|kind| freshness(snapshot, kind));
    let ttl = lists.iter().map(|list| list.ttl_ms).min().unwrap_or(0);
    let scope = match lists.iter().all(|list| list.public) {
        true => "public",
        false => "private",
    };
    let front = format!(r#"{{"ttlMs":{ttl},"cacheScope":"{scope}","#);
    let rest = &snapshot.discover.bytes()[1..];
    McpResponse::complete(RawJson::from_checked(
        [front.as_bytes(), rest].concat().into(),
    ))
}
