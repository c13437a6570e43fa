//! Requests on the wire, and what is known about those that failed there.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::future::Either;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{Connection as _, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use mcp_router_service::{CallError, Reason, Sent};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tower::{BoxError, ServiceExt};

use super::body::{Body, Carrier};
use super::conn::{Conn, Unanswered};
use super::dial::Dialler;
use super::idle::{Idle, Line};
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

/// A response whose body has not been read, and the right to read it.
pub(super) type Reply = Response<Body>;

/// The connections to one backend.
#[derive(Debug)]
pub(super) struct Wire {
    /// Replaced by [`renew`](Self::renew). Requests in flight keep the one they began with.
    idle: ArcSwap<Idle>,
    idle_timeout: Duration,
    connector: Connector,
    /// Sent with every request. Nothing of any client's request ever gets here (R50).
    base: HeaderMap,
    permits: Arc<Semaphore>,
    max_connections: usize,
    queue_timeout: Duration,
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
        let most = params.max_connections;
        Self {
            idle: ArcSwap::from_pointee(Idle::new(most, params.idle_timeout)),
            idle_timeout: params.idle_timeout,
            connector: Timed::new(https, params.connect_timeout + params.tls_timeout),
            base: base(params),
            permits: Arc::new(Semaphore::new(most)),
            max_connections: most,
            queue_timeout: params.queue_timeout,
        }
    }

    /// From now on requests go over new connections, to where the name points now. Those in
    /// flight end where they are.
    pub(super) fn renew(&self) {
        let idle = Idle::new(self.max_connections, self.idle_timeout);
        self.idle.store(Arc::new(idle));
    }

    /// What every request carries, and `more`.
    pub(super) fn headers(&self, more: HeaderMap) -> HeaderMap {
        let mut headers = self.base.clone();
        headers.extend(more);
        headers
    }

    /// A place among the requests in flight.
    ///
    /// # Errors
    /// If none gets free in time.
    pub(super) async fn permit(&self) -> Result<OwnedSemaphorePermit, CallError> {
        match self.permits.clone().try_acquire_owned() {
            Ok(permit) => Ok(permit),
            // Large for its timer, and seldom needed.
            Err(_) => Box::pin(self.place()).await,
        }
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, CallError> {
        let queue = self.permits.clone().acquire_owned();
        match timeout(self.queue_timeout, queue).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(CallError::new(Reason::Overloaded, Sent::No)),
        }
    }

    /// Sends one request to the backend's own origin, with [all](Self::headers) its headers, and
    /// waits for the head of its response. `permit` is held until the body is dropped.
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
        *request.headers_mut() = headers;
        let idle = self.idle.load_full();
        loop {
            let used = idle.take();
            let fresh = used.is_none();
            let line = match used {
                Some(line) => line,
                // Large, and seldom needed.
                None => Box::pin(self.connect(url, &idle)).await?,
            };
            let mut unanswered = match over(line, request, url, &idle).await {
                Ok((response, carrier)) => {
                    return Ok(response.map(|incoming| Body::new(incoming, carrier, permit)));
                }
                Err(error) => error,
            };
            match unanswered.take_message() {
                // Its server had closed the connection before anything was written.
                Some(unwritten) if !fresh => request = unwritten,
                Some(_) => {
                    let lost = CallError::new(Reason::BackendLost, Sent::No);
                    return Err(lost.because(unanswered.into_error()));
                }
                None => return Err(failure(unanswered.into_error())),
            }
        }
    }

    /// Sends a request without a body to another origin: nothing of what is configured goes along.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(super) async fn send_bare(&self, method: Method, url: &Uri) -> Result<Reply, CallError> {
        let mut request = Request::new(Rope::default());
        *request.method_mut() = method;
        request
            .headers_mut()
            .extend(host(url).map(|host| (header::HOST, host)));
        // Kept for nobody.
        let idle = Arc::new(Idle::new(0, Duration::ZERO));
        let line = Box::pin(self.connect(url, &idle)).await?;
        let (response, carrier) = over(line, request, url, &idle)
            .await
            .map_err(|error| failure(error.into_error()))?;
        Ok(response.map(|incoming| Body::new(incoming, carrier, None)))
    }

    /// A new connection, for `idle` to keep.
    ///
    /// # Errors
    /// If there is none. Nothing was sent then.
    async fn connect(&self, url: &Uri, idle: &Arc<Idle>) -> Result<Line, CallError> {
        let connecting = self.connector.clone().oneshot(url.clone());
        let stream = connecting.await.map_err(unconnected)?;
        let unspoken = |error| unconnected(Box::new(error) as BoxError);
        if !stream.connected().is_negotiated_h2() {
            return Ok(Line::Own(Conn::new(stream, idle).await.map_err(unspoken)?));
        }
        let mut builder = http2::Builder::new(TokioExecutor::new());
        let opening = builder.timer(TokioTimer::new()).handshake(stream);
        let (shared, connection) = opening.await.map_err(unspoken)?;
        // It ends with the last of its requests and of those that can make others.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "shared connection ended");
            }
        });
        Ok(Line::Shared(idle.share(shared)))
    }
}

