//! HTTP+SSE of 2024-11-05: one stream carries every answer, messages are posted elsewhere.
//!
//! The stream's first event names the URL to post to. Its id is not guessable and dies with the
//! stream: the connection is the session.

use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, stream};
use http::request::Parts;
use http::{Response, StatusCode};
use mcp_router_service::SessionId;
use mcp_router_service::seal::random_id;
use papaya::HashMap;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tower::BoxError;

use super::body::Body;
use super::events::Events;
use super::post::invalid;
use super::{Front, SSE_POST, Shared, intake, negotiate, reply};
use crate::server::connection::{Connection, Setup};
use crate::server::dialect::Wire;

/// Open connections by the id in their POST URL.
#[derive(Default)]
pub(super) struct Connections(HashMap<Arc<str>, Entry>);

#[derive(Clone)]
struct Entry {
    connection: Connection,
    principal: mcp_router_service::Principal,
}

impl Connections {
    fn find(&self, head: &Parts) -> Option<Connection> {
        let query = head.uri.query()?;
        let id = query
            .split('&')
            .find_map(|p| p.strip_prefix("session_id="))?;
        let entry = self.0.pin().get(id).cloned()?;
        (entry.principal == Shared::principal(head)).then_some(entry.connection)
    }

    pub(super) async fn close_all(&self) {
        let all: Vec<_> = {
            let table = self.0.pin();
            table.values().map(|e| e.connection.clone()).collect()
        };
        futures::future::join_all(all.iter().map(Connection::close)).await;
    }
}

/// GET: opens a connection.
pub(super) fn open(shared: &Arc<Shared>, front: &Front<'_>) -> Response<Body> {
    if let Err(refusal) = negotiate::takes(front, &["text/event-stream"]) {
        return *refusal;
    }
    let Ok(permit) = shared.streams.clone().try_acquire_owned() else {
        return reply::full("streams");
    };
    let Ok(id) = random_id() else {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        return reply::refused(status, "no connection id can be made");
    };
    let id: Arc<str> = id.into();
    let principal = Shared::principal(front.head);
    let setup = Setup {
        session: SessionId::new(id.clone()),
        principal: principal.clone(),
        in_flight: shared.in_flight.clone(),
        batch: shared.params.limits.batch,
        ask: shared.params.times.ask,
        signature: shared.signature.clone(),
    };
    let (connection, queue) = Connection::new(shared.router.clone(), setup);
    let endpoint = format!("event: endpoint\ndata: {SSE_POST}?session_id={id}\n\n");
    let entry = Entry {
        connection: connection.clone(),
        principal,
    };
    shared.connections.0.pin().insert(id.clone(), entry);
    let life = Life {
        shared: shared.clone(),
        id,
        connection,
        _permit: permit,
    };
    let events = Events::new(messages(life, queue), shared.params.times.keep_alive);
    reply::events(events.after(endpoint.into()))
}

/// The stream's messages, until it is dropped or the router drains and every call has its answer.
fn messages(life: Life, queue: mpsc::Receiver<Wire>) -> impl Stream<Item = Wire> + Send {
    let connection = life.connection.clone();
    let drain = life.shared.drain.clone();
    let done = Box::pin(async move {
        tokio::select! {
            () = connection.ended() => {}
            () = drain.cancelled() => {}
        }
        connection.idle().await;
    });
    stream::unfold(
        (life, queue, Some(done)),
        |(life, mut queue, mut done)| async move {
            loop {
                let wire = match &mut done {
                    None => queue.try_recv().ok(),
                    Some(finished) => tokio::select! {
                        biased;
                        wire = queue.recv() => wire,
                        () = finished => {
                            done = None;
                            continue;
                        }
                    },
                };
                return wire.map(|wire| (wire, (life, queue, done)));
            }
        },
    )
}

/// Held by the stream; its end is the session's end.
struct Life {
    shared: Arc<Shared>,
    id: Arc<str>,
    connection: Connection,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Life {
    fn drop(&mut self) {
        self.shared.connections.0.pin().remove(&self.id);
        self.connection.kill();
        let connection = self.connection.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { connection.close().await });
        }
    }
}

/// POST: one message for an open connection. Its answer comes on the stream.
pub(super) async fn post<B>(shared: &Arc<Shared>, front: &Front<'_>, body: B) -> Response<Body>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    match posted(shared, front, body).await {
        Ok(()) => reply::accepted(),
        Err(refusal) => *refusal,
    }
}

async fn posted<B>(shared: &Shared, front: &Front<'_>, body: B) -> Result<(), Box<Response<Body>>>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let Ok(reading) = shared.in_flight.clone().try_acquire_owned() else {
        return Err(Box::new(reply::full("requests in flight")));
    };
    negotiate::sends_json(front)?;
    let Some(connection) = shared.connections.find(front.head) else {
        let text = "no such connection; open one with GET /sse";
        return Err(Box::new(reply::refused_unread(StatusCode::NOT_FOUND, text)));
    };
    let intake = intake::read(shared, body).await?;
    // The call itself takes its own place.
    drop(reading);
    let taken = connection.take(intake.text).await;
    taken.map_err(|e| invalid(&e))
}
