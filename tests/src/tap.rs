//! Listens in between the router and peers that nobody here wrote.
//!
//! The harness and the fixture hold what the router sends against the published schemas, but real
//! clients and servers judge only what they happen to read. So in the interop and the conformance runs
//! a tap stands on every hop of the router: an HTTP proxy, or a wrapper around a command that speaks
//! stdio. It passes on every byte as and when it comes and writes down the messages that it saw. The
//! checking is done afterwards, over the journals of a whole run, so that nothing waits for it.
//!
//! A tap is one conversation's witness and no judge of peers: only what the router sends is checked.

mod body;
mod check;
pub mod command;
mod events;
mod http;
mod journal;
mod notes;
mod stdio;
#[cfg(test)]
mod tests;
