//! What calls are counted as.

use mcp_router_layers::TraceLayer;
use mcp_router_observe::CallSink;
use mcp_router_observe::metrics::{Meters, Source, Sources};
use mcp_router_protocol::{ItemKind, Method, RawParams};
use mcp_router_service::{McpRequest, McpService, Reason, Sent};
use serde_json::{Value, json};
use std::sync::Arc;
use tower::{Layer, ServiceExt};

use super::mock::{Answer, Mock, router};
use crate::{OWN_TOOLS, Router, RouterBuilder, Transition};

/// A router whose calls are counted.
struct Scene {
    service: McpService,
    meters: Meters,
}

impl Scene {
    async fn new(builder: RouterBuilder) -> Self {
        let meters = Meters::new(OWN_TOOLS);
        let router = router(builder.meters(meters.clone()));
        router.ready().await;
        let sinks = [Arc::new(meters.clone()) as Arc<dyn CallSink>];
        let layer = TraceLayer::new().sinks(sinks);
        let service = McpService::new(layer.layer(router.into_service()));
        Self { service, meters }
    }

    async fn ask(&self, method: Method, params: Value) {
        let request = McpRequest::new(method, RawParams::of(&params));
        // How it ended is counted, not judged.
        if let Ok(answer) = self.service.clone().oneshot(request).await {
            let _ = answer.outcome().await;
        }
    }

    async fn call(&self, tool: &str) {
        self.ask(Method::ToolsCall, json!({ "name": tool })).await;
    }

    /// The series of counted calls.
    fn counted(&self) -> Vec<String> {
        let page = Sources::new([Box::new(self.meters.clone()) as Box<dyn Source>]).page();
        let lines = page.lines();
        let calls = lines.filter_map(|line| line.strip_prefix("mcp_router_requests_total"));
        calls.map(str::to_owned).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn calls_are_counted_by_backend_tool_and_ending() {
    let (a, backend_a) = Mock::backend("a", &["t"]);
    let (b, backend_b) = Mock::backend("b", &["t"]);
    b.list(ItemKind::Prompt, &[&["p"]]);
    let scene = Scene::new(Router::builder().backend(backend_a).backend(backend_b)).await;
    scene.call("a.t").await;
    scene.call("a__t").await;
    a.answer(Answer::Result(json!({ "content": [], "isError": true })));
    scene.call("a.t").await;
    a.answer(Answer::Fail(Reason::Timeout, Sent::Unknown));
    scene.call("a.t").await;
    scene.call("list_backends").await;
    let prompt = json!({ "name": "b.p" });
    scene.ask(Method::PromptsGet, prompt).await;
    let reference = json!({ "type": "ref/prompt", "name": "b.p" });
    let complete = json!({ "ref": reference, "argument": { "name": "x", "value": "" } });
    scene.ask(Method::Complete, complete).await;
    scene.ask(Method::ToolsList, json!({})).await;
    assert_eq!(
        scene.counted(),
        [
            r#"{backend="a",tool="a.t",outcome="ok"} 2.0"#,
            r#"{backend="a",tool="a.t",outcome="tool_error"} 1.0"#,
            r#"{backend="a",tool="a.t",outcome="timeout"} 1.0"#,
            r#"{backend="b",tool="completion/complete",outcome="ok"} 1.0"#,
            r#"{backend="b",tool="prompts/get",outcome="ok"} 1.0"#,
            r#"{backend="",tool="list_backends",outcome="ok"} 1.0"#,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn b37_names_that_nobody_lists_are_one_series() {
    use mcp_router_routing::{Route, Strategy};
    let (_, backend) = Mock::backend("a", &["t"]);
    let anything = Route {
        pattern: "x*".parse().unwrap(),
        strategy: Some(Strategy::Path),
        fallback_to: None,
    };
    let scene = Scene::new(Router::builder().backend(backend.routes(vec![anything]))).await;
    for i in 0..300 {
        scene.call(&format!("a.x{i}")).await;
        scene.call(&format!("nobody.{i}")).await;
    }
    assert_eq!(
        scene.counted(),
        [
            r#"{backend="a",tool="other",outcome="ok"} 300.0"#,
            r#"{backend="",tool="other",outcome="error"} 300.0"#,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_removed_backend_has_counted_is_forgotten() {
    let (_, backend_a) = Mock::backend("a", &["t"]);
    let (_, backend_b) = Mock::backend("b", &["t"]);
    let meters = Meters::default();
    let builder = Router::builder().backend(backend_a).backend(backend_b);
    let router = router(builder.meters(meters.clone()));
    router.ready().await;
    for name in ["a.t", "b.t"] {
        let call = json!({ "name": name });
        super::mock::ask(&router, Method::ToolsCall, call)
            .await
            .unwrap();
    }
    // Whoever calls without a trail counts nothing, but asks for nothing either.
    meters.tool("a", "a.t");
    meters.tool("b", "b.t");
    let next = Router::builder().keep("a".parse().unwrap());
    router.update(next, Transition::default()).await.unwrap();
    let page = Sources::new([Box::new(meters) as Box<dyn Source>]).page();
    assert!(page.contains("retries_total{backend=\"a\"}"), "{page}");
    assert!(!page.contains("\"b\""), "{page}");
}
