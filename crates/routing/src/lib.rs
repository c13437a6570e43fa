//! Which candidate gets the request?
//!
//! Decided while calling, the order of backends would depend on which task ran first. Here it is
//! a pure function of what is known:
//!
//! * [`plan`] puts the candidates of an item into order, by the [`Strategy`] of each;
//! * [`Course`] says who of them is next, by how they fare at the moment;
//! * [`ToolRules`] say what of a backend's tools is offered at all, and as what;
//! * [`balance`] decides likewise between the endpoints of one backend.
//!
//! Embedders bring their own with [`CustomStrategy`].
#![forbid(unsafe_code)]

pub mod balance;
mod candidate;
mod course;
mod custom;
mod pattern;
mod plan;
mod route;
mod rules;
mod strategy;

pub use balance::Fitness;
pub use candidate::{Candidate, Lists, Rule};
pub use course::{Course, MAX_CANDIDATES, Turn};
pub use custom::{Choice, CustomStrategy};
pub use pattern::{InvalidPattern, RoutePattern};
pub use plan::{Step, plan};
pub use route::Route;
pub use rules::ToolRules;
pub use strategy::{Strategy, UnknownStrategy};
