//! The HTTP edge, the router and one HTTP backend, with or without the layers between them, for
//! `bench layers`: no user can switch the layers off, so the benchmark puts the same parts together
//! itself. An example and not a program of this package's own because it is the one thing in the
//! benchmark that shares code with the router.
//!
//! Prints its address, then serves until its stdin ends. It keeps the system's allocator, which
//! valgrind understands.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use mcp_router_core::{Backend, Router};
use mcp_router_layers::{
    BreakerLayer, CallStats, DrainLayer, Endpoint, LimitLayer, LimitParams, MetricsLayer,
    RetryLayer, RetryParams, TimeoutLayer, TraceLayer,
};
use mcp_router_observe::LogFormat;
use mcp_router_service::McpService;
use mcp_router_transport::client::{self, Connected, HttpBackendParams};
use mcp_router_transport::server::{HttpParams, ServeParams, http, serve};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::{BoxError, ServiceBuilder};

#[derive(Debug, Parser)]
struct Arguments {
    /// The MCP endpoint of the backend
    #[arg(long)]
    backend: String,
    /// Which layers stand between the edges
    #[arg(long, value_enum)]
    layers: Layers,
    /// What `RUST_LOG` is for a router
    #[arg(long, default_value = "warn")]
    log: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Layers {
    Off,
    On,
}

fn main() -> ExitCode {
    // The only one in this process: nobody can have been faster.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // As the binary does on a core of its own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let done = runtime
        .map_err(BoxError::from)
        .and_then(|runtime| runtime.block_on(run(Arguments::parse())));
    if let Err(error) = done {
        let _ = writeln!(std::io::stderr(), "stack: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

async fn run(arguments: Arguments) -> Result<(), BoxError> {
    let _log = mcp_router_observe::init(LogFormat::Json, Some(&arguments.log))?;
    let params = HttpBackendParams::new("bench".parse()?, &arguments.backend)?;
    let service = router(client::http(params), arguments.layers)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    let stop = CancellationToken::new();
    let edge = http(service, HttpParams::default());
    let serving = serve(listener, edge, ServeParams::default(), stop);
    let stdin_ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    tokio::select! {
        _ = serving => Err("the server ended by itself".into()),
        _ = stdin_ended => Ok(()),
    }
}

fn router(edge: Connected, layers: Layers) -> Result<McpService, BoxError> {
    let endpoint = Endpoint::new("bench", mcp_router_health::BreakerParams::default());
    let service = match layers {
        Layers::Off => edge.service,
        Layers::On => backend(&endpoint, edge.service),
    };
    let backend = Backend::new("bench".parse()?, service)
        .namespace("bench".parse()?)
        .endpoints(vec![endpoint])
        .events(edge.events)
        .on_close(edge.close);
    let router = Router::builder().backend(backend).build()?.into_service();
    Ok(match layers {
        Layers::Off => router,
        Layers::On => front(router),
    })
}

/// The stack of one backend with one endpoint, as the router builds it, with metrics.
fn backend(endpoint: &Endpoint, edge: McpService) -> McpService {
    let stack = ServiceBuilder::new()
        .layer(MetricsLayer::new(CallStats::new()))
        .layer(LimitLayer::new(LimitParams::default()))
        .layer(RetryLayer::new(RetryParams::default()))
        .layer(BreakerLayer::new(endpoint.clone()))
        .layer(TimeoutLayer::new(TimeoutLayer::DEFAULT))
        .service(edge);
    McpService::new(stack)
}

/// What stands before the router.
fn front(router: McpService) -> McpService {
    let stack = ServiceBuilder::new()
        .layer(TraceLayer::new())
        .layer(DrainLayer::new())
        .service(router);
    McpService::new(stack)
}
