//! Calls from the same process.

use std::time::Duration;

use mcp_router_protocol::{ItemKind, RawJson, code};
use mcp_router_service::{Reason, RequestContext, Sent};
use serde_json::{Value, json};

use super::mock::{Answer, Mock, router};
use crate::{AskError, Router};

fn value(json: &RawJson) -> Value {
    json.read_owned().unwrap()
}

#[tokio::test(start_paused = true)]
async fn tools_are_listed_and_called_without_a_socket() {
    let (mock, backend) = Mock::backend("a", &["t", "u", "v"]);
    // Pages of one: all of them are fetched.
    let router = router(Router::builder().page_size(1).backend(backend));
    let context = RequestContext::default();
    let tools = router.list_tools(&context).await.unwrap();
    let names: Vec<_> = tools.iter().filter_map(|t| t.get_str("name")).collect();
    assert_eq!(names[..4], ["a.t", "a.u", "a.v", "list_backends"]);
    mock.answer(Answer::Result(json!({ "content": [], "isError": true })));
    let result = router.call_tool(&context, "a.u", &json!({ "x": 1 })).await;
    assert_eq!(value(&result.unwrap())["isError"], true);
    assert_eq!(
        mock.calls(),
        [json!({ "name": "u", "arguments": { "x": 1 } })]
    );
}

#[tokio::test(start_paused = true)]
async fn prompts_and_resources_too() {
    let (mock, backend) = Mock::backend("a", &[]);
    mock.list(ItemKind::Prompt, &[&["p"]]);
    mock.list(ItemKind::Resource, &[&["x:y"]]);
    let router = router(Router::builder().backend(backend));
    let context = RequestContext::default();
    let listed = router.list(&context, ItemKind::Resource).await.unwrap();
    assert_eq!(listed[0].get_str("uri").as_deref(), Some("a+x:y"));
    router.read_resource(&context, "a+x:y").await.unwrap();
    let arguments = json!({ "who": "me" });
    router
        .get_prompt(&context, "a.p", &arguments)
        .await
        .unwrap();
    let asked = [
        json!({ "uri": "x:y" }),
        json!({ "name": "p", "arguments": arguments }),
    ];
    assert_eq!(mock.calls(), asked);
}

#[tokio::test(start_paused = true)]
async fn what_brings_no_result_says_why() {
    let (mock, backend) = Mock::backend("a", &["t"]);
    let router = router(Router::builder().backend(backend));
    let context = RequestContext::default();
    let nothing = json!({});
    let call = |name| router.call_tool(&context, name, &nothing);
    match call("a.nope").await {
        Err(AskError::Refused(error)) => assert_eq!(error.code(), code::INVALID_PARAMS),
        other => panic!("{other:?}"),
    }
    mock.answer(Answer::Fail(Reason::Timeout, Sent::Unknown));
    match call("a.t").await {
        Err(AskError::Failed(error)) => assert_eq!(error.sent, Sent::Unknown),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_context_may_be_used_for_ever() {
    let (_, backend) = Mock::backend("a", &["t"]);
    let router = router(Router::builder().backend(backend));
    let context = RequestContext::default();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    router.call_tool(&context, "a.t", &json!({})).await.unwrap();
}
