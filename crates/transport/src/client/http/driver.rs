//! Keeps one HTTP backend connected, for ever.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use mcp_router_service::{BackendEvent, CallError};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::edge::Edge;
use super::lane::Lane;
use super::negotiate::{Finding, Peer, negotiate};
use super::turns::STARTS;
use super::{level, renew, standing};
use crate::client::backoff::Backoff;

/// Attempts are at least so far apart, however many calls ask for one.
const APART: Duration = Duration::from_millis(250);
/// How long closing may take, all sessions at once.
const CLOSE: Duration = Duration::from_secs(3);
/// How often conversations that nobody uses are looked for.
const TIDY: Duration = Duration::from_secs(30);

/// Connects, watches, connects again; ends when `stop` is cancelled, with every upstream session
/// closed.
pub(super) async fn drive(edge: Arc<Edge>, stop: CancellationToken) {
    let mut known = None;
    let living = async {
        if edge.params.lazy {
            edge.events.tell(BackendEvent::Asleep).await;
            edge.link.woken().await;
        }
        tokio::join!(
            run(&edge, &mut known),
            renew::connections(&edge),
            edge.lanes.tidy(&edge, TIDY),
            level::attend(&edge)
        )
    };
    // Large, with all the ways to negotiate in it, and there once.
    stop.run_until_cancelled(Box::pin(living)).await;
    let closing = async {
        let shared = edge.link.get().and_then(|peer| peer.lane.clone());
        let shared = async {
            if let Some(lane) = &shared {
                lane.close(&edge).await;
            }
        };
        tokio::join!(shared, edge.lanes.close_all(&edge))
    };
    if timeout(CLOSE, closing).await.is_err() {
        tracing::debug!(backend = %edge.params.name, "not every upstream session was closed");
    }
}

async fn run(edge: &Arc<Edge>, known: &mut Option<Finding>) -> Infallible {
    let mut backoff = Backoff::new(edge.params.backoff);
    loop {
        edge.link.set_connecting();
        let started = Instant::now();
        let error = match STARTS.take(negotiate(edge, known.as_ref())).await {
            Ok(peer) => {
                let peer = Arc::new(peer);
                *known = Some(peer.finding());
                backoff.reset();
                serve(edge, peer).await
            }
            Err(error) => error,
        };
        edge.link.set_down(&error, true);
        let retry_in = backoff.next().max(APART.saturating_sub(started.elapsed()));
        let error = error.on(&edge.params.name);
        let lost = BackendEvent::Lost { error, retry_in };
        let waiting = async {
            edge.events.tell(lost).await;
            sleep(retry_in).await;
        };
        tokio::select! {
            () = waiting => {}
            () = hurried(edge, started) => {}
        }
    }
}

/// Resolves when a call wants a connection now, and the last attempt is not too fresh.
async fn hurried(edge: &Edge, last: Instant) {
    edge.link.woken().await;
    sleep(APART.saturating_sub(last.elapsed())).await;
}

/// Until the backend is lost; says why.
async fn serve(edge: &Arc<Edge>, peer: Arc<Peer>) -> CallError {
    edge.link.set_up(peer.clone());
    let connected = BackendEvent::Connected(peer.info.clone());
    edge.events.tell(connected).await;
    let standing = standing::attend_peer(edge, &peer);
    let doubted = async {
        loop {
            edge.link.woken().await;
            if let Err(error) = peer.verify(edge).await {
                return error;
            }
            // A backend that is there for us and not for calls need not be asked all the time.
            sleep(APART).await;
        }
    };
    let error = tokio::select! {
        error = standing => error,
        error = doubted => error,
    };
    if let Some(Lane::Channel(channel)) = &peer.lane {
        channel.close();
    }
    error
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::FutureExt;
    use futures::future::BoxFuture;

    use super::super::{ByteStream, Dial, HttpBackendParams, http};
    use super::*;

    /// Nobody is there.
    #[derive(Debug, Default)]
    struct Refusing(AtomicUsize);

    impl Dial for Refusing {
        fn connect(&self, _: &str, _: u16) -> BoxFuture<'static, io::Result<Box<dyn ByteStream>>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            async { Err(io::ErrorKind::ConnectionRefused.into()) }.boxed()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_refuses_is_asked_ever_less_often() {
        let dial = Arc::new(Refusing::default());
        let name = "away".parse().unwrap();
        let mut params = HttpBackendParams::new(name, "http://away:8/mcp").unwrap();
        params.dial = Some(dial.clone());
        let connected = http(params);
        let mut seen = Vec::new();
        for _ in 0..5 {
            sleep(Duration::from_secs(60)).await;
            seen.push(dial.0.swap(0, Ordering::Relaxed));
        }
        // After 1, 2, 4, 8 and 16 s, then every 20, each a quarter less at most.
        assert!((6..=8).contains(&seen[0]), "{seen:?}");
        assert!(seen[1..].iter().all(|n| (2..=5).contains(n)), "{seen:?}");
        drop(connected.service);
    }
}
