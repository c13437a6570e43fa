//! What edges say to each other across the router.

use mcp_router_protocol::{Method, RawJson, RequestId, Revision};
use mcp_router_service::{
    BackendEvent, BackendInfo, McpRequest, McpResponse, Origin, Outcome, Pin, RequestContext,
};
use serde_json::json;
use tower::ServiceExt;

use super::mock::{Mock, ask, router};
use crate::Router;

/// Three backends: an ordinary one, and two that keep something of every client, of which one is
/// away.
async fn backends() -> (Router, [Mock; 3]) {
    let (plain, a) = Mock::backend("a", &["t"]);
    let (keeps, events) = Mock::new(&["t"]);
    let b = keeps.as_backend("b", events);
    let (away, events) = Mock::new(&["t"]);
    let c = away.as_backend("c", events);
    for mock in [&keeps, &away] {
        mock.event(BackendEvent::Connected(BackendInfo {
            capabilities: Some(RawJson::from_static(r#"{"tools":{}}"#)),
            attach: true,
            ..BackendInfo::default()
        }));
    }
    let router = router(Router::builder().backend(a).backend(b).backend(c));
    router.ready().await;
    away.lose();
    while router.backends()[2].healthy {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    (router, [plain, keeps, away])
}

#[tokio::test(start_paused = true)]
async fn a_new_session_is_announced_to_those_that_keep_something_of_it() {
    let (router, mocks) = backends().await;
    let answer = ask(&router, Method::Attach, json!({})).await;
    assert_eq!(answer, Ok(json!({})));
    assert_eq!(mocks.map(|m| m.calls().len()), [0, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_goes_to_the_backend_that_asked_and_nowhere_else() {
    let (router, mocks) = backends().await;
    let origin = |backend: &str| Origin {
        pin: Pin {
            backend: backend.parse().unwrap(),
            endpoint: "b#0".into(),
        },
        session: "s".into(),
        revision: Revision::V2025_06_18,
        id: RequestId::number(7),
    };
    let reply = || Ok(RawJson::from_static("{}"));
    let request = origin("b").answered(reply(), RequestContext::default());
    let brought = router.clone().oneshot(request).await.unwrap();
    assert!(matches!(brought, McpResponse::Ready(Outcome::Complete(_))));
    let calls = mocks[1].calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(
        (&calls[0]["id"], &calls[0]["session"]),
        (&json!(7), &json!("s"))
    );
    let gone = origin("z").answered(reply(), RequestContext::default());
    assert!(router.clone().oneshot(gone).await.is_err());
    let nowhere = McpRequest::new(Method::Answer, mcp_router_protocol::RawParams::default());
    assert!(router.oneshot(nowhere).await.is_err());
    assert_eq!(mocks.map(|m| m.calls().len()), [0, 1, 0]);
}
