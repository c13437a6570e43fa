//! How long, and for whom, what the router says of its backends is good.

use std::sync::Arc;

use mcp_router_protocol::{ItemKind, Method, RawJson, RawParams};
use mcp_router_service::{BackendEvent, BackendInfo, ClientProfile, McpRequest, Outcome};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::mock::{Mock, ask, router};
use crate::{Backend, Router};

/// A backend with one tool and one resource whose lists are good so long, and for whom.
fn backend(name: &str, tool: &str, ttl_ms: u64, scope: &str) -> (Mock, Backend) {
    let (mock, events) = Mock::new(&[tool]);
    mock.list(ItemKind::Resource, &[&["x:y"]]);
    mock.list(ItemKind::Template, &[&[]]);
    mock.hint(ttl_ms, scope);
    let capabilities = r#"{"tools":{},"resources":{}}"#;
    mock.event(BackendEvent::Connected(BackendInfo {
        capabilities: Some(RawJson::from_static(capabilities)),
        ..BackendInfo::default()
    }));
    let backend = mock.as_backend(name, events);
    (mock, backend.namespace(name.parse().unwrap()))
}

async fn said(router: &Router, method: Method, client: &str) -> Value {
    let mut request = McpRequest::new(method, RawParams::default());
    request.context.client = Arc::new(ClientProfile {
        info: Some(RawJson::of(&json!({ "name": client, "version": "1" }))),
        takes_input_required: true,
        ..ClientProfile::default()
    });
    let answer = router.clone().oneshot(request).await.unwrap();
    match answer.outcome().await.unwrap() {
        Outcome::Complete(result) => result.read_owned().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn r16_discovery_is_good_as_long_and_for_whom_its_least_source_is() {
    let (_public, a) = backend("a", "t", 30_000, "public");
    let alone = router(Router::builder().backend(a));
    alone.ready().await;
    let discover = ask(&alone, Method::Discover, json!({})).await.unwrap();
    assert_eq!(discover["cacheScope"], "public", "{discover}");
    let ttl = discover["ttlMs"].as_u64().unwrap();
    assert!((20_000..=30_000).contains(&ttl), "{ttl}");

    for (ttl_ms, scope, most) in [(5_000, "public", 5_000), (60_000, "private", 30_000)] {
        let (_public, a) = backend("a", "t", 30_000, "public");
        let (_other, b) = backend("b", "t", ttl_ms, scope);
        let both = router(Router::builder().backend(a).backend(b));
        both.ready().await;
        let discover = ask(&both, Method::Discover, json!({})).await.unwrap();
        assert_eq!(discover["cacheScope"], scope, "{discover}");
        let ttl = discover["ttlMs"].as_u64().unwrap();
        assert!((1..=most).contains(&ttl), "{ttl}");
    }

    // What a backend that says nothing of all that offers may be one caller's.
    let (silent, backend) = Mock::backend("a", &["t"]);
    let router = router(Router::builder().backend(backend));
    router.ready().await;
    let discover = ask(&router, Method::Discover, json!({})).await.unwrap();
    assert_eq!(discover["cacheScope"], "private", "{discover}");
    silent.lose();
    let lists = ask(&router, Method::ToolsList, json!({})).await.unwrap();
    assert_eq!(lists["cacheScope"], "private");
}

#[tokio::test(start_paused = true)]
async fn r16_what_is_spelled_for_some_hosts_is_private_for_all() {
    let lists = async |router: &Router, client| {
        let tools = said(router, Method::ToolsList, client).await;
        let resources = said(router, Method::ResourcesList, client).await;
        (tools, resources)
    };
    // With a dot in a name, who asks decides what it looks like.
    for (namespaces, tool, scope) in [
        (true, "t", "private"),
        (false, "x.t", "private"),
        (false, "t", "public"),
    ] {
        let (_mock, backend) = backend("a", tool, 30_000, "public");
        let router = router(Router::builder().namespaces(namespaces).backend(backend));
        router.ready().await;
        for client in ["claude-ai", "somebody"] {
            let (tools, resources) = lists(&router, client).await;
            assert_eq!(tools["cacheScope"], scope, "{namespaces} {tool} {client}");
            assert_eq!(resources["cacheScope"], "public", "{client}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn r16_all_pages_of_a_spelled_list_have_one_scope() {
    let (mock, backend) = backend("a", "t", 30_000, "public");
    mock.list(ItemKind::Tool, &[&["a", "b", "c", "d", "e"]]);
    let router = router(Router::builder().page_size(2).backend(backend));
    router.ready().await;
    let mut params = json!({});
    let mut pages = 0;
    loop {
        let page = ask(&router, Method::ToolsList, params).await.unwrap();
        assert_eq!(page["cacheScope"], "private", "{page}");
        pages += 1;
        if page["nextCursor"].is_null() {
            break;
        }
        params = json!({ "cursor": page["nextCursor"] });
    }
    assert!(pages > 2, "{pages}");
}
