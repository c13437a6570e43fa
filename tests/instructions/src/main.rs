//! The whole router under one call at a time, for `tests/instructions/run` to count the
//! instructions of: `mcp-router-instructions CASE CALLS`.
//!
//! Times of a busy machine vary by more than most changes cost; instructions do not, as long as
//! nothing depends on who runs when. So router, client and backend share one thread: whatever a
//! call does, it does in the same order each time. The router is the real one, made from a
//! configuration, behind its listener, with the log on; client and backend are as little as can be,
//! and what they cost is counted too, the same each time.
//!
//! What is counted is [`counted`] and all that runs within, on its thread: neither the start, nor
//! the calls that fill pools and caches, nor the thread that writes the log.

#![forbid(unsafe_code)]

mod backend;
mod client;
mod message;
mod router;

use std::io::Write as _;
use std::process::ExitCode;

use tokio::runtime::Runtime;
use tower::BoxError;

use client::{Case, Client};

// As the programs have it: much of what a call costs is what it allocates.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Calls before counting, to fill pools and caches.
const WARM: usize = 100;

fn main() -> ExitCode {
    // The only one in this process: nobody can have been faster.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    if let Err(error) = run() {
        let _ = writeln!(std::io::stderr(), "instructions: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: mcp-router-instructions CASE CALLS";
    let case: Case = arguments.next().ok_or(usage)?.parse()?;
    let calls: usize = arguments.next().ok_or(usage)?.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let _log = mcp_router_observe::init(mcp_router_observe::LogFormat::Json, Some("info"))?;
    let mut client = runtime.block_on(start(case))?;
    runtime.block_on(client.call(WARM))?;
    counted(&runtime, &mut client, calls)
}

/// A client that is ready to call through a router that lists its backend's tools.
async fn start(case: Case) -> Result<Client, BoxError> {
    let backend = backend::start().await?;
    let router = router::start(backend).await?;
    Client::connect(case, router).await
}

/// Valgrind counts between entry and return; the name is an argument of `run`.
#[inline(never)]
fn counted(runtime: &Runtime, client: &mut Client, calls: usize) -> Result<(), BoxError> {
    runtime.block_on(client.call(calls))
}
