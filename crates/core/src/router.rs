//! The router itself: a service in front of all backends.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{BoxFuture, FutureExt};
use mcp_router_protocol::{ItemKind, Profile, RawJson};
use mcp_router_service::{CallError, ClientProfile, McpRequest, McpResponse, McpService};
use tower::Service;

use crate::bridge;
use crate::builder::RouterBuilder;
use crate::catalogue::{Audience, Row};
use crate::hub::Hub;
use crate::status::{BackendStatus, Readiness};

/// Many MCP servers as one `tower::Service<McpRequest>`.
///
/// Cloning is cheap: all clones are the same router. It is always ready; limits sit around each
/// backend. Dropping a call's future or stream cancels it.
///
/// ```
/// # tokio_test::block_on(async {
/// use mcp_router_core::{Backend, Router};
/// use mcp_router_protocol::{ErrorObject, Method, RawParams};
/// use mcp_router_service::{CallError, McpRequest, McpResponse};
/// use tower::ServiceExt;
///
/// let nothing = tower::service_fn(|_: McpRequest| async {
///     Ok::<_, CallError>(McpResponse::error(ErrorObject::new(-32601, "no such method")))
/// });
/// let router = Router::builder()
///     .backend(Backend::new("db".parse().unwrap(), nothing).namespace("db".parse().unwrap()))
///     .build()
///     .unwrap();
/// let list = McpRequest::new(Method::ToolsList, RawParams::default());
/// let answer = router.clone().oneshot(list).await.unwrap();
/// # assert!(matches!(answer, McpResponse::Ready(_)));
/// router.close().await;
/// # })
/// ```
#[derive(Clone)]
pub struct Router {
    pub(crate) hub: Arc<Hub>,
}

/// One tool as clients see it, for tables on a terminal.
#[derive(Clone, Debug)]
pub struct ToolEntry {
    /// The name that clients of the profile get.
    pub name: String,
    /// The name that operators know it by: `namespace.name`.
    pub exposed: String,
    /// Whose tool it is.
    pub backend: String,
    /// Its definition under the exposed name.
    pub definition: RawJson,
}

impl Router {
    /// Starts a router.
    pub fn builder() -> RouterBuilder {
        RouterBuilder::default()
    }

    pub(crate) const fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }

    /// The router as the service that edges take.
    ///
    /// What a backend asks of the client in the middle of a call comes as the client can take it,
    /// which [`ClientProfile::takes_input_required`] says: as an interim result, with which the
    /// caller makes the next round, or as an [`Event::ServerRequest`] in the stream of the call;
    /// whichever way the backend itself has. A client is only asked what its
    /// [capabilities](ClientProfile::capabilities) allow. Calls that wait between two rounds are
    /// bounded by [`Parking`](crate::Parking).
    ///
    /// [`ClientProfile::takes_input_required`]: mcp_router_service::ClientProfile::takes_input_required
    /// [`ClientProfile::capabilities`]: mcp_router_service::ClientProfile::capabilities
    /// [`Event::ServerRequest`]: mcp_router_service::Event::ServerRequest
    pub fn into_service(self) -> McpService {
        McpService::new(self)
    }

    /// How each backend fares, in the order of registration.
    pub fn backends(&self) -> Vec<BackendStatus> {
        self.hub.statuses()
    }

    /// Whether the router should get traffic now.
    pub fn readiness(&self) -> Readiness {
        let draining = self.hub.draining.is_cancelled();
        Readiness {
            ready: self.hub.is_ready() && !draining,
            draining,
            backends: self.backends(),
        }
    }

    /// Resolves once every backend has answered or failed, or the wait at the start is over.
    /// Safe to drop.
    pub async fn ready(&self) {
        self.hub.ready().await;
    }

    /// Has the backends listed that have slept since the start, as the first list of a client does,
    /// and waits for them no longer than for others at the start. Safe to drop.
    pub async fn rouse(&self) {
        self.hub.rouse().await;
    }

    /// The merged tools as most clients get them, sorted by name; the router's own are not among
    /// them.
    pub fn tools(&self) -> Vec<ToolEntry> {
        self.tools_for(Profile::Plain)
    }

    /// As [`tools`](Self::tools), as the clients of a profile get them.
    pub fn tools_for(&self, profile: Profile) -> Vec<ToolEntry> {
        let snapshot = self.hub.snapshot.load();
        let audience = Audience {
            profile,
            modern: true,
        };
        let entries = snapshot.table(ItemKind::Tool).entries();
        let view = snapshot.view(ItemKind::Tool, audience);
        let row = |row: &Row| ToolEntry {
            name: row.name.to_string(),
            exposed: entries[row.entry].exposed.to_string(),
            backend: entries[row.entry].owner.meta.name.to_string(),
            definition: RawJson::from_checked(row.definition.clone()),
        };
        view.rows().iter().map(row).collect()
    }

    /// Whether a tool of this name is listed, in whatever spelling.
    pub fn has_tool(&self, name: &str) -> bool {
        let snapshot = self.hub.snapshot.load();
        let client = ClientProfile::default();
        let found = snapshot.find(ItemKind::Tool, name, &client);
        found.is_some()
    }

    /// Ends streams of changes with an answer and reports not ready. Calls still go through.
    pub fn drain(&self) {
        self.hub.draining.cancel();
    }

    /// Stops the supervisors and closes every backend: sessions are ended, processes stopped, all
    /// at the same time. Not safe to drop half-way: what is left open then is closed with the
    /// process.
    pub async fn close(&self) {
        self.hub.close().await;
    }
}

impl Service<McpRequest> for Router {
    type Response = McpResponse;
    type Error = CallError;
    type Future = BoxFuture<'static, Result<McpResponse, CallError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: McpRequest) -> Self::Future {
        bridge::serve(self.hub.clone(), request).boxed()
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("backends", &self.hub.snapshot.load().cells.len())
            .finish_non_exhaustive()
    }
}
