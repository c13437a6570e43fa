//! The four lists, merged.

use mcp_router_protocol::ItemKind;
use mcp_router_service::{McpRequest, McpResponse};

use super::invalid_params;
use crate::catalogue::{Audience, Freshness, Snapshot, own, page};
use crate::hub::Hub;
use crate::status::State;

/// What a list of a backend is good for, in ms, that says when its list changes but not for how
/// long it is good (our choice).
const WATCHED_TTL: u64 = 60_000;
/// What a list with stale entries of a failed backend is good for, in ms (our choice).
const FAILED_TTL: u64 = 5_000;

pub(super) async fn list(hub: &Hub, kind: ItemKind, request: &McpRequest) -> McpResponse {
    // Only the first list after the start waits, and not for long.
    hub.ready().await;
    hub.rouse().await;
    let snapshot = hub.snapshot.load();
    let cursor = request.params.cursor();
    let mut freshness = freshness(&snapshot, kind);
    // Kept for others, it would give them names that their hosts refuse.
    freshness.public = freshness.public && snapshot.is_same_for_all(kind);
    let size = snapshot.settings.page_size;
    let audience = Audience::of(&request.context.client);
    let view = snapshot.view(kind, audience);
    let own = own(&snapshot.settings, kind);
    let cursors = &hub.cursors;
    match page(view, own, kind, cursor.as_ref(), size, cursors, &freshness) {
        Ok(result) => McpResponse::complete(result),
        Err(_) => invalid_params("Invalid cursor"),
    }
}

/// The least freshness of any contributor, and `public` only if all are (R16).
pub(super) fn freshness(snapshot: &Snapshot, kind: ItemKind) -> Freshness {
    let mut all = Freshness {
        ttl_ms: WATCHED_TTL,
        public: true,
    };
    for cell in snapshot.cells.iter().filter(|c| c.service.is_some()) {
        let live = cell.live.load();
        let ttl = match live.state {
            State::Ready | State::Asleep => match live.listing.fresh_for(kind) {
                Some(left) => u64::try_from(left.as_millis()).map_or(WATCHED_TTL, in_seconds),
                None if watches(&live.info, kind) => WATCHED_TTL,
                None => 0,
            },
            _ => FAILED_TTL,
        };
        all.ttl_ms = all.ttl_ms.min(ttl);
        all.public &=
            matches!(live.state, State::Ready | State::Asleep) && live.listing.public(kind);
    }
    all
}

/// Less what is over whole seconds: or else each answer would be a new one, to be written anew.
const fn in_seconds(millis: u64) -> u64 {
    match millis {
        0..1000 => millis,
        _ => millis - millis % 1000,
    }
}

fn watches(info: &mcp_router_service::BackendInfo, kind: ItemKind) -> bool {
    let Some(capabilities) = &info.capabilities else {
        return false;
    };
    match capabilities.get(kind.capability()) {
        Some(feature) => feature
            .get("listChanged")
            .is_some_and(|v| v.as_str() == "true"),
        // It has nothing of the kind, so nothing of it can get old.
        None => true,
    }
}
