//! Strategies, chains, shared names, and what is said of them.

use std::time::Duration;

use mcp_router_protocol::{ItemKind, Method, code};
use mcp_router_routing::{Choice, Route, Strategy};
use mcp_router_service::{Reason, Sent};
use serde_json::{Value, json};

use super::mock::{Answer, Mock, ask, names, router, try_ask};
use crate::{Backend, BuildError, Router};

fn member(name: &str, namespace: &str, priority: u32, tools: &[&str]) -> (Mock, Backend) {
    let (mock, events) = Mock::new(tools);
    mock.connect();
    let backend = mock.as_backend(name, events).priority(priority);
    (mock, backend.namespace(namespace.parse().unwrap()))
}

fn route(pattern: &str, strategy: Strategy, to: Option<&str>) -> Vec<Route> {
    vec![Route {
        pattern: pattern.parse().unwrap(),
        strategy: Some(strategy),
        fallback_to: to.map(|name| name.parse().unwrap()),
    }]
}

async fn call(router: &Router, name: &str) -> Result<Value, i64> {
    ask(router, Method::ToolsCall, json!({ "name": name })).await
}

fn counts<const N: usize>(mocks: [&Mock; N]) -> [usize; N] {
    mocks.map(|m| m.calls().len())
}

#[tokio::test(start_paused = true)]
async fn a_path_route_reaches_tools_that_nobody_lists() {
    let (mock, backend) = member("a", "n", 1, &["t"]);
    let backend = backend.routes(route("hidden_*", Strategy::Path, None));
    let router = router(Router::builder().backend(backend));
    call(&router, "n.hidden_x").await.unwrap();
    assert_eq!(mock.calls(), [json!({ "name": "hidden_x" })]);
    for unknown in ["n.Hidden_x", "n.n.hidden_x", "hidden_x", "m.hidden_x"] {
        let answer = call(&router, unknown).await;
        assert_eq!(answer, Err(code::INVALID_PARAMS), "{unknown}");
    }
    assert_eq!(names(&router, ItemKind::Tool).await, ["n.t"]);
}

