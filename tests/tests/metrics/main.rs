//! What `/metrics` says: every number moves when it should, nothing else is on the page, and what
//! the documents say of it is true.

mod backends;
mod calls;
mod docs;
mod exposed;
mod process;
#[allow(dead_code, reason = "others need the rest")]
#[path = "../told/receiver.rs"]
mod receiver;
mod samples;
mod secrets;
