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

mod call;
mod connection;
mod dialect;
mod http;
mod params;
mod peer;
mod serve;
mod stdio;

pub use http::{Body, HttpService, http};
pub use params::{HttpLimits, HttpParams, HttpTimes, Page, ServeParams, StdioParams};
pub use serve::{LocalAddr, ServeOutcome, serve};
pub use stdio::stdio;

#[cfg(test)]
mod testing;
