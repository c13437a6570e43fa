//! What the environment says.
//!
//! Reading variables where they are needed hides them from documentation, from tests and from each
//! other. All of them are in one table, read once, and the rest of the crate sees what they said.

mod environment;
mod parse;
mod table;

pub use environment::Environment;
pub(crate) use parse::{Said, host, read};
pub use table::{VARIABLES, Variable};