#[tokio::test(start_paused = true)]
async fn by_path_the_lowest_number_is_asked_whether_or_not_it_lists_the_tool() {
    let (first, a) = member("a", "n", 1, &["x"]);
    let (second, b) = member("b", "n", 2, &["t"]);
    let builder = Router::builder().backend(a).backend(b);
    let router = router(builder.default_strategy(Strategy::Path));
    router.ready().await;
    call(&router, "n.t").await.unwrap();
    assert_eq!(counts([&first, &second]), [1, 0]);
    first.answer(Answer::Fail(Reason::ConnectFailed, Sent::No));
    call(&router, "n.t").await.unwrap();
    assert_eq!(counts([&first, &second]), [2, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_chain_goes_through_any_namespace_and_then_to_the_rest() {
    let (first, a) = member("first", "n", 1, &["t"]);
    let (rest, b) = member("rest", "n", 2, &["t"]);
    let (named, c) = member("named", "elsewhere", 3, &["t"]);
    let (next, d) = member("next", "beyond", 4, &["t"]);
    let router = router(
        Router::builder()
            .backend(a.routes(route("t", Strategy::Fallback, Some("named"))))
            .backend(b)
            .backend(c.routes(route("*", Strategy::Fallback, Some("next"))))
            // A cycle.
            .backend(d.routes(route("*", Strategy::Fallback, Some("first")))),
    );
    router.ready().await;
    let all = [&first, &named, &next, &rest];
    for (down, expected) in [
        (None, [1, 0, 0, 0]),
        (Some(&first), [2, 1, 0, 0]),
        (Some(&named), [3, 2, 1, 0]),
        (Some(&next), [4, 3, 2, 1]),
    ] {
        if let Some(mock) = down {
            mock.answer(Answer::Fail(Reason::ConnectFailed, Sent::No));
        }
        call(&router, "n.t").await.unwrap();
        assert_eq!(counts(all), expected);
    }
    rest.answer(Answer::Fail(Reason::ConnectFailed, Sent::No));
    let failed = try_ask(&router, Method::ToolsCall, json!({ "name": "n.t" })).await;
    assert_eq!(failed.unwrap_err().reason, Reason::ConnectFailed);
    assert_eq!(counts(all), [5, 4, 3, 2], "each once");
}

#[tokio::test(start_paused = true)]
async fn one_that_was_never_reached_is_stood_in_for() {
    let (away, events) = Mock::new(&["t"]);
    let a = away.as_backend("away", events).priority(1);
    let (named, b) = member("named", "elsewhere", 2, &["t"]);
    let a = a.namespace("n".parse().unwrap());
    let router = router(
        Router::builder()
            .backend(a.routes(route("t*", Strategy::Fallback, Some("named"))))
            .backend(b),
    );
    away.lose();
    router.ready().await;
    call(&router, "n.t").await.unwrap();
    assert_eq!(counts([&away, &named]), [0, 1]);
}

#[test]
fn a_fallback_to_nobody_is_refused() {
    let (_, backend) = member("a", "n", 1, &[]);
    let backend = backend.routes(route("*", Strategy::Fallback, Some("zz")));
    let error = Router::builder().backend(backend).build().unwrap_err();
    assert!(
        matches!(error, BuildError::UnknownFallback { .. }),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn without_namespaces_the_lowest_number_wins_and_the_loser_is_named() {
    let (first, a) = member("a", "x", 9, &["t", "only"]);
    let (second, b) = member("b", "y", 3, &["t"]);
    let router = router(Router::builder().namespaces(false).backend(a).backend(b));
    router.ready().await;
    assert_eq!(names(&router, ItemKind::Tool).await, ["only", "t"]);
    call(&router, "t").await.unwrap();
    assert_eq!(counts([&first, &second]), [0, 1]);
    // The loser still takes over.
    second.answer(Answer::Fail(Reason::ConnectFailed, Sent::No));
    call(&router, "t").await.unwrap();
    assert_eq!(counts([&first, &second]), [1, 2]);
    let status = router.backends();
    assert_eq!(status[0].collisions, ["t"]);
    assert!(status[1].collisions.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_shared_namespace_is_no_collision() {
    let (_, a) = member("a", "n", 1, &["t"]);
    let (_, b) = member("b", "n", 2, &["t"]);
    let router = router(Router::builder().backend(a).backend(b));
    router.ready().await;
    assert!(router.backends().iter().all(|b| b.collisions.is_empty()));
}

async fn info(router: &Router, tool: &str) -> Value {
    let arguments = json!({ "tool_name": tool });
    let asked = json!({ "name": "get_routing_info", "arguments": arguments });
    ask(router, Method::ToolsCall, asked).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn routing_info_says_who_why_and_who_is_next() {
    let (first, a) = member("first", "n", 1, &["t"]);
    let (_, b) = member("rest", "n", 2, &["t"]);
    let (_, c) = member("named", "m", 3, &["t"]);
    let routed = a.routes(route("t*", Strategy::Fallback, Some("named")));
    let router = router(Router::builder().backend(routed).backend(b).backend(c));
    router.ready().await;
    let answer = info(&router, "n.t").await;
    let told = &answer["structuredContent"];
    let text: Value = serde_json::from_str(answer["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(&text, told);
    for (field, value) in [
        ("tool_name", json!("n.t")),
        ("backend", json!("first")),
        ("namespace", json!("n")),
        ("tool", json!("t")),
        ("strategy", json!("fallback")),
        ("pattern", json!("t*")),
        ("listed", json!(true)),
        ("standing", json!("usable")),
        ("fails_over_after", json!("refused")),
    ] {
        assert_eq!(told[field], value, "{field}");
    }
    let order = |told: &Value| -> Vec<String> {
        let others = told["alternatives"].as_array().unwrap().iter();
        others
            .map(|o| o["backend"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(order(told), ["named", "rest"]);
    assert_eq!(told["alternatives"][0]["fallback_of"], "first");
    assert_eq!(told["alternatives"][1]["strategy"], "capability");
    first.lose();
    tokio::time::sleep(Duration::from_millis(1)).await;
    let told = &info(&router, "n.t").await["structuredContent"];
    assert_eq!(told["backend"], "named");
    assert_eq!(order(told), ["rest", "first"]);
    assert_eq!(told["alternatives"][1]["standing"], "doubtful");
    assert!(first.calls().is_empty(), "nobody is called for it");
}

#[tokio::test(start_paused = true)]
async fn routing_info_of_nothing_is_an_error_that_names_it() {
    let (_, a) = member("a", "n", 1, &["t"]);
    let router = router(Router::builder().backend(a));
    let unknown = info(&router, "n.zz").await;
    assert_eq!(unknown["isError"], true);
    assert_eq!(unknown["content"][0]["text"], "Tool not found: n.zz");
    let own = info(&router, "list_backends").await;
    assert_eq!(own["structuredContent"]["strategy"], "management");
    let missing = json!({ "name": "get_routing_info", "arguments": {} });
    let missing = ask(&router, Method::ToolsCall, missing).await;
    assert_eq!(missing, Err(code::INVALID_PARAMS));
}

#[tokio::test(start_paused = true)]
async fn a_strategy_of_somebody_elses_chooses_and_orders() {
    let (first, a) = member("a", "n", 1, &["t"]);
    let (second, b) = member("b", "n", 2, &["t"]);
    let (third, c) = member("c", "n", 3, &["other"]);
    // Backwards, and nobody who does not list the tool.
    let backwards = |item: &str, choices: &mut Vec<Choice<'_>>| {
        assert!(item.starts_with("n."), "{item}");
        choices.retain(|choice| choice.lists_item);
        choices.sort_by_key(|choice| std::cmp::Reverse(choice.priority));
    };
    let builder = Router::builder().backend(a).backend(b).backend(c);
    let router = router(builder.strategy(backwards));
    router.ready().await;
    call(&router, "n.t").await.unwrap();
    assert_eq!(counts([&first, &second, &third]), [0, 1, 0]);
    second.answer(Answer::Fail(Reason::ConnectFailed, Sent::No));
    call(&router, "n.t").await.unwrap();
    assert_eq!(counts([&first, &second, &third]), [1, 2, 0]);
    assert_eq!(call(&router, "n.unknown").await, Err(code::INVALID_PARAMS));
    let told = &info(&router, "n.t").await["structuredContent"];
    assert_eq!(
        (&told["strategy"], &told["backend"]),
        (&json!("custom"), &json!("b"))
    );
}
