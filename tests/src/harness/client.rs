//! An HTTP client that sends exactly what it is told.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use super::checked::Exchange;
use super::sse::SseReader;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends each request over a connection of its own. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HttpClient {
    addr: SocketAddr,
    headers: HeaderMap,
}

/// A whole response.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A response whose body is still coming.
#[derive(Debug)]
pub struct Streaming {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The events of the body, which must be SSE.
    pub events: SseReader,
}

impl HttpClient {
    /// A client of the server at `addr` which sends `Host`, `Accept` for both kinds of answer and
    /// `Content-Type: application/json` unless told otherwise.
    #[must_use]
    pub fn new(addr: SocketAddr) -> Self {
        let mut client = Self {
            addr,
            headers: HeaderMap::new(),
        };
        client.set("host", &addr.to_string());
        client.set("accept", "application/json, text/event-stream");
        client.set("content-type", "application/json");
        client
    }

    /// This client with one more header on every request; an empty value removes it.
    ///
    /// # Panics
    /// If name or value cannot be a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    fn set(&mut self, name: &str, value: &str) {
        let name: header::HeaderName = name.parse().expect("a header name");
        if value.is_empty() {
            self.headers.remove(name);
        } else {
            self.headers
                .insert(name, value.parse().expect("a header value"));
        }
    }

    /// POSTs this body.
    ///
    /// # Panics
    /// If no whole response comes within 60 s.
    pub async fn post(&self, path: &str, body: impl Into<Bytes>) -> Reply {
        self.send(self.request(Method::POST, path, body)).await
    }

    /// GETs a whole body.
    ///
    /// # Panics
    /// As [`HttpClient::post`].
    pub async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path, Bytes::new()))
            .await
    }

    /// DELETEs.
    ///
    /// # Panics
    /// As [`HttpClient::post`].
    pub async fn delete(&self, path: &str) -> Reply {
        self.send(self.request(Method::DELETE, path, Bytes::new()))
            .await
    }

    /// A request as this client would send it, to be changed before [`HttpClient::send`].
    ///
    /// # Panics
    /// If `path` is no path.
    #[must_use]
    pub fn request(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body.into()));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().expect("a path");
        *request.headers_mut() = self.headers.clone();
        request
    }

    /// Sends `request` as it is and reads the whole response.
    ///
    /// # Panics
    /// If that fails or takes longer than 60 s.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Reply {
        self.try_send(request).await.expect("an answer")
    }

    /// As [`HttpClient::send`], but a connection that breaks is an error.
    ///
    /// # Errors
    /// If the connection is refused, or ends before the response.
    ///
    /// # Panics
    /// If it takes longer than 60 s.
    pub async fn try_send(&self, request: Request<Full<Bytes>>) -> Result<Reply, BoxError> {
        let sending = async {
            let exchange = Exchange::begin(&request);
            let (response, _connection) = self.start(request).await?;
            let (parts, body) = response.into_parts();
            let reply = Reply {
                status: parts.status,
                headers: parts.headers,
                body: body.collect().await?.to_bytes(),
            };
            exchange.whole(&reply);
            Ok(reply)
        };
        let sent = tokio::time::timeout(PATIENCE, sending).await;
        sent.expect("a whole answer within 60 s")
    }

    /// Sends `request` and returns at its response head, to read events from. Dropping the events
    /// closes the connection.
    ///
    /// # Panics
    /// If no head comes within 60 s.
    pub async fn open(&self, request: Request<Full<Bytes>>) -> Streaming {
        let exchange = Exchange::begin(&request);
        let (response, connection) = tokio::time::timeout(PATIENCE, self.start(request))
            .await
            .expect("a response head within 60 s")
            .expect("an answer");
        let (parts, body) = response.into_parts();
        let conversation = exchange.stream(&parts.headers);
        Streaming {
            status: parts.status,
            headers: parts.headers,
            events: SseReader::new(body, connection, conversation),
        }
    }

    async fn start(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(http::Response<Incoming>, AbortOnDropHandle<()>), BoxError> {
        let stream = TcpStream::connect(self.addr).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = AbortOnDropHandle::new(tokio::spawn(async move {
            // Its error is seen at the request or at the body.
            let _ = connection.await;
        }));
        Ok((sender.send_request(request).await?, connection))
    }
}

/// Whatever made a request fail.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Reply {
    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The messages of the body: one if it is JSON, one per event if it is SSE.
    ///
    /// # Panics
    /// If the body is neither.
    #[must_use]
    pub fn messages(&self) -> Vec<Value> {
        let parse = |text: &[u8]| {
            serde_json::from_slice(text)
                .unwrap_or_else(|_| panic!("no JSON in {} {}", self.status, self.text()))
        };
        let sse = self
            .header("content-type")
            .is_some_and(|t| t.starts_with("text/event-stream"));
        if !sse {
            return vec![parse(&self.body)];
        }
        let text = self.text();
        text.lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .filter(|data| !data.trim().is_empty())
            .map(|data| parse(data.as_bytes()))
            .collect()
    }

    /// The response message: the last one of the body.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn json(&self) -> Value {
        self.messages().pop().expect("a message")
    }

    /// The JSON-RPC error code, if the answer is an error.
    ///
    /// # Panics
    /// If the body holds no message.
    #[must_use]
    pub fn code(&self) -> Option<i64> {
        self.json()["error"]["code"].as_i64()
    }
}
