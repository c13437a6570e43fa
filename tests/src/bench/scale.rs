//! Whether a router that has much to keep, or much time, stays as good as a new one.
//!
//! What leaks a descriptor a session, a task a call or a page of memory a minute passes every
//! other measurement here, and is found by whoever runs it for a month.

pub(super) mod soak;
mod watch;
