//! What an operator wants to know of backends before the first client comes.

use std::time::{Duration, Instant};

use mcp_router_protocol::{ItemKind, RawParams};
use mcp_router_service::{CallError, Deadline, McpRequest, Reason, RequestContext, Sent};
use tower::ServiceExt;

use crate::router::Router;

impl Router {
    /// What a backend calls its own items of one kind, in its order, before any rule of the
    /// operator's; `None` if there is no such backend.
    pub fn own_names(&self, backend: &str, kind: ItemKind) -> Option<Vec<String>> {
        let snapshot = self.hub.snapshot.load();
        let cell = snapshot
            .cells
            .iter()
            .find(|c| c.meta.name.as_str() == backend)?;
        let listing = cell.live.load().listing.clone();
        let items = listing.of(kind).iter();
        Some(items.map(|item| item.key().to_owned()).collect())
    }

    /// How long a backend takes to answer one request: the first page of its tools, asked for past
    /// every layer, at the fittest of its endpoints. Whatever it answers will do. `None` if there is
    /// no such backend, or it is switched off. Ends after `limit` at the latest; safe to drop.
    ///
    /// # Errors
    /// If no answer came.
    pub async fn round_trip(
        &self,
        backend: &str,
        limit: Duration,
    ) -> Option<Result<Duration, CallError>> {
        let snapshot = self.hub.snapshot.load_full();
        let cell = snapshot
            .cells
            .iter()
            .find(|c| c.meta.name.as_str() == backend)?;
        let service = cell.sources.as_ref()?.in_order().into_iter().next()?;
        let context = RequestContext {
            deadline: Deadline::with_cap(limit, limit),
            ..RequestContext::default()
        };
        let request = McpRequest {
            method: ItemKind::Tool.list_method(),
            params: RawParams::default(),
            context: context.into(),
        };
        let started = Instant::now();
        let answer = async { service.oneshot(request).await?.outcome().await };
        Some(match tokio::time::timeout(limit, answer).await {
            Ok(answer) => answer.map(|_| started.elapsed()),
            Err(_) => Err(CallError::new(Reason::Timeout, Sent::Unknown)),
        })
    }
}
