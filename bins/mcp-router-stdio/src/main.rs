//! One MCP server over standard input and output in front of many MCP servers.

use std::process::ExitCode;

use mcp_router_app::Edge;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // The only one in this process: nobody can have been faster.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    mcp_router_app::main(Edge::Stdio)
}
