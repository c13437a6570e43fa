//! The router's HTTP edge as one route of an axum application, beside the application's own.
//!
//! ```sh
//! cargo run -p mcp-router-app --example axum_mount
//! curl http://127.0.0.1:8080/about
//! ```
//!
//! The edge is an ordinary `tower::Service<http::Request<_>>`: hyper takes it the same way. It
//! checks `Origin` and `Host`, sessions and limits by itself, wherever it is mounted.

use axum::Router as App;
use axum::routing::get;
use http::HeaderValue;
use http::header::{AUTHORIZATION, CACHE_CONTROL};
use mcp_router_core::{Backend, Router};
use mcp_router_protocol::{ErrorObject, Method, RawJson, code};
use mcp_router_service::{CallError, McpRequest, McpResponse};
use mcp_router_transport::server::{self, HttpParams};
use tower::{BoxError, ServiceBuilder, service_fn};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::set_header::SetResponseHeaderLayer;

/// A backend in this process: any service of the waist is one.
async fn dice(request: McpRequest) -> Result<McpResponse, CallError> {
    let tools = r#"{"tools":[{"name":"roll","inputSchema":{"type":"object"}}]}"#;
    Ok(match request.method {
        Method::Discover => McpResponse::complete(RawJson::from_static(
            r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}"#,
        )),
        Method::ToolsList => McpResponse::complete(RawJson::from_static(tools)),
        Method::ToolsCall => McpResponse::complete(RawJson::from_static(
            r#"{"content":[{"type":"text","text":"4"}]}"#,
        )),
        _ => McpResponse::error(ErrorObject::new(code::METHOD_NOT_FOUND, "no such method")),
    })
}

/// The application: its own page, and MCP at `/mcp` and `/sse`, behind the application's layers.
fn app() -> Result<App, BoxError> {
    let backend = Backend::new("dice".parse()?, service_fn(dice)).namespace("dice".parse()?);
    let router = Router::builder().backend(backend).build()?;
    let mcp = server::http(router.into_service(), HttpParams::default());
    let layers = ServiceBuilder::new()
        .layer(SetSensitiveRequestHeadersLayer::new([AUTHORIZATION]))
        .layer(SetResponseHeaderLayer::if_not_present(
            CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ));
    Ok(App::new()
        .route("/about", get(async || "An application with tools.\n"))
        .fallback_service(mcp)
        .layer(layers))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 8080)).await?;
    axum::serve(listener, app()?).await?;
    Ok(())
}

#[tokio::test]
async fn pages_and_tools_are_served_side_by_side() -> Result<(), BoxError> {
    use axum::body::{Body, to_bytes};
    use http::{Request, StatusCode};
    use tower::ServiceExt;

    let app = app()?;
    let get = Request::get("/about").body(Body::empty())?;
    let page = app.clone().oneshot(get).await?;
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(page.headers()[CACHE_CONTROL], "no-store");

    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"dice.roll","_meta":{
        "io.modelcontextprotocol/protocolVersion":"2026-07-28",
        "io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let post = Request::post("http://localhost/mcp")
        .header("Host", "localhost")
        .header("Content-Type", "application/json")
        .header("Accept", "application/json, text/event-stream")
        .header("MCP-Protocol-Version", "2026-07-28")
        .header("Mcp-Method", "tools/call")
        .header("Mcp-Name", "dice.roll")
        .body(Body::from(call))?;
    let answer = app.oneshot(post).await?;
    assert_eq!(answer.status(), StatusCode::OK);
    let body = to_bytes(answer.into_body(), 1 << 20).await?;
    assert!(String::from_utf8_lossy(&body).contains(r#""text":"4""#));
    Ok(())
}
