//! A played network: servers that are hosts in it, and a router whose connections go through it.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use mcp_router_core::{Backend, Router};
use mcp_router_health::{BreakerParams, ProbeParams};
use mcp_router_layers::{
    Balance, BalanceParams, Balanced, BreakerLayer, Endpoint, Replica, RetryLayer, RetryParams,
    TimeoutLayer,
};
use mcp_router_protocol::{ErrorObject, ItemKind, Method, RawJson, code};
use mcp_router_service::{
    BackendEvent, BackendInfo, CallError, EventStream, McpRequest, McpResponse, McpService,
};
use mcp_router_transport::client::{self, ByteStream, Dial, HttpBackendParams};
use mcp_router_transport::server::{self, HttpParams};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;
use tower::ServiceBuilder;

/// What one server offers, and what reached it.
#[derive(Debug)]
pub(crate) struct Server {
    tools: watch::Sender<Vec<&'static str>>,
    pub(crate) calls: AtomicUsize,
    /// The age of the oldest connection on which a request came, in seconds.
    pub(crate) oldest: AtomicU64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            tools: watch::Sender::new(vec!["look"]),
            calls: AtomicUsize::new(0),
            oldest: AtomicU64::new(0),
        }
    }
}

impl Server {
    /// Offers one tool more, and tells whoever listens.
    pub(crate) fn add(&self, tool: &'static str) {
        self.tools.send_modify(|tools| tools.push(tool));
    }

    async fn answer(self: Arc<Self>, request: McpRequest) -> Result<McpResponse, CallError> {
        Ok(match request.method {
            Method::ToolsList => {
                let tools: Vec<_> = self
                    .tools
                    .borrow()
                    .iter()
                    .map(|name| {
                        json!({
                            "name": name,
                            "inputSchema": { "type": "object" },
                            "annotations": { "readOnlyHint": *name == "look" },
                        })
                    })
                    .collect();
                McpResponse::complete(RawJson::of(&json!({ "tools": tools })))
            }
            Method::ToolsCall => {
                self.calls.fetch_add(1, Ordering::Relaxed);
                McpResponse::complete(RawJson::from_static(r#"{"content":[]}"#))
            }
            _ => McpResponse::error(ErrorObject::new(code::METHOD_NOT_FOUND, "no such method")),
        })
    }

    fn router(self: &Arc<Self>) -> Router {
        let server = self.clone();
        let answer = tower::service_fn(move |request| server.clone().answer(request));
        let changes = events(self.tools.subscribe());
        let backend = Backend::new("own".parse().unwrap(), answer).events(changes);
        Router::builder()
            .namespaces(false)
            .backend(backend)
            .build()
            .unwrap()
    }

    /// What a host of the network runs: this server on port 80, from its start to its crash.
    pub(crate) async fn serve(self: Arc<Self>) -> turmoil::Result {
        let params = HttpParams {
            allowed_hosts: vec!["*.test".to_owned()],
            ..HttpParams::default()
        };
        let mcp = server::http(self.router().into_service(), params);
        let listener = turmoil::net::TcpListener::bind(("0.0.0.0", 80)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            let (server, born) = (self.clone(), Instant::now());
            let mcp = TowerToHyperService::new(mcp.clone());
            let mcp = service_fn(move |request| {
                let age = born.elapsed().as_secs();
                server.oldest.fetch_max(age, Ordering::Relaxed);
                mcp.call(request)
            });
            let mut http = http1::Builder::new();
            let serving = http
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), mcp);
            tokio::spawn(serving);
        }
    }
}

fn events(tools: watch::Receiver<Vec<&'static str>>) -> EventStream {
    let changed = stream::unfold(tools, |mut tools| async move {
        tools.changed().await.ok()?;
        Some((BackendEvent::Changed(ItemKind::Tool), tools))
    });
    let connected = BackendEvent::Connected(BackendInfo::default());
    stream::iter([connected]).chain(changed).boxed()
}

/// The network as the router sees it: names may come to mean other hosts.
#[derive(Debug, Default)]
pub(crate) struct Network {
    names: Mutex<HashMap<&'static str, &'static str>>,
}

impl Network {
    /// From now on `name` means `host`.
    pub(crate) fn point(&self, name: &'static str, host: &'static str) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(name, host);
    }

    fn host(&self, name: &str) -> String {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names
            .get(name)
            .map_or_else(|| name.to_owned(), |host| (*host).to_owned())
    }
}

impl Dial for Network {
    fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> BoxFuture<'static, io::Result<Box<dyn ByteStream>>> {
        let to = (self.host(host), port);
        async move {
            let stream = turmoil::net::TcpStream::connect(to).await?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        }
        .boxed()
    }

    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let addr = SocketAddr::new(turmoil::lookup(self.host(host)), port);
        async move { Ok(vec![addr]) }.boxed()
    }
}

/// A router with one backend of a replica for each name, in the layers that it has in the programs.
pub(crate) fn router(network: &Arc<Network>, names: &[&str]) -> Router {
    let backend = "there".parse().unwrap();
    let mut endpoints = Vec::new();
    let mut watched = Vec::new();
    let replicas = names.iter().map(|name| {
        let url = format!("http://{name}/mcp");
        let mut params = HttpBackendParams::new("there".parse().unwrap(), &url).unwrap();
        params.dial = Some(network.clone());
        let edge = client::http(params);
        let endpoint = Endpoint::new(url, BreakerParams::default());
        endpoints.push(endpoint.clone());
        watched.push((endpoint.clone(), edge.service.clone(), edge.probe));
        let stack = ServiceBuilder::new()
            .layer(BreakerLayer::new(endpoint.clone()))
            .layer(TimeoutLayer::new(Duration::from_secs(30)))
            .service(edge.service);
        Replica::new(stack, endpoint)
            .events(edge.events)
            .on_close(edge.close)
    });
    let replicas = replicas.collect();
    let Balanced {
        service,
        events,
        close,
    } = Balance::over(&backend, BalanceParams::default(), replicas);
    let retries = RetryLayer::new(RetryParams::default());
    let service = service.paid_by(retries.budget());
    let service = McpService::new(ServiceBuilder::new().layer(retries).service(service));
    let mut built = Backend::new(backend, service)
        .namespace("there".parse().unwrap())
        .endpoints(endpoints)
        .on_close(close)
        .events(events.unwrap());
    for (endpoint, edge, probe) in watched {
        built = built
            .source(endpoint.clone(), edge)
            .probe(endpoint, probe, ProbeParams::default());
    }
    Router::builder().backend(built).build().unwrap()
}
