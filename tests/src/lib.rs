//! Shared fixtures of the end-to-end tests and the benchmark.

#![forbid(unsafe_code)]

pub mod bench;
pub mod fixture;
pub mod harness;
pub mod reference;
pub mod schema;
pub mod tap;
