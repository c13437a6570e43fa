//! A backend that does what a test tells it to.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// One request that arrived.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
    /// Which connection it came on.
    pub(super) connection: usize,
}

impl Seen {
    /// The JSON-RPC method, empty for none.
    pub(super) fn rpc(&self) -> &str {
        self.body["method"].as_str().unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// A result for this request.
    pub(super) fn result(&self, result: &str) -> String {
        format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#,
            self.body["id"]
        )
    }

    pub(super) fn error(&self, code: i64) -> String {
        let id = &self.body["id"];
        format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"no"}}}}"#)
    }
}

/// What a backend does with a request.
pub(super) enum Reply {
    /// Status, headers, body.
    Whole(u16, Vec<(&'static str, String)>, Bytes),
    /// A stream of pieces, headers first; ends when the sender is dropped.
    Pieces(Vec<(&'static str, String)>, mpsc::UnboundedReceiver<String>),
    /// Nothing, for ever.
    Never,
    /// The connection is closed.
    Close,
}

pub(super) const JSON: (&str, &str) = ("content-type", "application/json");
pub(super) const EVENTS: (&str, &str) = ("content-type", "text/event-stream");

fn own(header: (&'static str, &str)) -> (&'static str, String) {
    (header.0, header.1.to_owned())
}

pub(super) fn json(body: String) -> Reply {
    Reply::Whole(200, vec![own(JSON)], body.into())
}

pub(super) fn status(status: u16) -> Reply {
    Reply::Whole(status, Vec::new(), Bytes::new())
}

pub(super) fn status_json(status: u16, body: String) -> Reply {
    Reply::Whole(status, vec![own(JSON)], body.into())
}

/// A stream that is over after these pieces.
pub(super) fn stream(pieces: &[String]) -> Reply {
    let (sender, reply) = open_stream();
    pieces.iter().for_each(|p| sender.send(p.clone()).unwrap());
    drop(sender);
    reply
}

/// A stream that stays open until the sender is dropped.
pub(super) fn open_stream() -> (mpsc::UnboundedSender<String>, Reply) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, Reply::Pieces(vec![own(EVENTS)], receiver))
}

pub(super) fn event(data: &str) -> String {
    format!("event: message\ndata: {data}\n\n")
}

type Handler = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

/// A running backend.
pub(super) struct Fake {
    pub(super) url: String,
    seen: Arc<watch::Sender<Vec<Seen>>>,
    /// Responses whose body is being sent or awaited.
    open: Arc<watch::Sender<usize>>,
    handler: Arc<Mutex<Handler>>,
}

impl Fake {
    pub(super) async fn start(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, handler)
    }

    pub(super) fn on(
        listener: TcpListener,
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let fake = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            seen: Arc::default(),
            open: Arc::default(),
            handler: Arc::new(Mutex::new(Arc::new(handler))),
        };
        let (seen, open, handler) = (fake.seen.clone(), fake.open.clone(), fake.handler.clone());
        tokio::spawn(async move {
            let connections = AtomicUsize::new(0);
            while let Ok((socket, _)) = listener.accept().await {
                let connection = connections.fetch_add(1, Ordering::Relaxed);
                let (seen, open, handler) = (seen.clone(), open.clone(), handler.clone());
                let service = service_fn(move |request| {
                    let (seen, open, handler) = (seen.clone(), open.clone(), handler.clone());
                    async move {
                        let request = see(request, connection).await;
                        seen.send_modify(|all| all.push(request.clone()));
                        let handler = handler.lock().unwrap().clone();
                        answer(handler(&request), &open).await
                    }
                });
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(TokioIo::new(socket), service));
            }
        });
        fake
    }

    /// From now on, do this instead.
    pub(super) fn now(&self, handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) {
        *self.handler.lock().unwrap() = Arc::new(handler);
    }

