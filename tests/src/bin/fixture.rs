//! A fault-injecting MCP backend over HTTP or stdio, for tests and benchmarks.

use std::process::ExitCode;

use clap::Parser;
use mcp_router_tests::fixture::command::Command;

fn main() -> ExitCode {
    Command::parse().run()
}
