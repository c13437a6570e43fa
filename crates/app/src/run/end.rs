//! The end of a router, in order: not ready, serve on, stop accepting, finish what is in flight,
//! close sessions and processes.
//!
//! Each step ends as soon as nothing is left of it and has a limit; together they stay below the
//! 30 s that Kubernetes grants (F38). A second signal cuts everything short (F39).

use std::time::Duration;

use mcp_router_config::ServerConfig;
use mcp_router_core::Router;
use tokio::time::{sleep, timeout};

use super::signals::Signals;

/// Beyond serving on and draining: what sessions and processes get to close, with a margin.
const CLOSE: Duration = Duration::from_secs(15);
/// What they get after a second signal.
const HURRY: Duration = Duration::from_millis(500);

/// How and when one router ends.
pub(super) struct End {
    router: Router,
    serve: Duration,
    drain: Duration,
}

impl End {
    pub(super) const fn new(router: Router, server: &ServerConfig) -> Self {
        Self {
            router,
            serve: server.drain_serve,
            drain: server.drain,
        }
    }

    /// Nobody is to be served on.
    pub(super) fn at_once(&mut self) {
        self.serve = Duration::ZERO;
    }

    /// Goes through all steps. `served` stops accepting and resolves when nothing is in flight
    /// any more. What is still open after this is closed with the process.
    pub(super) async fn orderly(&self, signals: &mut Signals, served: impl Future<Output = ()>) {
        let steps = async {
            self.router.drain();
            sleep(self.serve).await;
            served.await;
            self.router.close().await;
        };
        tokio::select! {
            () = steps => {}
            () = sleep(self.serve + self.drain + CLOSE) => {
                tracing::warn!("not everything has stopped in time: leaving it");
            }
            signal = signals.stop() => {
                tracing::warn!(signal, "second signal: leaving at once");
                // Takes over only if the closing had not begun; what had is cut off here.
                if timeout(HURRY, self.router.close()).await.is_err() {
                    tracing::warn!("not everything has stopped in time: leaving it");
                }
            }
        }
    }
}
