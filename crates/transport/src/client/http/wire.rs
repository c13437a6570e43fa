//! Requests on the wire, and what is known about those that failed there.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{CaptureConnection, HttpConnector, capture_connection};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use mcp_router_service::{CallError, Reason, Sent};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::dial::Dialler;
use super::timed::{Timed, TimedOut};
use super::{HttpBackendParams, tls};
use crate::client::rope::Rope;

/// After how long a silent peer is asked by TCP whether it is still there, how long the next
/// question waits for an answer to the last, and how many there are. A partition that swallows a
/// stream of changes shows within the minute that it has (F7).
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_QUESTIONS: u32 = 3;

/// Headers that the transport makes itself; configured ones of these names are left out.
const OWN: [&str; 12] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "transfer-encoding",
];

type Connector = Timed<HttpsConnector<Timed<Dialler>>>;

/// The connections to one backend.
#[derive(Debug)]
pub(super) struct Wire {
    /// Replaced by [`renew`](Self::renew). Requests in flight keep the one they began with.
    client: ArcSwap<Client<Connector, Rope>>,
    builder: legacy::Builder,
    connector: Connector,
    /// Sent with every request. Nothing of any client's request ever gets here (R50).
    base: HeaderMap,
    permits: Arc<Semaphore>,
    queue_timeout: Duration,
}

/// A response whose body has not been read, and the right to read it.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) response: Response<Incoming>,
    pub(super) connection: Connection,
}

/// The connection a response came on, and one's place among the requests in flight.
#[derive(Debug)]
pub(super) struct Connection {
    captured: CaptureConnection,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Connection {
    /// F8: a connection on which nonsense came carries no further request.
    pub(super) fn poison(&self) {
        if let Some(connected) = &*self.captured.connection_metadata() {
            connected.poison();
        }
    }
}

impl Wire {
    pub(super) fn new(params: &HttpBackendParams) -> Self {
        let dialler = match &params.dial {
            Some(own) => Dialler::Own(own.clone()),
            None => Dialler::Tcp(tcp()),
        };
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls::config(params))
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(Timed::new(dialler, params.connect_timeout));
        let connector = Timed::new(https, params.connect_timeout + params.tls_timeout);
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(params.idle_timeout)
            .pool_max_idle_per_host(params.max_connections)
            // hyper's own limit of 100 headers is kept: told the same number, it reads slower.
            // Only requests of which nothing was written.
            .retry_canceled_requests(true);
        Self {
            client: ArcSwap::from_pointee(builder.build(connector.clone())),
            builder,
            connector,
            base: base(&params.headers),
            permits: Arc::new(Semaphore::new(params.max_connections)),
            queue_timeout: params.queue_timeout,
        }
    }

    /// From now on requests go over new connections, to where the name points now. Those in
    /// flight end where they are.
    pub(super) fn renew(&self) {
        let client = self.builder.build(self.connector.clone());
        self.client.store(Arc::new(client));
    }

    /// A place among the requests in flight.
    ///
    /// # Errors
    /// If none gets free in time.
    pub(super) async fn permit(&self) -> Result<OwnedSemaphorePermit, CallError> {
        let permits = self.permits.clone();
        if let Ok(permit) = permits.clone().try_acquire_owned() {
            return Ok(permit);
        }
        match timeout(self.queue_timeout, permits.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(CallError::new(Reason::Overloaded, Sent::No)),
        }
    }

    /// Sends one request and waits for the head of its response. `permit` is held until the body
    /// is dropped.
    ///
    /// # Errors
    /// If there is no response at all; any status is one.
    pub(super) async fn send(
        &self,
        method: Method,
        url: &Uri,
        headers: HeaderMap,
        body: Rope,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Reply, CallError> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = url.clone();
        *request.headers_mut() = self.base.clone();
        request.headers_mut().extend(headers);
        let captured = capture_connection(&mut request);
        self.begin(request, captured, permit).await
    }

