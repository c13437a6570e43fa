//! A server that offers what the official conformance suite asks of one, in both eras of the protocol.
//!
//! The suite judges a router by the server behind it: a scenario can pass through the router only if the
//! server passes it. So this server passes all of them by itself, over streamable HTTP, HTTP+SSE and
//! stdio, and can be held to one era, to see what the router makes of the other. It shares no code with
//! the router, nor with the fixture, whose business is faults.
//!
//! A tool is written once. Where it needs its client it calls `Call::ask`, which sends requests in
//! the legacy era and ends the call with `input_required` in the modern one.

mod asking;
mod bridge;
mod call;
mod catalogue;
pub mod command;
mod content;
mod dispatch;
mod events;
mod http;
mod legacy;
mod listen;
mod modern;
mod server;
mod session;
mod sse;
mod stdio;
mod tasks;
mod tools;
