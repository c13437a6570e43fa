//! Running a router for a binary: runtime, logging, exit code.

use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use mcp_router_config::Config;
use mcp_router_core::Router;
use mcp_router_transport::descriptors;
use tokio::runtime::{Builder, Runtime};

use super::args::{Cli, Edge};
use super::{FAILED, OK, load, terminal};
use crate::build::Plan;
use crate::report;
use crate::run::{self, RunError};

/// How long tasks that hang on a blocking read (a terminal's standard input) may hold the exit.
const LINGER: Duration = Duration::from_millis(50);

/// How long the command line waits for backends at the start where the file says nothing: children
/// that are downloaded first take their time.
const CLI_WAIT: Duration = Duration::from_secs(10);

/// Serves clients until a signal or the end of input.
pub(super) fn serve(edge: Edge, cli: &Cli) -> u8 {
    let (plan, _log) = match apart(|| prepared(cli, "info")) {
        Ok(prepared) => prepared,
        Err(code) => return code,
    };
    descriptors::raise();
    let code = blocking(async {
        let served = match edge {
            Edge::Http => run::http(plan).await,
            Edge::Stdio => run::stdio(plan).await,
        };
        finish(served)
    });
    tracing::info!(code, "stopped");
    code
}

/// Builds the router, lets `work` use it, and closes it again, also when interrupted.
pub(super) fn with_router(cli: &Cli, work: impl AsyncFnOnce(Router) -> u8) -> u8 {
    built(cli, "warn", async |router, _| work(router).await)
}

/// As [`with_router`], for work that looks at the configuration, too, and tells by itself which
/// backends are not there.
pub(super) fn with_configured(cli: &Cli, work: impl AsyncFnOnce(Router, Config) -> u8) -> u8 {
    built(cli, "error", work)
}

fn built(cli: &Cli, level: &str, work: impl AsyncFnOnce(Router, Config) -> u8) -> u8 {
    let (plan, _log) = match prepared(cli, level) {
        Ok(prepared) => prepared,
        Err(code) => return code,
    };
    let config = plan.config.clone();
    blocking(async {
        let work = async |router| work(router, config).await;
        match run::once(plan.startup_wait(CLI_WAIT), work).await {
            Ok(code) => code,
            Err(error) => finish(Err(error)),
        }
    })
}

/// Does something in a thread of its own. What it allocated in passing is given back with the
/// thread, and would stay with one that hardly ever allocates again.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let done = thread::scope(|scope| scope.spawn(work).join());
    done.unwrap_or_else(|panic| resume_unwind(panic))
}

fn prepared(cli: &Cli, level: &str) -> Result<(Plan, mcp_router_observe::LogGuard), u8> {
    let loaded = load::loaded(cli)?;
    let log = load::logging(cli, &loaded, level)?;
    Ok((load::plan(cli, loaded), log))
}

fn finish(served: Result<(), RunError>) -> u8 {
    match served {
        Ok(()) => OK,
        Err(error) => {
            terminal::complain(&report(&error));
            FAILED
        }
    }
}

/// Waits for asynchronous work in a runtime of its own.
pub(super) fn blocking(work: impl Future<Output = u8>) -> u8 {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal::complain(&format!("cannot start: {error}"));
            return FAILED;
        }
    };
    let code = runtime.block_on(work);
    runtime.shutdown_timeout(LINGER);
    code
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread()
        .thread_name("mcp-router")
        .enable_all()
        .build()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::panic::catch_unwind;
    use std::sync::Arc;

    use super::*;

    thread_local! {
        /// What a thread holds until it has ended, as the allocator does.
        static HELD: RefCell<Option<Arc<()>>> = const { RefCell::new(None) };
    }

    #[test]
    fn what_is_done_apart_is_done_in_a_thread_that_has_ended() {
        let (here, held) = (thread::current().id(), Arc::new(()));
        let there = apart(|| {
            HELD.set(Some(held.clone()));
            thread::current().id()
        });
        assert_ne!(here, there);
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[test]
    fn a_panic_apart_is_a_panic_here() {
        let panic = catch_unwind(|| apart(|| panic!("as the test wants it"))).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"as the test wants it"));
    }
}
