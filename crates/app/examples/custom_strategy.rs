//! A routing strategy of one's own: every tenth call of a tool goes to a new version of its server.
//!
//! ```sh
//! cargo run -p mcp-router-app --example custom_strategy
//! ```
//!
//! A strategy only puts candidates into an order. What follows stays the router's business: it
//! skips whom a breaker refuses, and asks the next one when that is safe.

use std::sync::atomic::{AtomicU64, Ordering};

use mcp_router_core::{Backend, Router};
use mcp_router_protocol::{ErrorObject, Method, RawJson, RawParams, code};
use mcp_router_routing::{Choice, CustomStrategy};
use mcp_router_service::{CallError, McpRequest, McpResponse, Outcome};
use tower::{BoxError, ServiceExt, service_fn};

/// Sends one call in `every` to the backend named `canary` first, and the others away from it.
struct Canary {
    every: u64,
    calls: AtomicU64,
}

impl CustomStrategy for Canary {
    fn name(&self) -> &str {
        "canary"
    }

    fn order(&self, _item: &str, choices: &mut Vec<Choice<'_>>) {
        choices.retain(|choice| choice.lists_item);
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let chosen = call.is_multiple_of(self.every);
        // Stable: the rest stays in the order of priorities. Whoever is last is the fallback.
        choices.sort_by_key(|choice| (choice.backend.as_str() == "canary") != chosen);
    }
}

/// A server whose one tool says which version it is.
fn version(result: &'static str) -> impl Fn(McpRequest) -> Answer + Clone {
    move |request| {
        std::future::ready(Ok(match request.method {
            Method::ToolsList => McpResponse::complete(RawJson::from_static(
                r#"{"tools":[{"name":"version","inputSchema":{"type":"object"}}]}"#,
            )),
            Method::ToolsCall => McpResponse::complete(RawJson::from_static(result)),
            _ => McpResponse::error(ErrorObject::new(code::METHOD_NOT_FOUND, "no such method")),
        }))
    }
}

type Answer = std::future::Ready<Result<McpResponse, CallError>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let old = version(r#"{"content":[{"type":"text","text":"1.0"}]}"#);
    let new = version(r#"{"content":[{"type":"text","text":"2.0-beta"}]}"#);
    let router = Router::builder()
        .strategy(Canary {
            every: 10,
            calls: AtomicU64::new(0),
        })
        .backend(Backend::new("stable".parse()?, service_fn(old)).namespace("app".parse()?))
        .backend(Backend::new("canary".parse()?, service_fn(new)).namespace("app".parse()?))
        .build()?;
    router.ready().await;

    let mut betas = 0;
    for _ in 0..100 {
        let params = RawParams::parse(Some(r#"{"name":"app.version","arguments":{}}"#.into()))?;
        let call = McpRequest::new(Method::ToolsCall, params);
        let answer = router.clone().oneshot(call).await?.outcome().await?;
        let Outcome::Complete(result) = answer else {
            return Err("no result".into());
        };
        betas += u32::from(result.as_str().contains("beta"));
    }
    assert_eq!(betas, 10);
    router.close().await;
    Ok(())
}

#[test]
fn the_example_holds_what_it_says() -> Result<(), BoxError> {
    main()
}
