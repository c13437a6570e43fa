//! Which candidate gets the request?
//!
//! Decided while calling, the order of backends would depend on which task ran first. Here it is
//! a pure function of what is known at the start of a call, one strategy a file. [`balance`]
//! decides likewise between the endpoints of one backend.
#![forbid(unsafe_code)]

pub mod balance;
mod candidate;
mod capability;
mod pattern;
mod strategy;

pub use candidate::Candidate;
pub use capability::capability;
pub use pattern::{InvalidPattern, RoutePattern};
pub use strategy::{Strategy, UnknownStrategy};
