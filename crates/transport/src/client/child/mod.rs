//! Child processes over standard input and output.
//!
//! A process may print banners between its messages, flood its standard error, die of the first
//! question, die in the middle of a call, stop reading, ignore being asked to end, or leave
//! children of its own behind. None of this may reach another backend, or outlive the router.
//!
//! One task drives each child through its lives (`driver`). Calls share the process (`conn`).

mod conn;
mod driver;
mod life;
mod opening;
mod own;
mod params;
mod pipes;
mod spawn;
mod stderr;
mod subscribe;

use std::sync::Arc;

use futures::FutureExt;
use mcp_router_protocol::Method;
use mcp_router_service::{
    CallError, McpRequest, McpResponse, McpService, Outcome, Prober, Pulse, Reason, Sent,
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use params::ChildParams;

use crate::client::events::Events;
use crate::client::level::Wants;
use crate::client::link::{Link, Standing};
use crate::client::owner::Owner;
use crate::client::probe::found;
use crate::client::{Connected, able};
use conn::Peer;
use driver::Driver;
use opening::Opening;
use own::Own;

/// Starts the edge of one child process, and the process itself unless it is lazy. Call it inside
/// a runtime.
pub fn child(params: ChildParams) -> Connected {
    let (events, stream) = Events::channel();
    let patience = params.probe_timeout + params.handshake_timeout;
    let link = Arc::new(Link::new(params.lazy, patience));
    let probe = prober(link.clone());
    let stop = CancellationToken::new();
    let name = params.name.clone();
    let most = params.processes_for_clients;
    let own = most.map(|most| Arc::new(Own::new(&params, most, &events, &stop)));
    let driver = Driver {
        owner: Owner::router(&params.identity.json()),
        params,
        link: link.clone(),
        events,
        stop: stop.clone(),
        opening: Opening::Probe,
    };
    let done = tokio::spawn(driver.run());
    // Whoever drops the service's last clone ends the process.
    let alive = Arc::new(stop.clone().drop_guard());
    let ended = own.clone();
    // What all clients together want to hear, through all lives of the child.
    let wants = Wants::new();
    let attending = attend(link.clone(), wants.clone());
    tokio::spawn(stop.clone().run_until_cancelled_owned(attending));
    let service = tower::service_fn(move |request: McpRequest| {
        let (link, own) = (link.clone(), own.clone());
        let (name, alive, wants) = (name.clone(), alive.clone(), wants.clone());
        async move {
            let answer = call(&link, own.as_deref(), &wants, request).await;
            drop(alive);
            answer.map_err(|e| e.on(&name))
        }
    });
    Connected {
        service: McpService::new(service),
        events: stream,
        probe,
        close: Box::new(move || {
            async move {
                stop.cancel();
                // A driver that panicked has dropped, and so killed, its child.
                let _ = done.await;
                if let Some(own) = ended {
                    own.ended().await;
                }
            }
            .boxed()
        }),
    }
}

async fn call(
    link: &Arc<Link<Peer>>,
    own: Option<&Own>,
    wants: &Arc<Wants>,
    request: McpRequest,
) -> Result<McpResponse, CallError> {
    match request.method {
        Method::Listen => return subscribe::listen(&link.peer().await?, request).await,
        // Nothing of a process can be carried to another router.
        Method::Attach | Method::Detach => return Ok(McpResponse::complete(able::nothing())),
        Method::Answer => {
            let gone = CallError::new(Reason::BackendLost, Sent::No);
            return Err(gone.detail("a process of another router"));
        }
        _ => {}
    }
    if let (Some(own), Some(session)) = (own, &request.context.session) {
        if request.method == Method::SetLevel {
            // Worth no process. One that is there hears of it with the next call.
            return Ok(McpResponse::complete(able::nothing()));
        }
        let link = match request.method.is_notification() {
            // A process that is started later knows it from the start.
            true => own.started(session),
            false => Some(own.link(session)?),
        };
        let Some(link) = link else {
            return Ok(McpResponse::Ready(Outcome::Accepted));
        };
        let peer = link.peer().await?;
        peer.keep_level(wants, &request.context).await;
        return peer.call(request).await;
    }
    let peer = link.peer().await?;
    peer.keep_level(wants, &request.context).await;
    peer.call(request).await
}

/// Asks a child over its pipe. One that is being started, or sleeps, is left alone.
/// Has the child's level go down again when those are gone who wanted to hear more.
async fn attend(link: Arc<Link<Peer>>, wants: Arc<Wants>) {
    loop {
        wants.lowered().await;
        if let Some(peer) = link.get() {
            peer.lower_level(&wants).await;
        }
    }
}

fn prober(link: Arc<Link<Peer>>) -> Prober {
    // Questions that a child does not answer must not pile up in its pipe.
    let turns = Arc::new(Semaphore::new(1));
    Arc::new(move || {
        let (link, turns) = (link.clone(), turns.clone());
        async move {
            let _turn = turns.acquire().await;
            match link.standing() {
                Standing::Asleep => Ok(Pulse::Asleep),
                Standing::Connecting => Ok(Pulse::Unknown),
                Standing::Down(error) => found(&error),
                Standing::Up(peer) => match peer.ping().await {
                    Ok(()) => Ok(Pulse::Well),
                    Err(error) => found(&error),
                },
            }
        }
        .boxed()
    })
}

#[cfg(test)]
mod tests;
