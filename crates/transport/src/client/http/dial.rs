//! How connections come about.
//!
//! Usually by TCP to what the system's name service says. An embedder may have something else in
//! its place: a unix socket, a tunnel, a network that a test plays.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tower::{BoxError, Service};

/// What HTTP can be spoken over.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for S {}

/// Makes connections in place of the system's TCP and name service. TLS, where the URL asks for
/// it, goes on top.
///
/// Both futures are given as long as [`HttpBackendParams`](super::HttpBackendParams) says, and
/// dropped then. An error means that nothing was sent.
pub trait Dial: fmt::Debug + Send + Sync {
    /// A new connection to `host`, as the URL spells it, or a failure.
    fn connect(&self, host: &str, port: u16)
    -> BoxFuture<'static, io::Result<Box<dyn ByteStream>>>;

    /// Where `host` is now. Looked at every half minute: when the answer changes, connections are
    /// made anew. Nowhere, the default, never changes.
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let _ = (host, port);
        async { Ok(Vec::new()) }.boxed()
    }
}

/// The connector below TLS.
#[derive(Clone, Debug)]
pub(super) enum Dialler {
    Tcp(HttpConnector),
    Own(Arc<dyn Dial>),
}

impl Service<Uri> for Dialler {
    type Response = Dialled;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Dialled, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Tcp(tcp) => tcp.poll_ready(cx).map_err(Into::into),
            Self::Own(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        match self {
            Self::Tcp(tcp) => {
                let connecting = tcp.call(uri);
                async move { Ok(Dialled::Tcp(connecting.await?)) }.boxed()
            }
            Self::Own(dial) => {
                let (host, port) = authority(&uri);
                let connecting = dial.connect(host, port);
                async move { Ok(Dialled::Own(TokioIo::new(connecting.await?))) }.boxed()
            }
        }
    }
}

/// Where a name points now.
pub(super) async fn resolve(
    dial: Option<&Arc<dyn Dial>>,
    host: &str,
    port: u16,
) -> io::Result<Vec<SocketAddr>> {
    match dial {
        Some(dial) => dial.resolve(host, port).await,
        None => Ok(tokio::net::lookup_host((host, port)).await?.collect()),
    }
}

fn authority(uri: &Uri) -> (&str, u16) {
    let port = match uri.scheme_str() {
        Some("https") => 443,
        _ => 80,
    };
    (
        uri.host().unwrap_or_default(),
        uri.port_u16().unwrap_or(port),
    )
}

/// A connection that was made.
pub(super) enum Dialled {
    Tcp(TokioIo<TcpStream>),
    Own(TokioIo<Box<dyn ByteStream>>),
}

/// The same for either kind of connection.
macro_rules! either {
    ($self:ident, $io:ident => $do:expr) => {
        match $self.get_mut() {
            Dialled::Tcp($io) => $do,
            Dialled::Own($io) => $do,
        }
    };
}

impl Connection for Dialled {
    fn connected(&self) -> Connected {
        match self {
            Self::Tcp(tcp) => tcp.connected(),
            Self::Own(_) => Connected::new(),
        }
    }
}

impl Read for Dialled {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, io => Pin::new(io).poll_read(cx, buf))
    }
}

impl Write for Dialled {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, io => Pin::new(io).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, io => Pin::new(io).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(io) => io.is_write_vectored(),
            Self::Own(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, io => Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, io => Pin::new(io).poll_shutdown(cx))
    }
}
