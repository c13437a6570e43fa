//! The router, as the program starts it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use mcp_router_app::Plan;
use mcp_router_config::{LoadInput, load};
use mcp_router_observe::recent::RecentCalls;
use mcp_router_transport::server::{HttpParams, ServeParams, http, serve};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::BoxError;

/// Starts it before a backend at that port of this machine; where it listens.
pub(crate) async fn start(backend: u16) -> Result<SocketAddr, BoxError> {
    let variables = [("PORT".to_owned(), backend.to_string())];
    let input = LoadInput {
        path: Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("backends.yaml")),
        env: variables.into_iter().collect(),
        ..LoadInput::default()
    };
    let plan = Plan::of(load(&input)?.config).noting(Arc::new(RecentCalls::new()));
    let built = plan.build()?;
    built.router.ready().await;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let edge = http(built.service, HttpParams::default());
    let stop = CancellationToken::new();
    tokio::spawn(serve(listener, edge, ServeParams::default(), stop));
    Ok(addr)
}
