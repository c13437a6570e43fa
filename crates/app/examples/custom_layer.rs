//! A layer of one's own, around one backend: a tool that needs a person's consent is refused
//! before the backend hears of it.
//!
//! ```sh
//! cargo run -p mcp-router-app --example custom_layer
//! ```
//!
//! A layer wraps a `Service<McpRequest>` and is one. It may look at the request, answer by itself
//! or hand it on; dropping what it handed on cancels the call.

use std::task::{Context, Poll};

use futures::future::{Either, Ready, ready};
use mcp_router_core::{Backend, Router};
use mcp_router_protocol::{ErrorObject, Method, RawJson, RawParams, code};
use mcp_router_service::{CallError, McpRequest, McpResponse, Outcome};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

/// Refuses tools whose names say that they destroy something.
#[derive(Clone, Copy, Debug)]
struct ConsentLayer;

#[derive(Clone, Debug)]
struct Consent<S> {
    inner: S,
}

impl<S> Layer<S> for ConsentLayer {
    type Service = Consent<S>;

    fn layer(&self, inner: S) -> Consent<S> {
        Consent { inner }
    }
}

impl<S> Service<McpRequest> for Consent<S>
where
    S: Service<McpRequest, Response = McpResponse, Error = CallError>,
{
    type Response = McpResponse;
    type Error = CallError;
    type Future = Either<Ready<Result<McpResponse, CallError>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: McpRequest) -> Self::Future {
        // The backend's own name: the namespace was taken off on the way here.
        let name = request.params.name().unwrap_or_default();
        if request.method != Method::ToolsCall || !name.starts_with("delete_") {
            return Either::Right(self.inner.call(request));
        }
        // A result, not an error: the model is to read it.
        let refusal =
            r#"{"content":[{"type":"text","text":"Ask the user first."}],"isError":true}"#;
        let answer = McpResponse::complete(RawJson::from_static(refusal));
        Either::Left(ready(Ok(answer)))
    }
}

async fn files(request: McpRequest) -> Result<McpResponse, CallError> {
    Ok(match request.method {
        Method::ToolsList => McpResponse::complete(RawJson::from_static(
            r#"{"tools":[{"name":"read_file","inputSchema":{"type":"object"}},
                         {"name":"delete_file","inputSchema":{"type":"object"}}]}"#,
        )),
        Method::ToolsCall => McpResponse::complete(RawJson::from_static(
            r#"{"content":[{"type":"text","text":"done"}]}"#,
        )),
        _ => McpResponse::error(ErrorObject::new(code::METHOD_NOT_FOUND, "no such method")),
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let backend = Backend::new("files".parse()?, service_fn(files))
        .namespace("files".parse()?)
        .layer(ConsentLayer);
    let router = Router::builder().backend(backend).build()?;
    router.ready().await;
    for (name, expected) in [
        ("files.read_file", "done"),
        ("files.delete_file", "Ask the user first."),
    ] {
        let params = RawParams::of(&serde_json::json!({ "name": name, "arguments": {} }));
        let call = McpRequest::new(Method::ToolsCall, params);
        let answer = router.clone().oneshot(call).await?.outcome().await?;
        assert!(matches!(answer, Outcome::Complete(r) if r.as_str().contains(expected)));
    }
    router.close().await;
    Ok(())
}

#[test]
fn the_example_holds_what_it_says() -> Result<(), BoxError> {
    main()
}
