//! A small MCP server on rmcp, a peer that nobody here wrote, for the interop suite.
//!
//! `rmcp_server http` binds a free port of the loopback, prints its URL on stdout and serves both
//! eras; `rmcp_server stdio` serves its stdin and stdout. It offers the suite's common kit or, with
//! `asking` as a second argument, tools that need their client.

#![expect(
    deprecated,
    reason = "what is deprecated in the newest revision is spoken in the others"
)]

mod asking;
mod kit;

use std::process::ExitCode;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServerHandler, ServiceExt};

use self::asking::Asking;
use self::kit::Kit;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[expect(clippy::print_stdout, reason = "the driver reads the URL there")]
async fn http<S: ServerHandler + Clone>(kit: S) -> Result<(), Failure> {
    let service: StreamableHttpService<S, LocalSessionManager> = StreamableHttpService::new(
        move || Ok(kit.clone()),
        Default::default(),
        StreamableHttpServerConfig::default(),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}/mcp", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            // A client that goes away mid-stream is not this server's failure.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection_with_upgrades(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn stdio<S: ServerHandler>(kit: S) -> Result<(), Failure> {
    kit.serve(rmcp::transport::stdio()).await?.waiting().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let served = match *arguments {
        ["http"] => http(Kit).await,
        ["stdio"] => stdio(Kit).await,
        ["http", "asking"] => http(Asking::default()).await,
        ["stdio", "asking"] => stdio(Asking::default()).await,
        _ => Err("usage: rmcp_server http|stdio [asking]".into()),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
