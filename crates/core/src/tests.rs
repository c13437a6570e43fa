//! Whole routers over mock backends: what clients observe.

mod bridge;
mod calls;
mod counted;
mod failover;
mod freshness;
mod generation;
mod headers;
mod inprocess;
mod internal;
mod lists;
mod live;
mod mock;
mod names;
mod own_sessions;
mod probes;
mod routes;
mod rules;
mod task_news;
mod tasks;
mod update;
mod watches;
