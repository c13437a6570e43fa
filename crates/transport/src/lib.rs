//! Bytes to messages and back: streamable HTTP, HTTP+SSE, stdio, child processes.
//!
//! The edges of the router. [`server`] faces clients and drives the waist's service; [`client`]
//! faces backends and is one. Each edge speaks the revision and transport of its own hop and
//! translates to and from the inner dialect; what lies between never asks which.
#![deny(unsafe_code)]

pub mod client;
pub mod descriptors;
mod gather;
pub mod line;
pub mod server;
pub mod sse;