/// Sends a request that has everything but where it goes.
fn over(
    line: Line,
    mut request: Request<Rope>,
    url: &Uri,
    idle: &Arc<Idle>,
) -> impl Future<Output = Result<(Response<Incoming>, Carrier), Unanswered>> {
    match line {
        Line::Own(conn) => {
            let path = url.path_and_query().cloned();
            *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
            Either::Left(conn.send(request))
        }
        Line::Shared(mut shared) => {
            *request.uri_mut() = url.clone();
            // Its place is taken by the URL, unless another one was configured.
            let named = request.headers().get(header::HOST);
            if named.is_some() && named == host(url).as_ref() {
                request.headers_mut().remove(header::HOST);
            }
            let carrier = Carrier::Shared(Arc::downgrade(idle));
            // Larger than the other way, and seldom gone.
            Either::Right(Box::pin(async move {
                let sent = shared.try_send_request(request).await;
                Ok((sent.map_err(Box::new)?, carrier))
            }))
        }
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

fn base(params: &HttpBackendParams) -> HeaderMap {
    let configured = &params.headers;
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
    if let Some(host) = host(&params.url) {
        base.entry(header::HOST).or_insert(host);
    }
    base
}

/// The host that a request to `url` names, with the port if it is not the usual one.
fn host(url: &Uri) -> Option<HeaderValue> {
    let host = url.host()?;
    let usual = match url.scheme_str() {
        Some("https") => 443,
        _ => 80,
    };
    match url.port_u16().filter(|port| *port != usual) {
        Some(port) => HeaderValue::try_from(format!("{host}:{port}")).ok(),
        None => HeaderValue::from_str(host).ok(),
    }
}

/// What it proves that there is no connection.
fn unconnected(error: BoxError) -> CallError {
    if causes(&*error).any(is_our_own_want) {
        return CallError::new(Reason::Overloaded, Sent::No)
            .detail("the router has no sockets left")
            .because(error);
    }
    CallError::new(Reason::ConnectFailed, Sent::No)
        .detail(kind(&*error))
        .because(error)
}

/// What a request that got no response proves, where nothing says that it was not written.
fn failure(error: hyper::Error) -> CallError {
    let failed = if error.is_parse_too_large() {
        CallError::new(Reason::TooLarge, Sent::Unknown)
    } else if error.is_parse() {
        CallError::new(Reason::ProtocolError, Sent::Unknown).detail("not HTTP")
    } else {
        CallError::new(Reason::BackendLost, Sent::Unknown)
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
fn kind(error: &(dyn Error + 'static)) -> String {
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

#[cfg(test)]
mod tests;
