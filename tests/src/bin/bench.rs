//! Measures what the router costs and how well it keeps backends apart.

use std::process::ExitCode;

use clap::Parser;
use mcp_router_tests::bench::Command;

fn main() -> ExitCode {
    Command::parse().run()
}
