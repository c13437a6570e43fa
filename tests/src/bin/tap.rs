//! Listens in between the router and its peers in the interop and the conformance runs.

use std::process::ExitCode;

use clap::Parser;
use mcp_router_tests::tap::command::Command;

fn main() -> ExitCode {
    Command::parse().run()
}
