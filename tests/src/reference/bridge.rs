//! A way for the suite, which speaks HTTP to servers, to a server that speaks stdio.
//!
//! Each legacy session gets a process of its own; all modern requests share one, as those of one host
//! would. What belongs to HTTP alone is settled here: sessions, the checks of headers, `Origin` and `Host`,
//! and the status that goes with an error. Everything else is the server's.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::events::error;
use super::http::{Body, empty, events, foreign, headers, read, show, whole};
use super::legacy::REVISIONS;
use super::modern;
use super::server::{lock, unguessable};

mod child;

use child::{Child, Lease};

/// The bridge at `/mcp`.
#[derive(Debug)]
pub(super) struct Bridge {
    command: Vec<String>,
    sessions: Mutex<HashMap<String, Arc<Child>>>,
    modern: tokio::sync::OnceCell<Arc<Child>>,
}

impl Bridge {
    pub(super) fn new(command: Vec<String>) -> Self {
        Self {
            command,
            sessions: Mutex::default(),
            modern: tokio::sync::OnceCell::new(),
        }
    }

    pub(super) async fn serve(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        if let Some(refused) = foreign(&head.headers) {
            return empty(refused);
        }
        if head.uri.path() != "/mcp" {
            return empty(StatusCode::NOT_FOUND);
        }
        let version = headers::value(&head.headers, headers::VERSION);
        let says_modern = version.is_some_and(|version| !REVISIONS.contains(&version));
        let served = match head.method {
            Method::POST => match read(body).await {
                Ok(message) if says_modern || modern::is_modern(&message) => {
                    self.modern(&head.headers, message).await
                }
                Ok(message) => self.legacy(&head.headers, message).await,
                Err(refused) => Ok(refused),
            },
            _ if says_modern => Ok(empty(StatusCode::METHOD_NOT_ALLOWED)),
            Method::GET => Ok(self.get(&head.headers)),
            Method::DELETE => Ok(self.delete(&head.headers)),
            _ => Ok(empty(StatusCode::METHOD_NOT_ALLOWED)),
        };
        served.unwrap_or_else(|error: io::Error| whole(502, &json!({"error": error.to_string()})))
    }

    async fn modern(&self, headers: &HeaderMap, message: Value) -> io::Result<Response<Body>> {
        let child = self
            .modern
            .get_or_try_init(|| async { Child::start(&self.command).map(Arc::new) })
            .await?;
        if message.get("id").is_none() {
            child.say(&message);
            return Ok(empty(StatusCode::ACCEPTED));
        }
        // Over stdio nothing but the body tells the era, so one that does not is refused here.
        let complete = modern::has_envelope(&message);
        if !complete || headers::envelope_mismatch(headers, &message).is_some() {
            let (code, text) = match complete {
                true => (-32020, "The headers differ from the body"),
                false => (-32602, "Required fields are missing in _meta"),
            };
            return Ok(whole(400, &error(&message["id"], code, text, None)));
        }
        let (out, outs) = mpsc::unbounded_channel();
        let lease = child.lease(message, out);
        Ok(show(outs, lease).await)
    }

    async fn legacy(&self, headers: &HeaderMap, message: Value) -> io::Result<Response<Body>> {
        let (child, opened) = if message["method"] == "initialize" {
            let (id, child) = (unguessable(), Arc::new(Child::start(&self.command)?));
            lock(&self.sessions).insert(id.clone(), child.clone());
            (child, Some(id))
        } else {
            match self.find(headers) {
                Ok((_, child)) => (child, None),
                Err(status) => return Ok(empty(status)),
            }
        };
        if message.get("id").is_none() || message.get("method").is_none() {
            child.say(&message);
            return Ok(empty(StatusCode::ACCEPTED));
        }
        let (out, outs) = mpsc::unbounded_channel();
        child.ask(message, out);
        let mut answer = show(outs, Lease::none()).await;
        if let Some(Ok(id)) = opened.map(|id| id.parse()) {
            answer.headers_mut().insert("mcp-session-id", id);
        }
        Ok(answer)
    }

    fn get(&self, headers: &HeaderMap) -> Response<Body> {
        match self.find(headers) {
            Ok((_, child)) => events(child.standing()),
            Err(status) => empty(status),
        }
    }

    fn delete(&self, headers: &HeaderMap) -> Response<Body> {
        match self.find(headers) {
            Ok((id, _)) => {
                lock(&self.sessions).remove(&id);
                empty(StatusCode::NO_CONTENT)
            }
            Err(status) => empty(status),
        }
    }

    fn find(&self, headers: &HeaderMap) -> Result<(String, Arc<Child>), StatusCode> {
        let id = headers::value(headers, "mcp-session-id").ok_or(StatusCode::BAD_REQUEST)?;
        let child = lock(&self.sessions).get(id).cloned();
        child
            .map(|child| (id.to_owned(), child))
            .ok_or(StatusCode::NOT_FOUND)
    }
}
