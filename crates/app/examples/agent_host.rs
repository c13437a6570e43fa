//! An agent host with the router inside: no binary, no configuration file, no socket between the
//! agent and its tools.
//!
//! ```sh
//! cargo run -p mcp-router-app --example agent_host
//! ```
//!
//! Two backends: a server somewhere on the network, with the layers that make it bearable, and a
//! tool of the host's own in the same process. The agent sees one list and calls by one name.

use std::net::SocketAddr;

use mcp_router_core::{AskError, Backend, Router};
use mcp_router_health::{BreakerParams, ProbeParams};
use mcp_router_layers::{
    BreakerLayer, Endpoint, LimitLayer, LimitParams, RetryLayer, RetryParams, TimeoutLayer,
};
use mcp_router_protocol::{ErrorObject, Method, RawJson, code};
use mcp_router_service::{CallError, McpRequest, McpResponse, McpService, RequestContext};
use mcp_router_transport::client::{self, HttpBackendParams};
use serde_json::json;
use tower::{BoxError, ServiceBuilder, service_fn};

/// A backend somewhere else, reached over HTTP in whatever revision it speaks. This is the whole
/// stack of `mcp-router-http`, written by hand; leave out what you do not need.
fn remote(name: &str, url: &str) -> Result<Backend, BoxError> {
    let edge = client::http(HttpBackendParams::new(name.parse()?, url)?);
    let endpoint = Endpoint::new(url, BreakerParams::default());
    let stack = ServiceBuilder::new()
        .layer(LimitLayer::new(LimitParams::default()))
        .layer(RetryLayer::new(RetryParams::default()))
        .layer(BreakerLayer::new(endpoint.clone()))
        .layer(TimeoutLayer::new(TimeoutLayer::DEFAULT))
        .service(edge.service.clone());
    Ok(Backend::new(name.parse()?, McpService::new(stack))
        .namespace(name.parse()?)
        .endpoints(vec![endpoint.clone()])
        // Lists go past the layers, and probes find out what no call would.
        .source(endpoint.clone(), edge.service)
        .probe(endpoint, edge.probe, ProbeParams::default())
        .events(edge.events)
        .on_close(edge.close))
}

/// A tool of the host itself: any service of the waist is a backend.
async fn notes(request: McpRequest) -> Result<McpResponse, CallError> {
    Ok(match request.method {
        Method::ToolsList => McpResponse::complete(RawJson::of(&json!({ "tools": [{
            "name": "add",
            "description": "Keeps a note for later.",
            "inputSchema": { "type": "object", "properties": { "text": { "type": "string" } } },
        }] }))),
        Method::ToolsCall => McpResponse::complete(RawJson::of(&json!({
            "content": [{ "type": "text", "text": "noted" }],
        }))),
        _ => McpResponse::error(ErrorObject::new(code::METHOD_NOT_FOUND, "no such method")),
    })
}

/// What a host does with the tools. Instead of a model, a list of calls.
async fn agent(router: &Router) -> Result<Vec<String>, AskError> {
    let context = RequestContext::default();
    let mut transcript = Vec::new();
    for tool in router.list_tools(&context).await? {
        transcript.push(tool.get_str("name").unwrap_or_default());
    }
    let noted = router
        .call_tool(&context, "notes.add", &json!({ "text": "milk" }))
        .await?;
    transcript.push(noted.as_str().to_owned());
    let shouted = router
        .call_tool(&context, "text.shout", &json!({ "text": "milk" }))
        .await?;
    transcript.push(shouted.as_str().to_owned());
    Ok(transcript)
}

async fn host(text: SocketAddr) -> Result<Vec<String>, BoxError> {
    let notes = Backend::new("notes".parse()?, service_fn(notes)).namespace("notes".parse()?);
    let router = Router::builder()
        .server_name("my-agent-host")
        .backend(remote("text", &format!("http://{text}/mcp"))?)
        .backend(notes)
        .build()?;
    router.ready().await;
    let transcript = agent(&router).await;
    router.close().await;
    Ok(transcript?)
}

/// A server to connect to, so that the example needs nothing else. Yours is somewhere already.
async fn server() -> Result<SocketAddr, BoxError> {
    let shout = service_fn(async |request: McpRequest| {
        Ok::<_, CallError>(match request.method {
            Method::ToolsList => McpResponse::complete(RawJson::from_static(
                r#"{"tools":[{"name":"shout","inputSchema":{"type":"object"}}]}"#,
            )),
            Method::ToolsCall => McpResponse::complete(RawJson::from_static(
                r#"{"content":[{"type":"text","text":"MILK"}]}"#,
            )),
            _ => McpResponse::error(ErrorObject::new(code::METHOD_NOT_FOUND, "no such method")),
        })
    });
    let backend = Backend::new("shout".parse()?, shout);
    let router = Router::builder()
        .namespaces(false)
        .backend(backend)
        .build()?;
    let params = mcp_router_transport::server::HttpParams::default();
    let mcp = mcp_router_transport::server::http(router.into_service(), params);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let addr = listener.local_addr()?;
    let app = axum::Router::new().fallback_service(mcp);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(addr)
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example is there to show something")]
async fn main() -> Result<(), BoxError> {
    for line in host(server().await?).await? {
        println!("{line}");
    }
    Ok(())
}

#[tokio::test]
async fn one_list_and_one_way_to_call() -> Result<(), BoxError> {
    let transcript = host(server().await?).await?;
    let names = ["notes.add", "text.shout"];
    assert!(
        names
            .iter()
            .all(|name| transcript.iter().any(|t| t == name))
    );
    assert!(transcript.iter().any(|t| t.contains("noted")));
    assert!(transcript.iter().any(|t| t.contains("MILK")));
    Ok(())
}
