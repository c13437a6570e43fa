//! The edge in process, without sockets.

mod bodies;
mod gate;
mod hostile;
mod legacy;
mod modern;
mod resume;
mod sessions;
mod sse;
mod streams;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::ServiceExt;

use super::*;
use crate::server::testing::{Mock, until};

// As they are on the wire, whatever the edge looks for.
const SESSION: &str = "mcp-session-id";
const LAST_EVENT: &str = "last-event-id";

/// An edge and the router behind it.
struct Edge {
    mock: Mock,
    http: HttpService,
}

/// A whole answer.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    /// The messages of a stream of events.
    fn events(&self) -> Vec<&str> {
        assert_eq!(self.headers["content-type"], "text/event-stream");
        assert_eq!(self.headers["x-accel-buffering"], "no");
        let data = self.text.lines().filter_map(|l| l.strip_prefix("data: "));
        data.collect()
    }

    /// The code of the JSON-RPC error.
    fn code(&self) -> i64 {
        assert_eq!(
            self.headers["content-type"], "application/json",
            "{}",
            self.text
        );
        let body: serde_json::Value = serde_json::from_str(&self.text).unwrap();
        body["error"]["code"].as_i64().unwrap_or_default()
    }
}

/// The next chunk of a body that is still being written.
async fn chunk(body: &mut Body) -> Option<String> {
    let frame = body.frame().await?.unwrap();
    Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
}

/// The next event or comment, whole.
async fn event(body: &mut Body) -> Option<String> {
    let mut text = String::new();
    while !text.ends_with("\n\n") {
        text.push_str(&chunk(body).await?);
    }
    Some(text)
}

/// As [`event`], without what opens a stream to come back to.
async fn said(body: &mut Body) -> Option<String> {
    let first = event(body).await?;
    match first.contains("retry: ") {
        true => event(body).await,
        false => Some(first),
    }
}

impl Edge {
    fn new() -> Self {
        Self::with(HttpParams::default())
    }

    fn with(params: HttpParams) -> Self {
        let mock = Mock::new();
        let http = http(mock.service(), params);
        Self { mock, http }
    }

    fn sessions(&self) -> SessionCounts {
        self.http.sessions()
    }

    /// Sends a request, with the headers every client of the endpoint sends unless given.
    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        read(self.open(method, path, headers, body).await).await
    }

    async fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response<Body> {
        let defaults = [
            ("host", "localhost:8000"),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in defaults {
            if !headers.iter().any(|(n, _)| *n == name) {
                request = request.header(name, value);
            }
        }
        // An empty value leaves a default out.
        for (name, value) in headers.iter().filter(|(_, v)| !v.is_empty()) {
            request = request.header(*name, *value);
        }
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
        let answer = self.http.clone().oneshot(request.body(body).unwrap());
        answer.await.unwrap()
    }

    async fn post(&self, headers: &[(&str, &str)], body: &str) -> Answer {
        self.send("POST", "/mcp", headers, body).await
    }

    /// Opens a session and gives its id.
    async fn session(&self, version: &str, capabilities: &str) -> String {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{version}","capabilities":{capabilities},"clientInfo":{{"name":"t","version":"1"}}}}}}"#
        );
        let answer = self.post(&[], &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.headers[SESSION].to_str().unwrap().to_owned()
    }
}

async fn read(answer: Response<Body>) -> Answer {
    let (head, body) = answer.into_parts();
    let declared = http_body::Body::size_hint(&body).exact();
    let bytes = body.collect().await.unwrap().to_bytes();
    if let Some(declared) = declared {
        assert_eq!(declared, bytes.len() as u64, "content-length is exact");
    }
    Answer {
        status: head.status,
        headers: head.headers,
        text: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

/// A legacy request.
fn request(id: &str, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
}

/// A call of a tool of the mock's.
fn call(id: &str, tool: &str) -> String {
    request(id, "tools/call", &format!(r#"{{"name":"{tool}"}}"#))
}
