//! The HTTP edge, the router and one HTTP backend, with or without the layers between them, for
//! `bench layers`: no user can switch the layers off, so the benchmark puts the same parts together
//! itself. An example and not a program of this package's own because it is the one thing in the
//! benchmark that shares code with the router.
//!
//! Prints its address, then serves until its stdin ends.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use mcp_router_core::{Backend, Router};
use mcp_router_layers::{
    AttemptLayer, Breaker, BreakerLayer, DrainLayer, Endpoint, Limit, LimitLayer, LimitParams,
    Retry, RetryLayer, RetryParams, Timeout, TimeoutLayer, TraceLayer,
};
use mcp_router_observe::metrics::Meters;
use mcp_router_observe::recent::RecentCalls;
use mcp_router_observe::traces::{Collector, Reply, Sampler, TraceSettings, Tracer};
use mcp_router_observe::{CallSink, LogFormat};
use mcp_router_service::McpService;
use mcp_router_transport::client::{self, Connected, HttpBackendParams};
use mcp_router_transport::server::{HttpParams, ServeParams, http, serve};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::{BoxError, Layer, ServiceBuilder};

// As the binaries have it: much of what a layer costs is what it allocates.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

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
    /// None but the one that lets calls end when the router stops
    Off,
    /// All but those that tell of calls
    Silent,
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
    let tracer = (layers == Layers::On).then(unsampled);
    let service = match layers {
        Layers::Off => edge.service,
        Layers::Silent => McpService::new(silent(&endpoint, edge.service)),
        Layers::On => {
            let attempts = AttemptLayer::new(tracer.clone(), "bench", "bench");
            McpService::new(attempts.layer(silent(&endpoint, edge.service)))
        }
    };
    let backend = Backend::new("bench".parse()?, service)
        .namespace("bench".parse()?)
        .endpoints(vec![endpoint])
        .events(edge.events)
        .on_close(edge.close);
    let meters = Meters::default();
    let router = Router::builder().meters(meters.clone()).backend(backend);
    let router = router.build()?;
    let drain = DrainLayer::new();
    Ok(match layers {
        Layers::Off | Layers::Silent => McpService::new(drain.layer(router)),
        Layers::On => {
            let sinks: [Arc<dyn CallSink>; 2] = [Arc::new(meters), Arc::new(RecentCalls::new())];
            let told = TraceLayer::new().sinks(sinks).tracer(tracer);
            McpService::new(told.layer(drain.layer(router)))
        }
    })
}

/// Traces for which no call is chosen.
fn unsampled() -> Tracer {
    let mut settings = TraceSettings::new(http::Uri::from_static("http://127.0.0.1:9/v1/traces"));
    settings.sampler = Sampler::ratio(0.0, true);
    let nobody = Collector::new(|_| std::future::pending::<Result<Reply, String>>());
    Tracer::start(settings, nobody).0
}

/// The stack of one backend with one endpoint, as the router builds it.
fn silent(endpoint: &Endpoint, edge: McpService) -> Limit<Retry<Breaker<Timeout<McpService>>>> {
    ServiceBuilder::new()
        .layer(LimitLayer::new(LimitParams::default()))
        .layer(RetryLayer::new(RetryParams::default()))
        .layer(BreakerLayer::new(endpoint.clone()))
        .layer(TimeoutLayer::new(TimeoutLayer::DEFAULT))
        .service(edge)
}
