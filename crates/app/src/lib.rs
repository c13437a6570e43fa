//! Configuration to running router: connects, stacks, listens, drains.
//!
//! Every other crate minds its own business; this is where they meet. It reads the configuration,
//! makes an edge for each backend, puts the layers around it, gives all of them to the router, and
//! puts the router behind a listener or a pair of pipes until a signal or the end of input.
//!
//! ```text
//! cli ── config ──> build ──> run ──> exit code
//!                     │         │
//!   backend edges, stacks,   listener, pages, signals, drain
//!   router
//! ```
//!
//! The binaries are [`main`] with an [`Edge`]; an embedder who wants our configuration but not our
//! command line takes [`Plan`].

#![forbid(unsafe_code)]

mod alerts;
mod build;
mod cli;
mod demo;
mod metrics;
mod reload;
mod report;
mod run;
mod ui;

pub use build::{Built, Plan, StartError};
pub use cli::{Edge, main};
pub use report::report;

/// The page's examples, compiled with the others.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/embedding.md")]
mod embedding {}
