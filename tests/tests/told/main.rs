//! What the router tells others than its clients: people of outages, a collector of its calls.

mod alerts;
mod receiver;
mod traces;
