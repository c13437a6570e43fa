//! The accept loop: connections with limits on everything a peer could hold on to.
//!
//! A peer that says nothing, sends one byte a minute or never reads costs a connection, and there
//! are only so many. hyper limits none of it by itself before the first request, so [`pace`]
//! times each phase of a connection.

mod descriptors;
mod linger;
mod newcomers;
mod pace;
mod quiet;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONNECTION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mcp_router_service::keeping_alarm;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::http::{Caller, HttpService};
use super::params::ServeParams;
use newcomers::Newcomers;
use pace::{Pace, Paced, PacedBody};
use quiet::Quiet;

/// How long the loop rests after it could not accept: descriptors come back by themselves, and
/// trying at full speed would take the time that giving them back needs (F44).
const REST: Duration = Duration::from_millis(100);
/// How long an idle connection may still bring a request once the server stops: one may be on its
/// way already.
const LAST_CALL: Duration = Duration::from_millis(100);
/// How many headers hyper takes unless it is told (B13).
const HYPERS_HEADERS: usize = 100;
/// How long sessions may take to be closed upstream at the end.
const CLOSE: Duration = Duration::from_secs(2);

/// The address a connection came in on: off loopback, clients may name it in `Host`. Who mounts the
/// edge in a server of their own puts it among the request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct LocalAddr(pub SocketAddr);

/// How serving ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ServeOutcome {
    /// Connections that were cut because they were not done within the drain time.
    pub cut: usize,
}

/// Serves HTTP/1.1 on `listener` until `stop` fires and everything in flight has its answer, or
/// [`ServeParams::drain`] is over. Then closes every session.
///
/// Subscriptions and standing streams are ended when `stop` fires ([`HttpService::drain`]). Errors
/// of accepting never end the loop. Dropping the future stops accepting and leaves connections to
/// themselves.
pub async fn serve(
    listener: TcpListener,
    http: HttpService,
    params: ServeParams,
    stop: CancellationToken,
) -> ServeOutcome {
    let most = params.connections.unwrap_or_else(descriptors::connections);
    let slots = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
    let params = Arc::new(params);
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    let mut newcomers = Newcomers::default();
    while let Some((stream, slot)) = next(&listener, &slots, &mut newcomers, &stop).await {
        let pace = Arc::new(Pace::default());
        newcomers.add(&pace);
        let connection = Connection {
            http: http.clone(),
            params: params.clone(),
            stop: stop.clone(),
            slot,
            pace,
        };
        // Boxed, as to select among futures keeps them twice.
        let connection = Box::pin(keeping_alarm(connection.run(stream)));
        let cut = Quiet::new(cut.clone().cancelled_owned());
        connections.spawn(async move {
            tokio::select! {
                biased;
                () = connection => {}
                () = cut => {}
            }
        });
    }
    drop(listener);
    http.drain();
    connections.close();
    let drained = tokio::time::timeout(params.drain, connections.wait()).await;
    let left = if drained.is_ok() {
        0
    } else {
        connections.len()
    };
    if left > 0 {
        tracing::warn!(connections = left, "not done within the drain time: cut");
    }
    cut.cancel();
    connections.wait().await;
    if tokio::time::timeout(CLOSE, http.close()).await.is_err() {
        tracing::warn!("sessions could not be closed upstream in time");
    }
    ServeOutcome { cut: left }
}

/// The next connection; `None` once it is time to stop.
async fn next(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    newcomers: &mut Newcomers,
    stop: &CancellationToken,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    loop {
        // A slot first: what cannot be served waits in the kernel and costs no descriptor.
        let slot = loop {
            let full = slots.available_permits() == 0;
            let again = full.then(|| newcomers.make_room()).flatten();
            tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                slot = slots.clone().acquire_owned() => break slot.ok()?,
                () = until(again) => {}
            }
        };
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => return Some((stream, slot)),
            // The peer left before we came; the next one may be there.
            Err(e) if is_the_peers(&e) => tracing::debug!(error = %e, "connection not accepted"),
            Err(e) => {
                tracing::warn!(error = %e, "connections cannot be accepted for now");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn is_the_peers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

struct Connection {
    http: HttpService,
    params: Arc<ServeParams>,
    stop: CancellationToken,
    slot: OwnedSemaphorePermit,
    pace: Arc<Pace>,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        let _slot = self.slot;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let local = stream.local_addr().ok().map(LocalAddr);
        let pace = self.pace;
        let io = TokioIo::new(Paced::new(stream, pace.clone(), &self.params));
        let (http, caller) = (self.http, Caller::on(local));
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let busy = pace.begin();
            let answer = http.serve(request, caller.clone());
            let pace = pace.clone();
            async move {
                let answer = answer.await?;
                // Only refusals of unread bodies close the connection.
                if answer.headers().contains_key(CONNECTION) {
                    pace.leave_unread();
                }
                Ok::<_, Infallible>(answer.map(|body| PacedBody::new(body, busy)))
            }
        });
        let mut server = http1::Builder::new();
        server
            .max_buf_size(self.params.buffer.max(8 << 10))
            // Ours, which know idleness from slowness.
            .header_read_timeout(None);
        // A number of our own, even the same one, makes hyper prepare that many for each request.
        if self.params.headers != HYPERS_HEADERS {
            server.max_headers(self.params.headers);
        }
        let connection = server.serve_connection(io, service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            () = Quiet::new(last_call(&self.stop)) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection ended");
        }
    }
}

async fn last_call(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(LAST_CALL).await;
}
