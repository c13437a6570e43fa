//! The edge against backends that do what a test tells them to, over real sockets.

mod asked;
mod calls;
mod carried;
mod closed;
mod fake;
mod faults;
mod finding;
mod lanes;
mod probes;
mod streams;

use std::time::Duration;

use futures::StreamExt;
use mcp_router_protocol::RawParams;
use mcp_router_service::{BackendEvent, BackendInfo, EventStream, Outcome};
use tower::ServiceExt;

use super::*;
use crate::client::BackoffParams;
use fake::Fake;

const SOON: Duration = Duration::from_secs(5);

fn params(url: &str) -> HttpBackendParams {
    let mut params = HttpBackendParams::new("fake".parse().unwrap(), url).unwrap();
    params.probe_timeout = Duration::from_millis(300);
    params.handshake_timeout = Duration::from_secs(2);
    let brief = Duration::from_millis(50);
    params.backoff = BackoffParams::RECONNECT.starting(brief).capped(brief);
    params
}

/// An edge to `/mcp` of a backend.
fn edge(fake: &Fake) -> Connected {
    http(params(&format!("{}/mcp", fake.url)))
}

fn request(method: Method, params: &str) -> McpRequest {
    let params = RawParams::parse(Some(params.to_owned().into())).unwrap();
    McpRequest::new(method, params)
}

fn tool() -> McpRequest {
    request(Method::ToolsCall, r#"{"name":"t","arguments":{}}"#)
}

async fn answered(edge: &Connected, request: McpRequest) -> Result<Outcome, CallError> {
    let answer = edge.service.clone().oneshot(request);
    within(async { answer.await?.outcome().await }).await
}

async fn called(edge: &Connected) -> Result<Outcome, CallError> {
    answered(edge, tool()).await
}

/// What the tool said.
async fn said(edge: &Connected) -> String {
    match called(edge).await {
        Ok(Outcome::Complete(result)) => result.get_str("said").unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn failed(edge: &Connected) -> CallError {
    called(edge).await.unwrap_err()
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("in time")
}

async fn next(events: &mut EventStream) -> BackendEvent {
    within(events.next()).await.unwrap()
}

async fn connected(events: &mut EventStream) -> BackendInfo {
    loop {
        if let BackendEvent::Connected(info) = next(events).await {
            return info;
        }
    }
}

async fn lost(events: &mut EventStream) -> CallError {
    loop {
        if let BackendEvent::Lost { error, .. } = next(events).await {
            return error;
        }
    }
}
