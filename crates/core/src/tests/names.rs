//! Names as each kind of client gets and gives them.

use std::sync::Arc;

use mcp_router_protocol::{ItemKind, Method, RawJson, RawParams};
use mcp_router_service::{ClientProfile, McpRequest, Outcome};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::mock::{Mock, router};
use crate::Router;

/// Asks as a client that calls itself `client`.
async fn ask(router: &Router, client: &str, method: Method, params: Value) -> Result<Value, i64> {
    let mut request = McpRequest::new(method, RawParams::of(&params));
    request.context.client = Arc::new(ClientProfile {
        info: Some(RawJson::of(&json!({ "name": client, "version": "1" }))),
        ..ClientProfile::default()
    });
    let answer = router.clone().oneshot(request).await.unwrap();
    match answer.outcome().await.unwrap() {
        Outcome::Complete(result) => Ok(result.read_owned().unwrap()),
        Outcome::Error(error) => Err(error.code()),
        other => panic!("{other:?}"),
    }
}

async fn listed(router: &Router, client: &str, kind: ItemKind) -> Vec<String> {
    let result = ask(router, client, kind.list_method(), json!({})).await;
    let result = result.unwrap();
    let items = result[kind.member()].as_array().unwrap();
    let names = items.iter().map(|i| i["name"].as_str().unwrap().to_owned());
    names
        .filter(|n| !crate::dispatch::manage::is_reserved(n))
        .collect()
}

async fn called(router: &Router, mock: &Mock, client: &str, name: &str) -> Option<Value> {
    let before = mock.calls().len();
    let params = json!({ "name": name, "arguments": {} });
    ask(router, client, Method::ToolsCall, params).await.ok()?;
    mock.calls().get(before).map(|call| call["name"].clone())
}

