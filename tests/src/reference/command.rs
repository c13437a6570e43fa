//! The server as a program.

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use futures::future::BoxFuture;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::bridge::Bridge;
use super::server::{Era, Server};
use super::{http, sse, stdio};

/// The reference backend of the conformance suite
#[derive(Debug, Parser)]
#[command(name = "reference")]
pub struct Command {
    /// Which revisions to speak
    #[arg(long, value_enum, default_value = "both")]
    era: Era,
    /// How to be reached; HTTP+SSE knows the legacy era alone
    #[arg(long, value_enum, default_value = "http")]
    transport: Transport,
    /// The port on 127.0.0.1; 0 takes a free one. The address is the first line of the output
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Be no server but a bridge over HTTP to this command, which speaks stdio
    #[arg(last = true)]
    bridge: Vec<String>,
}

type Request = ::http::Request<hyper::body::Incoming>;
type Response = ::http::Response<http::Body>;

/// What carries the messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Transport {
    /// Streamable HTTP
    Http,
    /// HTTP+SSE
    Sse,
    /// Stdin and stdout
    Stdio,
}

impl Command {
    /// Serves until the process is ended or, over stdio, until stdin ends.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let served = tokio::runtime::Runtime::new().and_then(|runtime| {
            let served = runtime.block_on(self.serve());
            // A blocked read of stdin would keep the process alive.
            runtime.shutdown_background();
            served
        });
        match served {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let _ = writeln!(io::stderr(), "reference: {error}");
                ExitCode::FAILURE
            }
        }
    }

    async fn serve(self) -> io::Result<()> {
        if !self.bridge.is_empty() {
            let bridge = Bridge::new(self.bridge.clone());
            return self
                .accept(bridge, "/mcp", |b, r| {
                    Box::pin(async move { b.serve(r).await })
                })
                .await;
        }
        let server = Arc::new(Server::new(self.era));
        match self.transport {
            Transport::Stdio => stdio::run(server).await,
            Transport::Http => {
                let endpoint = http::Endpoint::new(server);
                self.accept(endpoint, "/mcp", |e, r| {
                    Box::pin(async move { e.serve(r).await })
                })
                .await
            }
            Transport::Sse => {
                let endpoint = sse::Endpoint::new(server);
                self.accept(endpoint, "/sse", |e, r| {
                    Box::pin(async move { e.serve(r).await })
                })
                .await
            }
        }
    }

    /// Serves every connection in the background.
    async fn accept<E: Send + Sync + 'static>(
        &self,
        endpoint: E,
        path: &str,
        serve: fn(Arc<E>, Request) -> BoxFuture<'static, Response>,
    ) -> io::Result<()> {
        let endpoint = Arc::new(endpoint);
        let listener = self.listen(path).await?;
        loop {
            let (socket, _) = listener.accept().await?;
            let endpoint = endpoint.clone();
            let service = service_fn(move |request| {
                let answer = serve(endpoint.clone(), request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            tokio::spawn(async move {
                // A client that goes away in the middle is no error of the server.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(socket), service)
                    .await;
            });
        }
    }

    async fn listen(&self, path: &str) -> io::Result<TcpListener> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await?;
        writeln!(
            io::stdout(),
            "listening on http://{}{path}",
            listener.local_addr()?
        )?;
        io::stdout().flush()?;
        Ok(listener)
    }
}
