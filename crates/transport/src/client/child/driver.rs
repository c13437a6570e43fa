//! Drives one child through its lives: start, handshake, watch, end, wait, again.

use std::sync::Arc;
use std::time::Duration;

use mcp_router_protocol::{ItemKind, Method};
use mcp_router_service::{BackendEvent, CallError, McpRequest};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::ChildParams;
use super::conn::Peer;
use super::life::Life;
use super::opening::Opening;
use crate::client::backoff::Backoff;
use crate::client::dialect::Answer;
use crate::client::events::Events;
use crate::client::info::listen_params;
use crate::client::link::Link;
use crate::client::owner::Owner;

/// How long a child that is about to be stopped still takes the calls of those who found it awake.
const FAREWELL: Duration = Duration::from_millis(50);

pub(super) struct Driver {
    pub(super) params: ChildParams,
    pub(super) link: Arc<Link<Peer>>,
    pub(super) events: Events,
    pub(super) stop: CancellationToken,
    pub(super) opening: Opening,
    /// Who the process is for.
    pub(super) owner: Owner,
}

impl Driver {
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::new(self.params.backoff);
        loop {
            if self.params.lazy && !self.sleep().await {
                return;
            }
            self.link.set_connecting();
            let started = Instant::now();
            let asked = self.opening;
            let Some(Ended { error, life }) = self.live().await else {
                return;
            };
            let Some(error) = error else {
                backoff.reset();
                stopped(life).await;
                continue;
            };
            if started.elapsed() >= self.params.stable_after {
                backoff.reset();
            }
            if asked != self.opening {
                // Two lives in one attempt count as two.
                backoff.next();
            }
            let retry_in = backoff.next();
            let error = error.on(&self.params.name);
            let lost = BackendEvent::Lost { error, retry_in };
            let waiting = async {
                self.events.tell(lost).await;
                sleep(retry_in).await;
            };
            let waiting = self.stop.run_until_cancelled(waiting);
            // What ended may still have to be helped to its end. Nobody waits for that but the
            // next life.
            let (waited, ()) = tokio::join!(waiting, stopped(life));
            if waited.is_none() {
                return;
            }
        }
    }

    /// Until somebody needs the child; `false`: the edge is closed.
    async fn sleep(&self) -> bool {
        self.link.set_asleep();
        let woken = async {
            self.events.tell(BackendEvent::Asleep).await;
            self.link.woken().await;
        };
        self.stop.run_until_cancelled(woken).await.is_some()
    }

    /// One life, or two where the first question kills. `None`: the edge is closed.
    async fn live(&mut self) -> Option<Ended> {
        let asked = self.opening;
        let ended = self.live_once().await?;
        // R46: it died of `server/discover`. It may live with `initialize`.
        if asked != self.opening {
            stopped(ended.life).await;
            return self.live_once().await;
        }
        Some(ended)
    }

    async fn live_once(&mut self) -> Option<Ended> {
        let stop = self.stop.clone();
        let mut life =
            match Life::start(&self.params, self.events.clone(), self.owner.scope.clone()).await {
                Ok(life) => life,
                Err(error) => {
                    self.link.set_down(&error, false);
                    let error = Some(error);
                    return Some(Ended { error, life: None });
                }
            };
        let conn = life.conn.clone();
        let served = async {
            let peer = tokio::select! {
                biased;
                opened = conn.handshake(&self.params, &self.owner, self.opening) => opened,
                error = life.ended() => Err(error),
            };
            match peer {
                Ok(peer) => self.watch(&mut life, peer).await,
                Err(error) => {
                    self.opening = self.opening.after(error.reason);
                    Some(error)
                }
            }
        };
        let Some(error) = stop.run_until_cancelled(served).await else {
            life.stop().await;
            return None;
        };
        let Some(error) = error else {
            let life = Some(life);
            return Some(Ended { error: None, life });
        };
        // A crashing child must not be started at the rate of calls: no retry for them.
        self.link.set_down(&error, false);
        life.fail_calls(error.reason, "its process ended").await;
        let (error, life) = (Some(error), Some(life));
        Some(Ended { error, life })
    }

    /// Serves until the child ends, with the reason, or nobody needs it any more.
    async fn watch(&self, life: &mut Life, peer: Peer) -> Option<CallError> {
        let peer = Arc::new(peer);
        self.link.set_up(peer.clone());
        let info = peer.info.clone();
        self.events.tell(BackendEvent::Connected(info)).await;
        let listening = self.listen(&peer);
        tokio::pin!(listening);
        let ended = async {
            tokio::select! {
                error = life.ended() => error,
                () = &mut listening => life.ended().await,
            }
        };
        tokio::select! {
            error = ended => Some(error),
            () = self.idle(&peer) => {
                tracing::info!(backend = %self.params.name, "child stopped: nobody used it");
                None
            }
        }
    }

    /// Resolves when a lazy child has not been called for so long that it may go. Calls find it
    /// asleep then.
    async fn idle(&self, peer: &Arc<Peer>) {
        if !self.params.lazy {
            return std::future::pending().await;
        }
        loop {
            peer.conn.unused_for(self.params.idle_after).await;
            self.link.set_asleep();
            // Whoever found it awake a moment ago has begun by now.
            sleep(FAREWELL).await;
            if !peer.conn.is_used() {
                return;
            }
            self.link.set_up(peer.clone());
        }
    }

    /// Has a modern child tell its changes, for as long as it does.
    async fn listen(&self, peer: &Arc<Peer>) {
        if peer.dialect.era() != mcp_router_protocol::Era::Modern {
            return;
        }
        let Some(params) = listen_params(&peer.info) else {
            return;
        };
        let request = McpRequest::new(Method::Listen, params);
        let answer: Result<Answer, CallError> = match peer.conn.subscribe(&peer.dialect, &request) {
            Ok(ticket) => ticket.answer().await,
            Err(error) => Err(error),
        };
        let refused = matches!(answer, Ok(Err(_)));
        tracing::debug!(backend = %self.params.name, refused, "child tells no more changes");
        if !refused {
            // Whatever changed between this and a new connection is not known.
            ItemKind::ALL.iter().for_each(|k| self.events.changed(*k));
        }
    }
}

/// A life that cannot go on. Its calls have failed; its process may not have ended.
struct Ended {
    /// Why; `None`: nobody needed it.
    error: Option<CallError>,
    life: Option<Life>,
}

async fn stopped(life: Option<Life>) {
    if let Some(life) = life {
        life.stop().await;
    }
}
