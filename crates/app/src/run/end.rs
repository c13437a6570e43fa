//! The end of a router, in order: not ready, serve on, stop accepting, finish what is in flight,
//! answer what does not finish, close sessions and processes.
//!
//! Each step ends as soon as nothing is left of it and has a limit; together they stay below the
//! 30 s that Kubernetes grants (F38). A second signal cuts everything short (F39).

use std::time::Duration;

use mcp_router_config::ServerConfig;
use mcp_router_core::Router;
use mcp_router_layers::DrainLayer;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::aside::Aside;
use crate::build::Built;

/// What the edge gets to write the answers of calls that had to be ended, and to close sessions.
const SETTLE: Duration = Duration::from_secs(3);
/// The same after a second signal.
const FLUSH: Duration = Duration::from_millis(250);
/// Beyond serving on and draining: what sessions and processes get to close, with a margin.
const CLOSE: Duration = Duration::from_secs(15);
/// What everything gets after a second signal.
const HURRY: Duration = Duration::from_millis(600);

/// How and when one router ends.
pub(super) struct End {
    router: Router,
    calls: DrainLayer,
    aside: Aside,
    serve: Duration,
    drain: Duration,
    hurry: CancellationToken,
}

impl End {
    pub(super) fn new(built: &Built, server: &ServerConfig) -> Self {
        Self {
            router: built.router.clone(),
            calls: built.calls.clone(),
            aside: Aside::default(),
            serve: server.drain_serve,
            drain: server.drain,
            hurry: CancellationToken::new(),
        }
    }

    /// What goes on beside the calls ends with them.
    pub(super) fn and(mut self, aside: Aside) -> Self {
        self.aside = aside;
        self
    }

    /// Nobody is to be served on.
    pub(super) const fn at_once(&mut self) {
        self.serve = Duration::ZERO;
    }

    /// Goes through all steps. `served` stops accepting and resolves when nothing is in flight
    /// any more; `again` resolves with the name of a signal that asks a second time. What is
    /// still open after this is closed with the process.
    pub(super) async fn orderly(
        &self,
        again: impl Future<Output = &'static str>,
        served: impl Future<Output = ()>,
    ) {
        let mut steps = std::pin::pin!(self.steps(served));
        let in_time = tokio::select! {
            () = &mut steps => true,
            () = sleep(self.serve + self.drain + CLOSE) => false,
            signal = again => {
                tracing::warn!(signal, "second signal: leaving at once");
                self.hurry.cancel();
                timeout(HURRY, steps).await.is_ok()
            }
        };
        if !in_time {
            tracing::warn!("not everything has stopped in time: leaving it");
        }
    }

    async fn steps(&self, served: impl Future<Output = ()>) {
        self.router.drain();
        self.wait(self.serve).await;
        tokio::select! {
            () = served => {}
            () = self.cut() => {}
        }
        // The last calls have been told, and take their time to arrive.
        tokio::join!(self.router.close(), self.aside.close());
    }

    /// Ends the calls that are left when the time to drain is over.
    async fn cut(&self) {
        self.wait(self.drain).await;
        self.calls.cut();
        tokio::select! {
            () = sleep(SETTLE) => {}
            () = async { self.hurry.cancelled().await; sleep(FLUSH).await } => {}
        }
    }

    async fn wait(&self, time: Duration) {
        tokio::select! {
            () = sleep(time) => {}
            () = self.hurry.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures::FutureExt;
    use mcp_router_core::Backend;
    use mcp_router_service::{CallError, McpRequest, McpResponse, Reason, Sent};
    use tokio::time::Instant;

    use super::*;

    const S: Duration = Duration::from_secs(1);

    /// A router with one backend, whose process stops or does not.
    fn end(serve: Duration, process_stops: bool) -> End {
        let gone = tower::service_fn(|_: McpRequest| {
            ready(Err::<McpResponse, _>(CallError::new(
                Reason::ConnectFailed,
                Sent::No,
            )))
        });
        let backend =
            Backend::new("b".parse().unwrap(), gone).on_close(move || match process_stops {
                true => ready(()).boxed(),
                false => pending().boxed(),
            });
        End {
            router: Router::builder().backend(backend).build().unwrap(),
            calls: DrainLayer::new(),
            aside: Aside::default(),
            serve,
            drain: 13 * S,
            hurry: CancellationToken::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn f38_with_nothing_in_flight_it_is_over_at_once() {
        let start = Instant::now();
        end(Duration::ZERO, true).orderly(pending(), async {}).await;
        assert_eq!(start.elapsed().as_millis() / 10, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn f38_it_serves_on_then_finishes_what_is_in_flight() {
        let end = end(5 * S, true);
        let start = Instant::now();
        let served = async {
            assert_eq!(start.elapsed().as_secs(), 5);
            assert!(end.router.readiness().draining);
            sleep(3 * S).await;
        };
        end.orderly(pending(), served).await;
        assert_eq!(start.elapsed().as_secs(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn f38_whatever_hangs_it_is_over_within_29_seconds() {
        let start = Instant::now();
        end(Duration::ZERO, false)
            .orderly(pending(), sleep(13 * S))
            .await;
        assert!(start.elapsed() < 29 * S, "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn f39_a_second_signal_ends_it_within_a_second() {
        let start = Instant::now();
        let again = async {
            sleep(2 * S).await;
            "SIGTERM"
        };
        end(Duration::ZERO, false).orderly(again, pending()).await;
        assert!(start.elapsed() < 3 * S, "{:?}", start.elapsed());
    }
}
