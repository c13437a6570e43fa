//! HTTP+SSE, the transport of 2024-11-05: one stream for everything said to the client, and an address to
//! post to that it names first. It knows the legacy era alone.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::sync::mpsc;

use std::collections::HashMap;
use std::sync::Mutex;

use super::events::{Out, Outs};
use super::http::{Body, Sessions, empty, events, foreign, read};
use super::legacy;
use super::listen;
use super::server::{Server, lock};

/// The server at `/sse` and `/messages`.
#[derive(Debug)]
pub(super) struct Endpoint {
    server: Arc<Server>,
    sessions: Sessions,
    streams: Arc<Mutex<HashMap<String, Outs>>>,
}

impl Endpoint {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            sessions: Sessions::default(),
            streams: Arc::default(),
        }
    }

    pub(super) async fn serve(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        if let Some(refused) = foreign(&head.headers) {
            return empty(refused);
        }
        match (&head.method, head.uri.path()) {
            (&Method::GET, "/sse") => self.open(),
            (&Method::POST, "/messages") => match read(body).await {
                Ok(message) => self.post(head.uri.query().unwrap_or_default(), message),
                Err(refused) => refused,
            },
            (_, "/sse" | "/messages") => empty(StatusCode::METHOD_NOT_ALLOWED),
            _ => empty(StatusCode::NOT_FOUND),
        }
    }

    fn open(&self) -> Response<Body> {
        let session = self.sessions.open();
        let id = session.id.clone();
        let (out, outs) = mpsc::unbounded_channel();
        lock(&self.streams).insert(id.clone(), out.clone());
        let (server, streams) = (self.server.clone(), self.streams.clone());
        tokio::spawn(async move {
            listen::tell_all(&server, &session, &out).await;
            lock(&streams).remove(&session.id);
        });
        let first = Bytes::from(format!("event: endpoint\ndata: /messages?session={id}\n\n"));
        let rest = stream::unfold(outs, |mut outs| async {
            let bytes = match outs.recv().await? {
                Out::Message(body) | Out::Final { body, .. } => {
                    Bytes::from(format!("event: message\ndata: {body}\n\n"))
                }
                Out::Pause => Bytes::from_static(b": still here\n\n"),
            };
            Some((bytes, outs))
        });
        events(stream::iter([first]).chain(rest))
    }

    fn post(&self, query: &str, message: serde_json::Value) -> Response<Body> {
        let id = query.strip_prefix("session=").unwrap_or_default();
        let stream = lock(&self.streams).get(id).cloned();
        let (Some(session), Some(out)) = (self.sessions.get(id), stream) else {
            return empty(StatusCode::NOT_FOUND);
        };
        legacy::take(&self.server, &session, message, out);
        empty(StatusCode::ACCEPTED)
    }
}
