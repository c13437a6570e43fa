//! Many services made one: catalogue, namespaces, dispatch, supervision.
//!
//! An agent that talks to twenty servers has twenty connections to watch and twenty lists to
//! merge. The [`Router`] is one `tower::Service` in front of them all:
//!
//! ```text
//! Router ── snapshot (immutable, behind an atomic pointer)
//!   │           ▲ merged by the catalogue
//!   │           │
//!   └─ calls ─> Backend service   <── one supervisor each: lists, re-lists, keeps stale items
//! ```
//!
//! * [`Backend`] is a name, a namespace and any `Service<McpRequest>`; where it comes from (a
//!   socket, a child process, this process) is its maker's business.
//! * A supervisor task a backend lists everything it offers, again whenever it says that a list
//!   changed, and publishes; the catalogue merges what all published into the next snapshot.
//! * A request takes one snapshot at its start and keeps it to its end. Calls go to the owner of
//!   the exposed name by exact look-up; lists, discovery, change streams and management tools are
//!   answered here.
//!
//! * Which backend that is, [`mcp_router_routing`] decides purely; a failed call goes on to the next
//!   one while that is safe.
//! * A program that embeds the router asks it in process: [`Router::call_tool`] and its siblings.
//!
//! * Peers of different eras are bridged where a call needs something from its client: see
//!   [`Router::into_service`].
//!
//! This crate deliberately does not know sockets, processes, files or protocol eras.

#![forbid(unsafe_code)]

mod backend;
mod bridge;
mod builder;
mod catalogue;
mod client;
mod counted;
mod dispatch;
mod exposure;
mod flaps;
mod fleet;
mod hub;
mod inspect;
mod items;
mod links;
mod listing;
mod live;
mod manager;
mod policy;
mod probe;
mod router;
mod status;
mod strategy;
mod subscriptions;
mod supervisor;

#[cfg(test)]
mod tests;

pub use backend::Backend;
pub use bridge::Parking;
pub use builder::{BuildError, RouterBuilder};
pub use client::AskError;
pub use dispatch::manage::RESERVED as OWN_TOOLS;
pub use exposure::Exposure;
pub use fleet::Transition;
pub use items::ItemEntry;
pub use manager::{ManageError, Manager, Registered, Registration, Reloaded};
pub use router::{Router, ToolEntry};
pub use status::{BackendStatus, EndpointStatus, LastFailure, Readiness, State};
