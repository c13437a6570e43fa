//! Calls: to the owner, under its own name, and what comes back.

use mcp_router_protocol::{ErrorObject, ItemKind, Method, RawJson, code};
use mcp_router_service::{CallError, McpRequest, McpResponse, Reason, Sent};
use serde_json::json;

use super::mock::{Answer, Mock, ask, router, try_ask};
use crate::Router;

#[tokio::test(start_paused = true)]
async fn r19_the_owner_is_called_by_its_own_name() {
    let (a, backend_a) = Mock::backend("a", &["t"]);
    let (b, backend_b) = Mock::backend("b", &["t", "b.t"]);
    let router = router(Router::builder().backend(backend_a).backend(backend_b));
    let call = json!({ "name": "b.t", "arguments": { "x": 1 } });
    ask(&router, Method::ToolsCall, call).await.unwrap();
    assert!(a.calls().is_empty());
    assert_eq!(b.calls(), [json!({ "name": "t", "arguments": { "x": 1 } })]);
    ask(&router, Method::ToolsCall, json!({ "name": "b.b.t" }))
        .await
        .unwrap();
    assert_eq!(b.calls()[1], json!({ "name": "b.t" }));
}

#[tokio::test(start_paused = true)]
async fn unknown_names_are_invalid_params() {
    let (mock, backend) = Mock::backend("a", &["t"]);
    let router = router(Router::builder().backend(backend));
    for name in ["a.nope", "t", "nope", "", "a."] {
        let answer = ask(&router, Method::ToolsCall, json!({ "name": name })).await;
        assert_eq!(answer, Err(code::INVALID_PARAMS), "{name:?}");
    }
    assert_eq!(
        ask(&router, Method::ToolsCall, json!({})).await,
        Err(code::INVALID_PARAMS)
    );
    assert_eq!(
        ask(&router, Method::from("x/y"), json!({})).await,
        Err(code::METHOD_NOT_FOUND)
    );
    assert!(mock.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_new_tool_is_found_by_one_refresh() {
    let (mock, backend) = Mock::backend("a", &["t"]);
    let router = router(Router::builder().backend(backend));
    router.ready().await;
    mock.list(ItemKind::Tool, &[&["t", "new"]]);
    ask(&router, Method::ToolsCall, json!({ "name": "a.new" }))
        .await
        .unwrap();
    assert_eq!(mock.calls(), [json!({ "name": "new" })]);
}

#[tokio::test(start_paused = true)]
async fn without_namespaces_a_new_tool_is_found_and_absence_is_told_too() {
    let (mock, backend) = Mock::backend("a", &["t"]);
    let router = router(Router::builder().namespaces(false).backend(backend));
    router.ready().await;
    mock.list(ItemKind::Tool, &[&["t", "new"]]);
    let call = |name| try_ask(&router, Method::ToolsCall, json!({ "name": name }));
    call("new").await.unwrap();
    assert_eq!(mock.calls(), [json!({ "name": "new" })]);
    mock.lose();
    tokio::time::sleep(std::time::Duration::from_secs(400)).await;
    let error = call("new").await.unwrap_err();
    assert_eq!(
        (error.reason, error.sent),
        (Reason::ConnectFailed, Sent::No)
    );
}

#[tokio::test(start_paused = true)]
async fn r18_a_hanging_backend_changes_nothing_for_the_others() {
    let (hanging, events) = Mock::new(&["t"]);
    let hangs = hanging
        .as_backend("hangs", events)
        .namespace("hangs".parse().unwrap());
    let (_, lives) = Mock::backend("lives", &["t"]);
    let router = router(Router::builder().backend(hangs).backend(lives));
    let start = tokio::time::Instant::now();
    assert_eq!(
        super::mock::names(&router, ItemKind::Tool).await,
        ["lives.t"]
    );
    let waited = start.elapsed().as_millis();
    assert!(
        (1_900..=2_000).contains(&waited),
        "the first list waits for startup_wait at most"
    );
    ask(&router, Method::ToolsCall, json!({ "name": "lives.t" }))
        .await
        .unwrap();
    assert!(router.readiness().ready);
}

#[tokio::test(start_paused = true)]
async fn discover_never_waits() {
    let (mock, events) = Mock::new(&["t"]);
    let router = router(Router::builder().backend(mock.as_backend("a", events)));
    let start = tokio::time::Instant::now();
    let discover = ask(&router, Method::Discover, json!({})).await.unwrap();
    assert!(start.elapsed().is_zero());
    // What a backend on its way may turn out to have is advertised.
    assert_eq!(
        discover["capabilities"]["resources"],
        json!({ "listChanged": true, "subscribe": true })
    );
    assert_eq!(discover["supportedVersions"][0], "2026-07-28");
}

#[tokio::test(start_paused = true)]
async fn r44_failures_name_the_backend() {
    let (mock, backend) = Mock::backend("a", &["t"]);
    let router = router(Router::builder().backend(backend));
    router.ready().await;
    mock.answer(Answer::Fail(Reason::BackendLost, Sent::Unknown));
    let error = try_ask(&router, Method::ToolsCall, json!({ "name": "a.t" }))
        .await
        .unwrap_err();
    assert_eq!(error.backend.unwrap().as_str(), "a");
    assert_eq!(
        (error.reason, error.sent),
        (Reason::BackendLost, Sent::Unknown)
    );
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_drops_it_at_the_backend() {
    let (mock, backend) = Mock::backend("a", &["t"]);
    let router = router(Router::builder().backend(backend));
    router.ready().await;
    mock.answer(Answer::Hang);
    let call = try_ask(&router, Method::ToolsCall, json!({ "name": "a.t" }));
    let timed = tokio::time::timeout(std::time::Duration::from_secs(1), call).await;
    assert!(timed.is_err(), "a hanging call hangs until it is dropped");
    mock.answer(Answer::Result(json!({ "content": [] })));
    ask(&router, Method::ToolsCall, json!({ "name": "a.t" }))
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_usable_backend_is_preferred_then_priority() {
    let make = |name: &str, priority| {
        let (mock, events) = Mock::new(&["t"]);
        mock.connect();
        let backend = mock
            .as_backend(name, events)
            .namespace("ns".parse().unwrap());
        (mock, backend.priority(priority))
    };
    let (second, b) = make("second", 20);
    let (first, a) = make("first", 10);
    let router = router(Router::builder().backend(b).backend(a));
    router.ready().await;
    let call = || ask(&router, Method::ToolsCall, json!({ "name": "ns.t" }));
    call().await.unwrap();
    first.lose();
    tokio::task::yield_now().await;
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    call().await.unwrap();
    assert_eq!((first.calls().len(), second.calls().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn r20_resources_are_read_by_their_own_uri_and_echo_the_asked_spelling() {
    let (mock, backend) = Mock::backend("db", &[]);
    mock.list(ItemKind::Resource, &[&["config://server"]]);
    mock.list(ItemKind::Template, &[&["row://{id}"]]);
    let router = router(Router::builder().backend(backend));
    router.ready().await;
    for (asked, own) in [
        ("db+config://server", "config://server"),
        ("db://config://server", "config://server"),
        ("db://config//server", "config://server"),
        ("db+row://7", "row://7"),
        ("db+other:unlisted", "other:unlisted"),
    ] {
        let contents =
            json!({ "contents": [{ "uri": own, "text": "t" }, { "uri": "x:y", "text": "" }] });
        mock.answer(Answer::Result(contents));
        let result = ask(&router, Method::ResourcesRead, json!({ "uri": asked }))
            .await
            .unwrap();
        assert_eq!(mock.calls().pop().unwrap(), json!({ "uri": own }));
        assert_eq!(result["contents"][0]["uri"], asked);
        assert_eq!(result["contents"][1]["uri"], "db+x:y");
    }
}

#[tokio::test(start_paused = true)]
async fn b30_foreign_resources_are_not_found_and_nobody_is_asked() {
    let (mock, backend) = Mock::backend("db", &[]);
    mock.list(ItemKind::Resource, &[&["config://server"]]);
    let router = router(Router::builder().backend(backend));
    for uri in [
        "config://server",
        "other+config://server",
        "file:///etc/passwd",
        "",
    ] {
        let answer = ask(&router, Method::ResourcesRead, json!({ "uri": uri })).await;
        assert_eq!(answer, Err(code::INVALID_PARAMS), "{uri}");
    }
    assert!(mock.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn completions_go_to_the_owner_of_the_reference() {
    let (mock, backend) = Mock::backend("ns", &[]);
    mock.list(ItemKind::Prompt, &[&["p"]]);
    mock.list(ItemKind::Template, &[&["row://{id}"]]);
    let router = router(Router::builder().backend(backend));
    for (asked, own) in [
        (
            json!({ "type": "ref/prompt", "name": "ns.p" }),
            json!({ "type": "ref/prompt", "name": "p" }),
        ),
        (
            json!({ "type": "ref/resource", "uri": "ns+row://{id}" }),
            json!({ "type": "ref/resource", "uri": "row://{id}" }),
        ),
    ] {
        let argument = json!({ "name": "id", "value": "1" });
        let params = json!({ "ref": asked, "argument": argument });
        ask(&router, Method::Complete, params).await.unwrap();
        assert_eq!(
            mock.calls().pop().unwrap(),
            json!({ "ref": own, "argument": argument })
        );
    }
    let wrong = json!({ "ref": { "type": "ref/prompt", "name": "p" } });
    assert_eq!(
        ask(&router, Method::Complete, wrong).await,
        Err(code::INVALID_PARAMS)
    );
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_cannot_complete_suggests_nothing() {
    let silent = tower::service_fn(|request: McpRequest| async move {
        let list = r#"{"prompts":[{"name":"p"}]}"#;
        Ok::<_, CallError>(match request.method {
            Method::PromptsList => McpResponse::complete(RawJson::from_static(list)),
            _ => McpResponse::error(ErrorObject::new(code::METHOD_NOT_FOUND, "no such method")),
        })
    });
    let router =
        router(Router::builder().backend(crate::Backend::new("a".parse().unwrap(), silent)));
    let reference = json!({ "type": "ref/prompt", "name": "p" });
    let params = json!({ "ref": reference, "argument": { "name": "x", "value": "" } });
    let answer = ask(&router, Method::Complete, params).await.unwrap();
    assert_eq!(answer["completion"]["values"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn r17_answers_to_one_client_are_never_served_to_another() {
    let (mock, backend) = Mock::backend("db", &["t"]);
    mock.list(ItemKind::Resource, &[&["config://me"]]);
    let router = router(Router::builder().backend(backend));
    router.ready().await;
    for client in ["a", "b"] {
        let private = json!({
            "contents": [{ "uri": "config://me", "text": client }],
            "ttlMs": 60_000, "cacheScope": "private",
        });
        mock.answer(Answer::Result(private));
        let read = ask(
            &router,
            Method::ResourcesRead,
            json!({ "uri": "db+config://me" }),
        )
        .await;
        assert_eq!(read.unwrap()["contents"][0]["text"], client);
    }
    assert_eq!(mock.calls().len(), 2, "each read reaches the backend");
}

#[tokio::test(start_paused = true)]
async fn f1_a_call_to_a_backend_that_was_never_there_says_so() {
    let (mock, events) = Mock::new(&["t"]);
    let dead = mock
        .as_backend("dead", events)
        .namespace("ns".parse().unwrap());
    let router = router(Router::builder().backend(dead));
    mock.lose();
    router.ready().await;
    let error = try_ask(&router, Method::ToolsCall, json!({ "name": "ns.t" }))
        .await
        .unwrap_err();
    assert_eq!(
        (error.reason, error.sent),
        (Reason::ConnectFailed, Sent::No)
    );
    assert_eq!(error.backend.unwrap().as_str(), "dead");
    // A namespace that nobody has is another matter.
    let unknown = ask(&router, Method::ToolsCall, json!({ "name": "other.t" })).await;
    assert_eq!(unknown, Err(code::INVALID_PARAMS));
}
