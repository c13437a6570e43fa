//! What changes under a running call.

use std::time::Duration;

use mcp_router_layers::TimeoutLayer;
use mcp_router_protocol::{ItemKind, Method};
use mcp_router_service::{BackendEvent, Outcome};
use serde_json::json;

use super::mock::{Answer, Mock, ask, names, router, try_ask};
use crate::Router;

const S: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn i10_a_call_ends_by_the_catalogue_that_it_began_with() {
    let mut builder = Router::builder();
    let mocks = ["a", "b"].map(|name| {
        let (mock, events) = Mock::new(&[]);
        mock.annotate("t", json!({ "readOnlyHint": true }));
        mock.connect();
        let backend = mock
            .as_backend(name, events)
            .namespace("n".parse().unwrap());
        let backend = backend.layer(TimeoutLayer::new(5 * S));
        builder = std::mem::take(&mut builder).backend(backend);
        mock
    });
    let router = router(builder);
    router.ready().await;
    mocks[0].answer(Answer::Hang);
    let call = || try_ask(&router, Method::ToolsCall, json!({ "name": "n.t" }));
    let change = async {
        tokio::time::sleep(S).await;
        for mock in &mocks {
            mock.list(ItemKind::Tool, &[&["other"]]);
            mock.event(BackendEvent::Changed(ItemKind::Tool));
        }
        tokio::time::sleep(S).await;
        assert_eq!(names(&router, ItemKind::Tool).await, ["n.other"]);
        let late = ask(&router, Method::ToolsCall, json!({ "name": "n.t" })).await;
        assert_eq!(late, Err(-32602));
    };
    let (began_before, ()) = tokio::join!(call(), change);
    // The first backend took too long, and the second still is the next one of that call.
    assert!(matches!(began_before, Ok(Outcome::Complete(_))));
    assert_eq!(mocks.each_ref().map(|m| m.calls().len()), [1, 1]);
}