    /// Everything that came so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    pub(super) fn count(&self, rpc: &str) -> usize {
        self.seen.borrow().iter().filter(|s| s.rpc() == rpc).count()
    }

    /// Waits until a request like this has come.
    pub(super) async fn until(&self, like: impl Fn(&Seen) -> bool) -> Seen {
        let mut seen = self.seen.subscribe();
        let found = seen.wait_for(|all| all.iter().any(&like)).await.unwrap();
        found.iter().find(|s| like(s)).unwrap().clone()
    }

    /// Waits until nobody reads or awaits a response any more.
    pub(super) async fn idle(&self) {
        self.open
            .subscribe()
            .wait_for(|open| *open == 0)
            .await
            .unwrap();
    }
}

async fn see(request: Request<Incoming>, connection: usize) -> Seen {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(|b| b.to_bytes())
        .unwrap_or_default();
    Seen {
        method: head.method,
        path: head.uri.to_string(),
        headers: head.headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        connection,
    }
}

/// Counts itself for as long as it lives.
struct Open(Arc<watch::Sender<usize>>);

impl Open {
    fn new(open: &Arc<watch::Sender<usize>>) -> Self {
        open.send_modify(|n| *n += 1);
        Self(open.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}

async fn answer(
    reply: Reply,
    open: &Arc<watch::Sender<usize>>,
) -> Result<Response<Body>, &'static str> {
    let guard = Open::new(open);
    let (status, headers, body) = match reply {
        Reply::Whole(status, headers, body) => (status, headers, Body::Whole(Some(body))),
        Reply::Pieces(headers, pieces) => (200, headers, Body::Pieces(pieces, guard)),
        Reply::Never => {
            std::future::pending::<()>().await;
            drop(guard);
            return Err("never");
        }
        Reply::Close => return Err("closed"),
    };
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    Ok(response.body(body).unwrap())
}

enum Body {
    Whole(Option<Bytes>),
    #[expect(dead_code, reason = "the guard is there to be dropped")]
    Pieces(mpsc::UnboundedReceiver<String>, Open),
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match &mut *self {
            Self::Whole(body) => body.take(),
            Self::Pieces(pieces, _) => std::task::ready!(pieces.poll_recv(cx)).map(Bytes::from),
        };
        Poll::Ready(piece.map(|p| Ok(Frame::data(p))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            Self::Whole(body) => {
                http_body::SizeHint::with_exact(body.as_ref().map_or(0, Bytes::len) as u64)
            }
            Self::Pieces(..) => http_body::SizeHint::default(),
        }
    }
}

/// A legacy backend whose sessions are `s0`, `s1`, …; `tool` answers calls.
pub(super) fn legacy(
    tool: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    let sessions = AtomicUsize::new(0);
    move |seen| match (seen.method.as_str(), seen.rpc()) {
        ("POST", "server/discover") => status_json(400, seen.error(-32600)),
        ("POST", "initialize") => {
            let n = sessions.fetch_add(1, Ordering::Relaxed);
            let result = r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"fake"}}"#;
            let headers = vec![own(JSON), ("mcp-session-id", format!("s{n}"))];
            Reply::Whole(200, headers, seen.result(result).into())
        }
        ("POST", "ping") => json(seen.result("{}")),
        ("POST", "tools/call") => tool(seen),
        ("POST", _) => status(202),
        ("GET", _) => status(405),
        _ => status(200),
    }
}

/// A modern backend; `tool` answers calls.
pub(super) fn modern(
    tool: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    move |seen| {
        match (seen.method.as_str(), seen.rpc()) {
        ("POST", rpc) if seen.header("mcp-method") != rpc => status_json(400, seen.error(-32020)),
        ("POST", "server/discover") => json(seen.result(
            r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"resultType":"complete"}"#,
        )),
        ("POST", "tools/call") => tool(seen),
        ("POST", _) => status_json(404, seen.error(-32601)),
        _ => status(405),
    }
    }
}

/// A tool that says `text`.
pub(super) fn says(text: &'static str) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    move |seen| json(seen.result(&format!(r#"{{"content":[],"said":"{text}"}}"#)))
}
