//! The least that a router can cost: a proxy on the same hyper that takes the namespace off the
//! name of the tool and does nothing else.
//!
//! It checks nothing, knows no session, bounds nothing and tells nothing. Bodies go through in the
//! frames they came in, which a router that looks at the whole message cannot do. It serves with
//! the runtime and the allocator the router has, so that what lies between both is the work of the
//! router alone.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use clap::Args;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Either, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpListener;

/// What stands before the name of every tool.
const NAME: &[u8] = br#""name":"bench."#;
const NAMESPACE: &str = "bench.";

/// Serves as the plain forwarder.
#[derive(Args, Debug)]
pub(super) struct ForwardCommand {
    /// Where the backend listens
    backend: SocketAddr,
}

impl ForwardCommand {
    pub(super) fn run(self) -> ExitCode {
        runtime().block_on(serve(self.backend));
        ExitCode::FAILURE
    }
}

/// The runtime the router has.
pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// A listener whose address is told on stdout.
pub(super) async fn bind() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("a bound socket has one");
    writeln!(std::io::stdout(), "{addr}").expect("somebody reads");
    listener
}

/// Serves until it is killed; prints where first.
async fn serve(backend: SocketAddr) {
    let listener = bind().await;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .build(connector);
    let authority: Authority = backend.to_string().parse().expect("an address is one");
    loop {
        let (stream, _) = listener.accept().await.expect("connections are few");
        let _ = stream.set_nodelay(true);
        let service = {
            let (client, authority) = (client.clone(), authority.clone());
            service_fn(move |request| forward(client.clone(), authority.clone(), request))
        };
        let io = TokioIo::new(stream);
        tokio::spawn(http1::Builder::new().serve_connection(io, service));
    }
}

type Answer = Response<Either<Incoming, Empty<Bytes>>>;

async fn forward(
    client: Client<HttpConnector, Renamed>,
    authority: Authority,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let (mut head, body) = request.into_parts();
    let mut uri = std::mem::take(&mut head.uri).into_parts();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(authority);
    head.uri = Uri::from_parts(uri).unwrap_or_default();
    head.headers.remove(header::HOST);
    let name = head.headers.get_mut("mcp-name");
    if let Some(name) = name
        && let Some(short) = name.to_str().ok().and_then(|n| n.strip_prefix(NAMESPACE))
        && let Ok(short) = HeaderValue::from_str(short)
    {
        *name = short;
    }
    let Some(body) = Renamed::read(body).await else {
        return Ok(refused(StatusCode::BAD_REQUEST));
    };
    let length = HeaderValue::from(body.left);
    head.headers.insert(header::CONTENT_LENGTH, length);
    let answer = client.request(Request::from_parts(head, body)).await;
    Ok(match answer {
        Ok(answer) => answer.map(Either::Left),
        Err(_) => refused(StatusCode::BAD_GATEWAY),
    })
}

fn refused(status: StatusCode) -> Answer {
    let mut answer = Response::new(Either::Right(Empty::new()));
    *answer.status_mut() = status;
    answer
}

/// A body whose first frame has lost the namespace.
struct Renamed {
    /// What is before and behind it in the first frame.
    first: [Bytes; 2],
    rest: Incoming,
    left: u64,
}

impl Renamed {
    /// Waits for the first frame: the name is in it, and decides on the length. `None` if nothing
    /// comes, or if the length is not known.
    async fn read(mut rest: Incoming) -> Option<Self> {
        let left = rest.size_hint().exact()?;
        let mut begin = rest.frame().await?.ok()?.into_data().ok()?;
        let at = memchr::memmem::find(&begin, NAME).map(|at| at + NAME.len());
        let Some(at) = at else {
            let first = [begin, Bytes::new()];
            return Some(Self { first, rest, left });
        };
        let behind = begin.split_off(at);
        begin.truncate(at - NAMESPACE.len());
        Some(Self {
            first: [begin, behind],
            rest,
            left: left - NAMESPACE.len() as u64,
        })
    }
}

impl Body for Renamed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let begun = self.first.iter_mut().find(|part| !part.is_empty());
        let frame = match begun.map(std::mem::take) {
            Some(part) => Some(Ok(Frame::data(part))),
            None => ready!(Pin::new(&mut self.rest).poll_frame(cx)),
        };
        if let Some(Ok(data)) = frame.as_ref().map(|f| f.as_ref().map(Frame::data_ref)) {
            self.left -= data.map_or(0, |d| d.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