    /// Sends a request without a body to another origin: nothing of what is configured goes along.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(super) async fn send_bare(&self, method: Method, url: &Uri) -> Result<Reply, CallError> {
        let mut request = Request::new(Rope::default());
        *request.method_mut() = method;
        *request.uri_mut() = url.clone();
        let captured = capture_connection(&mut request);
        self.begin(request, captured, None).await
    }

    async fn begin(
        &self,
        request: Request<Rope>,
        captured: CaptureConnection,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Reply, CallError> {
        let sent = self.client.load().request(request);
        let response = sent.await.map_err(failure)?;
        Ok(Reply {
            response,
            connection: Connection {
                captured,
                _permit: permit,
            },
        })
    }
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    tcp.set_keepalive_retries(Some(KEEPALIVE_QUESTIONS));
    tcp
}

fn base(configured: &HeaderMap) -> HeaderMap {
    let mut base = HeaderMap::with_capacity(configured.len() + 2);
    for (name, value) in configured {
        if OWN.contains(&name.as_str()) || name.as_str().starts_with("mcp-param-") {
            tracing::warn!(%name, "configured header left out: the transport makes it itself");
            continue;
        }
        let mut value = value.clone();
        value.set_sensitive(true);
        base.append(name, value);
    }
    base.entry(header::USER_AGENT)
        .or_insert(HeaderValue::from_static(concat!(
            "mcp-router/",
            env!("CARGO_PKG_VERSION")
        )));
    base
}

/// What a request that got no response proves.
fn failure(error: legacy::Error) -> CallError {
    if error.is_connect() && causes(&error).any(is_our_own_want) {
        return CallError::new(Reason::Overloaded, Sent::No)
            .detail("the router has no sockets left")
            .because(error);
    }
    if error.is_connect() {
        let detail = kind(&error);
        return CallError::new(Reason::ConnectFailed, Sent::No)
            .detail(detail)
            .because(error);
    }
    let hyper = causes(&error).find_map(|e| e.downcast_ref::<hyper::Error>());
    let failed = match hyper {
        // The connection ended before any of the request was written.
        Some(e) if e.is_canceled() => CallError::new(Reason::BackendLost, Sent::No),
        Some(e) if e.is_parse_too_large() => CallError::new(Reason::TooLarge, Sent::Unknown),
        Some(e) if e.is_parse() => {
            CallError::new(Reason::ProtocolError, Sent::Unknown).detail("not HTTP")
        }
        Some(e) if e.is_user() => CallError::new(Reason::Internal, Sent::No),
        _ => CallError::new(Reason::BackendLost, Sent::Unknown),
    };
    failed.because(error)
}

/// Whether a connection was not even tried, for want of descriptors, ports or memory here. Taken
/// for the backend's failure, our own full house would open its circuit (F44).
fn is_our_own_want(cause: &(dyn Error + 'static)) -> bool {
    let io = cause.downcast_ref::<io::Error>();
    let code = io.and_then(io::Error::raw_os_error);
    code.is_some_and(|code| {
        [
            libc::EMFILE,
            libc::ENFILE,
            libc::ENOBUFS,
            libc::ENOMEM,
            libc::EADDRNOTAVAIL,
        ]
        .contains(&code)
    })
}

/// What a body that broke off proves.
pub(super) fn broken(error: hyper::Error) -> CallError {
    CallError::new(Reason::BackendLost, Sent::Unknown).because(error)
}

/// The failure to connect in words of our own: nothing that a name server or peer chose.
fn kind(error: &legacy::Error) -> String {
    for cause in causes(error) {
        if cause.is::<TimedOut>() {
            return "no connection in time".to_owned();
        }
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return match tls {
                rustls::Error::InvalidCertificate(_) => "invalid certificate".to_owned(),
                _ => "TLS failed".to_owned(),
            };
        }
        let io = cause.downcast_ref::<io::Error>();
        if let Some(io) = io {
            // TLS errors travel inside of these.
            let inner = io.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
            return match inner {
                Some(rustls::Error::InvalidCertificate(_)) => "invalid certificate".to_owned(),
                Some(_) => "TLS failed".to_owned(),
                None => io.kind().to_string(),
            };
        }
    }
    "no connection".to_owned()
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}
