//! Configuration to running router: connects, stacks, listens, drains.
#![forbid(unsafe_code)]

mod demo;
