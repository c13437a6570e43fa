//! Whole routers over mock backends: what clients observe.

mod calls;
mod lists;
mod live;
mod mock;
mod probes;
