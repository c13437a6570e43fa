//! What operators see: log lines, spans and the names of their fields, each made in one place.
//!
//! Two crates that spell a field differently break every dashboard, so the other crates take
//! [`field`]'s names and [`span`]'s constructors. [`init`] sets the subscriber up; it is the one
//! function here with an effect on the whole process, and only binaries call it.
//!
//! Logs go to standard error alone: over stdio, standard output belongs to the protocol.
//!
//! # What the crate deliberately does not know
//!
//! Any other crate of the router. Whoever logs passes plain text and numbers; secrets, arguments
//! and results are never among them.

#![forbid(unsafe_code)]

pub mod call;
mod date;
mod decimal;
pub mod dropped;
mod drops;
pub mod field;
mod format;
mod json;
mod lines;
pub mod metrics;
mod plain;
pub mod recent;
pub mod span;
mod subscriber;
pub mod traces;

pub use call::{CallEnd, CallSink, Ending};
pub use date::utc;
pub use field::printable;
pub use format::{InvalidLogFormat, LogFormat};
pub use subscriber::{InitError, LogGuard, init};
