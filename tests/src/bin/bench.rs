//! Measures what the router costs and how well it keeps backends apart.

use std::process::ExitCode;

use clap::Parser;
use mcp_router_tests::bench::Command;

// What the router serves with, so that the plain forwarder differs in its work only.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    Command::parse().run()
}
