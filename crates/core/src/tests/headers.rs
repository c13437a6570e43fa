//! Tools that want arguments repeated in headers, and tools that are tasks.

use std::sync::Arc;

use mcp_router_protocol::{ItemKind, Method, RawJson, RawParams};
use mcp_router_service::{
    BackendEvent, BackendInfo, ClientProfile, McpRequest, Outcome, ParamHeader, ParamHeaders,
};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::mock::{Mock, names, router};
use crate::{Backend, Router};

fn info(modern: bool, mirrors: bool) -> BackendInfo {
    BackendInfo {
        capabilities: Some(RawJson::from_static(r#"{"tools":{"listChanged":true}}"#)),
        modern,
        mirrors,
        ..BackendInfo::default()
    }
}

fn backend(name: &str, info: BackendInfo, tools: &[Value]) -> (Mock, Backend) {
    let (mock, events) = Mock::new(&[]);
    mock.define(tools);
    mock.event(BackendEvent::Connected(info));
    let backend = mock.as_backend(name, events);
    let namespace = name.parse().unwrap();
    (mock, backend.namespace(namespace))
}

fn marked(name: &str, header: &str) -> Value {
    let region = json!({ "type": "string", "x-mcp-header": header });
    json!({ "name": name, "inputSchema": { "type": "object", "properties": { "region": region } } })
}

async fn list(router: &Router, modern: bool) -> Vec<Value> {
    let mut request = McpRequest::new(Method::ToolsList, RawParams::default());
    request.context.client = Arc::new(ClientProfile {
        takes_input_required: modern,
        ..ClientProfile::default()
    });
    let answer = router.clone().oneshot(request).await.unwrap();
    let Outcome::Complete(result) = answer.outcome().await.unwrap() else {
        panic!("no list");
    };
    let result: Value = result.read_owned().unwrap();
    result["tools"].as_array().unwrap().clone()
}

async fn call(router: &Router, name: &str, sent: ParamHeaders) -> Result<(), i64> {
    let params = json!({ "name": name, "arguments": { "region": "eu" } });
    let mut request = McpRequest::new(Method::ToolsCall, RawParams::of(&params));
    request.context.param_headers = sent;
    let answer = router.clone().oneshot(request).await.unwrap();
    match answer.outcome().await.unwrap() {
        Outcome::Complete(_) => Ok(()),
        Outcome::Error(error) => Err(error.code()),
        other => panic!("{other:?}"),
    }
}

fn sent(name: &str, value: &str) -> ParamHeaders {
    let header = ParamHeader {
        name: name.into(),
        value: Some(value.into()),
    };
    ParamHeaders::Some([header].into())
}

#[tokio::test(start_paused = true)]
async fn r26_tools_with_invalid_marks_are_left_out_and_the_rest_kept() {
    let tools = [
        marked("good", "Region"),
        marked("bad", "no name"),
        json!({ "name": "plain" }),
    ];
    let (_, web) = backend("web", info(true, true), &tools);
    let (_, pipe) = backend("pipe", info(true, false), &tools);
    let router = router(Router::builder().backend(web).backend(pipe));
    let listed = names(&router, ItemKind::Tool).await;
    assert_eq!(
        listed,
        [
            "pipe.bad",
            "pipe.good",
            "pipe.plain",
            "web.good",
            "web.plain"
        ]
    );
    let definitions = list(&router, true).await;
    for (name, kept) in [
        ("web.good", true),
        ("pipe.good", false),
        ("pipe.bad", false),
    ] {
        let tool = definitions.iter().find(|t| t["name"] == name).unwrap();
        assert_eq!(tool.to_string().contains("x-mcp-header"), kept, "{tool}");
    }
    let [web, pipe] = &router.backends()[..] else {
        panic!()
    };
    assert_eq!(web.invalid_items, 1);
    assert!(web.left_out[0].starts_with("bad: "), "{:?}", web.left_out);
    assert_eq!((pipe.invalid_items, pipe.left_out.len()), (0, 0));
    assert_eq!(
        call(&router, "web.bad", ParamHeaders::Impossible).await,
        Err(-32602)
    );
}

#[tokio::test(start_paused = true)]
async fn r26_headers_of_clients_are_checked_where_they_can_be_sent() {
    let (mock, web) = backend("web", info(true, true), &[marked("t", "Region")]);
    let (_, pipe) = backend("pipe", info(false, false), &[marked("t", "Region")]);
    let router = router(Router::builder().backend(web).backend(pipe));
    router.ready().await;
    for (headers, expected) in [
        (ParamHeaders::Impossible, Ok(())),
        (sent("region", "eu"), Ok(())),
        (sent("region", "us"), Err(-32020)),
        (ParamHeaders::None, Err(-32020)),
        (sent("other", "eu"), Err(-32020)),
    ] {
        let calls = mock.calls().len() + usize::from(expected.is_ok());
        assert_eq!(
            call(&router, "web.t", headers.clone()).await,
            expected,
            "{headers:?}"
        );
        assert_eq!(mock.calls().len(), calls, "{headers:?}");
        // Nobody was told of marks there.
        assert_eq!(call(&router, "pipe.t", headers).await, Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn r26_a_backend_that_misses_headers_is_listed_again_and_asked_once_more() {
    let (mock, web) = backend("web", info(true, true), &[json!({ "name": "t" })]);
    let router = router(Router::builder().backend(web));
    router.ready().await;
    mock.wants_header();
    mock.define(&[marked("t", "Region")]);
    assert_eq!(call(&router, "web.t", ParamHeaders::None).await, Ok(()));
    assert_eq!(mock.calls().len(), 2);
    let listed = list(&router, true).await;
    assert!(listed[0].to_string().contains("x-mcp-header"), "{listed:?}");
}

#[tokio::test(start_paused = true)]
async fn r26_a_backend_whose_list_did_not_change_is_not_asked_again() {
    let (mock, web) = backend("web", info(true, true), &[json!({ "name": "t" })]);
    let router = router(Router::builder().backend(web));
    router.ready().await;
    mock.wants_header();
    for calls in 1..3 {
        assert_eq!(
            call(&router, "web.t", ParamHeaders::None).await,
            Err(-32020)
        );
        assert_eq!(mock.calls().len(), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn tools_that_are_tasks_alone_are_shown_to_those_that_can_call_them() {
    let tools = ["required", "optional"]
        .map(|support| json!({ "name": support, "execution": { "taskSupport": support } }));
    let (_, new) = backend("new", info(true, false), &tools);
    let (_, old) = backend("old", info(false, false), &tools);
    let router = router(Router::builder().backend(new).backend(old));
    for (modern, expected) in [
        (true, &["new.optional", "new.required", "old.optional"][..]),
        (false, &["new.optional", "old.optional"]),
    ] {
        let mut tools = list(&router, modern).await;
        tools.truncate(expected.len());
        let names: Vec<_> = tools.iter().filter_map(|t| t["name"].as_str()).collect();
        assert_eq!(names, expected);
        for tool in &tools {
            assert_eq!(tool.get("execution").is_none(), modern, "{tool}");
        }
    }
    assert_eq!(router.backends()[1].left_out.len(), 1);
}
