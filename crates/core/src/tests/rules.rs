//! What the operator says of a backend's tools.

use std::time::Duration;

use mcp_router_protocol::{ItemKind, Method, code};
use mcp_router_routing::{Route, RoutePattern, Strategy, ToolRules};
use mcp_router_service::{Reason, RepeatAfter, Sent};
use serde_json::json;

use super::mock::{Answer, Mock, ask, names, router, try_ask};
use crate::{BuildError, Router};

fn patterns(texts: &[&str]) -> Vec<RoutePattern> {
    texts.iter().map(|t| t.parse().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn tools_that_are_kept_back_are_neither_listed_nor_called() {
    let rules = ToolRules {
        allow: Some(patterns(&["get_*", "drop_*"])),
        deny: patterns(&["drop_*"]),
        ..ToolRules::default()
    };
    let path = Route {
        pattern: "*".parse().unwrap(),
        strategy: Some(Strategy::Path),
        fallback_to: None,
    };
    let (mock, backend) = Mock::backend("a", &["get_x", "drop_x", "other"]);
    let backend = backend.tool_rules(rules).routes(vec![path]);
    let router = router(Router::builder().backend(backend));
    router.ready().await;
    assert_eq!(names(&router, ItemKind::Tool).await, ["a.get_x"]);
    assert_eq!(router.backends()[0].tools, 1);
    for name in ["a.drop_x", "a.other", "a.drop_y"] {
        let answer = ask(&router, Method::ToolsCall, json!({ "name": name })).await;
        assert_eq!(answer, Err(code::INVALID_PARAMS), "{name}");
    }
    assert!(mock.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_renamed_tool_is_called_by_its_own_name() {
    let rules = ToolRules {
        rename: vec![("q".into(), "query".into())],
        ..ToolRules::default()
    };
    let (mock, backend) = Mock::backend("a", &["q"]);
    let router = router(Router::builder().backend(backend.tool_rules(rules)));
    assert_eq!(names(&router, ItemKind::Tool).await, ["a.query"]);
    let call = |name| ask(&router, Method::ToolsCall, json!({ "name": name }));
    call("a.query").await.unwrap();
    assert_eq!(mock.calls(), [json!({ "name": "q" })]);
    assert_eq!(call("a.q").await, Err(code::INVALID_PARAMS));
}

#[tokio::test(start_paused = true)]
async fn backends_of_one_namespace_may_call_the_same_tool_differently() {
    let (first, a) = Mock::backend("n", &["q"]);
    let rules = ToolRules {
        rename: vec![("q".into(), "query".into())],
        ..ToolRules::default()
    };
    let (second, events) = Mock::new(&["query"]);
    second.connect();
    let b = second.as_backend("other", events).priority(20);
    let b = b.namespace("n".parse().unwrap());
    let router = router(Router::builder().backend(a.tool_rules(rules)).backend(b));
    router.ready().await;
    first.answer(Answer::Fail(Reason::ConnectFailed, Sent::No));
    let call = json!({ "name": "n.query", "arguments": { "x": 1 } });
    ask(&router, Method::ToolsCall, call.clone()).await.unwrap();
    assert_eq!(
        first.calls(),
        [json!({ "name": "q", "arguments": { "x": 1 } })]
    );
    assert_eq!(
        second.calls(),
        [json!({ "name": "query", "arguments": { "x": 1 } })]
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_server_forgot_to_annotate_the_operator_declares() {
    let rules = ToolRules {
        idempotent: patterns(&["get_*"]),
        ..ToolRules::default()
    };
    let (mock, backend) = Mock::backend("a", &["get_x", "set_x"]);
    let router = router(Router::builder().backend(backend.tool_rules(rules)));
    router.ready().await;
    for name in ["a.get_x", "a.set_x"] {
        let _ = try_ask(&router, Method::ToolsCall, json!({ "name": name })).await;
    }
    let after: Vec<_> = mock.repeats().iter().map(|r| (r.after, r.here)).collect();
    assert_eq!(
        after,
        [(RepeatAfter::Failed, true), (RepeatAfter::Refused, true)]
    );
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_tool_reaches_the_layers() {
    use mcp_router_layers::TimeoutLayer;
    let second = Duration::from_secs(1);
    let rules = ToolRules {
        timeouts: vec![("slow*".parse().unwrap(), second)],
        ..ToolRules::default()
    };
    let (mock, backend) = Mock::backend("a", &["slow", "other"]);
    let backend = backend
        .tool_rules(rules)
        .layer(TimeoutLayer::new(Duration::from_secs(9)));
    let router = router(Router::builder().backend(backend));
    router.ready().await;
    mock.answer(Answer::Hang);
    for (name, limit) in [("a.slow", 1), ("a.other", 9)] {
        let start = tokio::time::Instant::now();
        let failed = try_ask(&router, Method::ToolsCall, json!({ "name": name })).await;
        assert_eq!(failed.unwrap_err().reason, Reason::Timeout);
        assert_eq!(start.elapsed().as_secs(), limit, "{name}");
    }
}

#[test]
fn a_name_that_is_none_is_refused() {
    let rules = ToolRules {
        rename: vec![("q".into(), "a\u{200b}b".into())],
        ..ToolRules::default()
    };
    let (_, backend) = Mock::backend("a", &[]);
    let built = Router::builder().backend(backend.tool_rules(rules)).build();
    assert!(matches!(
        built.unwrap_err(),
        BuildError::InvalidRename { .. }
    ));
}
