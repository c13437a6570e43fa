//! Client edges: what faces agents and editors.
//!
//! Clients come in five revisions and three transports, and one endpoint must serve them all at
//! once. An edge reads messages in the client's own revision, drives the one inner service with
//! them, and writes its answers back in that revision. Nothing behind it asks which one it was.
//!
//! - [`http`] makes a [`tower::Service`] over `http::Request`: streamable HTTP of every revision
//!   at `/mcp`, the HTTP+SSE transport of 2024-11-05 at `/sse`, and the pages that the embedder
//!   hands in. Mount it in hyper or axum, or give it to
//! - [`serve`], an accept loop with limits on everything a peer could hold on to, and an orderly
//!   end.
//! - [`stdio`] speaks both eras over a pair of byte streams, one message a line.
//!
//! # The era of a message
//!
//! A message that names a version in `_meta`, or comes with a version header of 2026-07-28 or
//! later, is modern and stands alone. Everything else belongs to the session that `initialize`
//! opened. Both kinds meet on one URL and on one process.
//!
//! # Mounting
//!
//! ```
//! # tokio_test::block_on(async {
//! use mcp_router_protocol::RawJson;
//! use mcp_router_service::{CallError, McpRequest, McpResponse, McpService};
//! use mcp_router_transport::server::{HttpParams, ServeParams, http, serve};
//! use tokio_util::sync::CancellationToken;
//!
//! let router = McpService::new(tower::service_fn(|_: McpRequest| async {
//!     Ok::<_, CallError>(McpResponse::complete(RawJson::from_static("{}")))
//! }));
//! let edge = http(router, HttpParams::default());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
//! let stop = CancellationToken::new();
//! # stop.cancel();
//! let outcome = serve(listener, edge, ServeParams::default(), stop).await;
//! assert_eq!(outcome.cut, 0);
//! # })
//! ```

mod call;
mod connection;
mod dialect;
mod http;
mod keys;
mod params;
mod peer;
mod serve;
mod stdio;

pub use http::{Body, HttpService, Load, SessionCounts, http};
pub use keys::{Seals, WallClock};
pub use params::{HttpLimits, HttpParams, HttpTimes, MakePage, Page, ServeParams, StdioParams};
pub use serve::{LocalAddr, ServeOutcome, serve};
pub use stdio::stdio;

#[cfg(test)]
mod testing;