#[tokio::test(start_paused = true)]
async fn hosts_get_names_that_they_can_take_and_every_spelling_is_understood() {
    let long = "x".repeat(100);
    let (mock, backend) = Mock::backend("db", &["query", "a b", "b.c", &long]);
    mock.list(ItemKind::Prompt, &[&["greet"]]);
    let router = router(Router::builder().backend(backend));
    let plain = listed(&router, "harness", ItemKind::Tool).await;
    assert_eq!(
        plain,
        ["db.a b", "db.b.c", "db.query", &format!("db.{long}")]
    );
    let mut spellings = plain.clone();
    for (client, longest) in [
        ("claude-ai", 64),
        ("cursor-vscode", 49),
        ("claude-code", 47),
    ] {
        let names = listed(&router, client, ItemKind::Tool).await;
        assert_eq!(names.len(), 4);
        assert!(names.is_sorted(), "{names:?}");
        assert!(names.contains(&"db__query".to_owned()) && names.contains(&"db__b__c".to_owned()));
        let fit = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        for name in &names {
            assert!(
                name.len() <= longest && name.chars().all(fit),
                "{client}: {name}"
            );
        }
        spellings.extend(names);
        let prompts = listed(&router, client, ItemKind::Prompt).await;
        assert_eq!(prompts, ["db__greet"]);
    }
    for client in ["harness", "claude-ai", "cursor", ""] {
        for name in &spellings {
            let own = called(&router, &mock, client, name).await.unwrap();
            let own = own.as_str().unwrap();
            assert!(["query", "a b", "b.c", &long].contains(&own), "{name}");
            let exposed = format!("db.{own}");
            assert!(
                plain.contains(name) || exposed.starts_with(&name[..2]),
                "{name} went to {own}"
            );
        }
        let params = json!({ "name": "db__greet" });
        assert!(
            ask(&router, client, Method::PromptsGet, params)
                .await
                .is_ok()
        );
        assert_eq!(called(&router, &mock, client, "db__nothing").await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn routing_info_and_completion_understand_every_spelling() {
    let (mock, backend) = Mock::backend("db", &["query"]);
    mock.list(ItemKind::Prompt, &[&["greet"]]);
    let router = router(Router::builder().backend(backend));
    router.ready().await;
    for name in ["db.query", "db__query"] {
        let params = json!({ "name": "get_routing_info", "arguments": { "tool_name": name } });
        let info = ask(&router, "x", Method::ToolsCall, params).await.unwrap();
        let info = &info["structuredContent"];
        assert_eq!(info["tool_name"], "db.query", "{info}");
        assert_eq!(info["tool"], "query", "{info}");
    }
    let reference = json!({ "type": "ref/prompt", "name": "db__greet" });
    let params = json!({ "ref": reference, "argument": { "name": "a", "value": "b" } });
    ask(&router, "x", Method::Complete, params).await.unwrap();
    assert_eq!(mock.calls()[0]["ref"]["name"], "greet");
}

#[tokio::test(start_paused = true)]
async fn with_fitted_names_everybody_gets_them() {
    let (mock, backend) = Mock::backend("db", &["query"]);
    let router = router(Router::builder().fitted_names(true).backend(backend));
    assert_eq!(listed(&router, "x", ItemKind::Tool).await, ["db__query"]);
    assert_eq!(router.tools()[0].name, "db__query");
    assert_eq!(router.tools()[0].exposed, "db.query");
    for name in ["db.query", "db__query"] {
        let own = called(&router, &mock, "x", name).await;
        assert_eq!(own.unwrap(), "query", "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn names_of_a_router_behind_the_router_work_in_every_spelling() {
    let (mock, backend) = Mock::backend("far", &["a.tool", "a.b.tool", "list_backends"]);
    let router = router(Router::builder().backend(backend));
    let plain = ["far.a.b.tool", "far.a.tool", "far.list_backends"];
    assert_eq!(listed(&router, "x", ItemKind::Tool).await, plain);
    let fitted = ["far__a__b__tool", "far__a__tool", "far__list_backends"];
    assert_eq!(listed(&router, "claude-ai", ItemKind::Tool).await, fitted);
    for (plain, fitted) in plain.into_iter().zip(fitted) {
        let own = called(&router, &mock, "x", plain).await.unwrap();
        assert_eq!(own, plain["far.".len()..]);
        assert_eq!(called(&router, &mock, "x", fitted).await.unwrap(), own);
    }
}

async fn links(router: &Router, tool: &str) -> Vec<String> {
    let params = json!({ "name": tool });
    let result = ask(router, "x", Method::ToolsCall, params).await.unwrap();
    let content = result["content"].as_array().unwrap();
    content
        .iter()
        .map(|link| link["uri"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn without_namespaces_links_lead_to_the_backend_that_gave_them() {
    let link = |uri: &str| json!({ "type": "resource_link", "uri": uri });
    let ((one, a), (two, b)) = (Mock::backend("a", &["find"]), Mock::backend("b", &["seek"]));
    one.list(ItemKind::Resource, &[&["memo:listed"]]);
    let answer = json!({ "content": [link("memo:listed"), link("memo:new"), link("memo:own")] });
    two.list(ItemKind::Resource, &[&["memo:own"]]);
    two.answer(super::mock::Answer::Result(answer));
    let router = router(Router::builder().namespaces(false).backend(a).backend(b));
    router.ready().await;
    let read = async |uri: &str| {
        let params = json!({ "uri": uri });
        ask(&router, "x", Method::ResourcesRead, params)
            .await
            .map(drop)
    };
    assert_eq!(read("memo:new").await, Err(-32602));
    assert_eq!(
        links(&router, "seek").await,
        ["b+memo:listed", "memo:new", "memo:own"]
    );
    for (asked, own) in [
        ("b+memo:listed", "memo:listed"),
        ("memo:new", "memo:new"),
        ("memo:own", "memo:own"),
    ] {
        let before = two.calls().len();
        read(asked).await.unwrap();
        assert_eq!(two.calls()[before]["uri"], own);
    }
    read("memo:listed").await.unwrap();
    assert_eq!(one.calls()[0]["uri"], "memo:listed");
    assert_eq!(read("memo:unheard-of").await, Err(-32602));
}

#[tokio::test(start_paused = true)]
async fn r20_addresses_are_understood_as_url_parsers_rewrite_them() {
    let (mock, backend) = Mock::backend("db", &[]);
    let own = [
        "x-odd+s://a//b/../c",
        "memo://größe/☃ x",
        "db://h:005432/./t",
    ];
    mock.list(ItemKind::Resource, &[&own]);
    let router = router(Router::builder().backend(backend));
    router.ready().await;
    for (asked, own) in [
        ("db+x-odd+s://a//c", own[0]),
        ("db+memo://gr%C3%B6%C3%9Fe/%E2%98%83%20x", own[1]),
        ("DB+db://h:5432/t", own[2]),
    ] {
        let before = mock.calls().len();
        let params = json!({ "uri": asked });
        ask(&router, "x", Method::ResourcesRead, params)
            .await
            .unwrap();
        assert_eq!(mock.calls()[before]["uri"], own, "{asked}");
    }
}
