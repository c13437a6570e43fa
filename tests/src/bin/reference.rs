//! The reference backend of the conformance suite, over HTTP, HTTP+SSE or stdio.

use std::process::ExitCode;

use clap::Parser;
use mcp_router_tests::reference::command::Command;

fn main() -> ExitCode {
    Command::parse().run()
}
