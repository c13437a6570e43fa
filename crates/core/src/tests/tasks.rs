//! Tasks of modern backends, between those who take them.

use std::sync::Arc;

use mcp_router_protocol::{Method, RawJson, RawParams};
use mcp_router_service::{
    BackendEvent, BackendInfo, CallError, ClientProfile, McpRequest, McpResponse, Outcome,
    Principal, Reason,
};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::mock::{Answer, Mock, router};
use crate::{Backend, Router};

fn backend(name: &str) -> (Mock, Backend) {
    let (mock, events) = Mock::new(&["job"]);
    mock.event(BackendEvent::Connected(BackendInfo {
        capabilities: Some(RawJson::from_static(r#"{"tools":{},"resources":{}}"#)),
        modern: true,
        ..BackendInfo::default()
    }));
    let backend = mock.as_backend(name, events);
    (mock, backend.namespace(name.parse().unwrap()))
}

fn request(method: &str, params: &Value, tasks: bool) -> McpRequest {
    let mut request = McpRequest::new(Method::from(method), RawParams::of(params));
    let capabilities = match tasks {
        true => r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#,
        false => "{}",
    };
    request.context.client = Arc::new(ClientProfile {
        capabilities: Some(RawJson::from_static(capabilities)),
        takes_input_required: true,
        ..ClientProfile::default()
    });
    request
}

async fn send(router: &Router, request: McpRequest) -> Result<Outcome, CallError> {
    let answer: McpResponse = router.clone().oneshot(request).await?;
    answer.outcome().await
}

async fn ask(router: &Router, method: &str, params: Value, tasks: bool) -> Result<Value, Value> {
    match send(router, request(method, &params, tasks)).await.unwrap() {
        Outcome::Complete(result) => Ok(result.read_owned().unwrap()),
        Outcome::Error(error) => Err(error.raw().read_owned().unwrap()),
        other => panic!("{other:?}"),
    }
}

async fn task(router: &Router, mock: &Mock, tool: &str) -> String {
    mock.answer(Answer::Interim(
        json!({ "resultType": "task", "taskId": "7", "status": "working" }),
    ));
    let made = ask(router, "tools/call", json!({ "name": tool }), true)
        .await
        .unwrap();
    assert_eq!(made["resultType"], "task", "{made}");
    assert_eq!(made["status"], "working", "{made}");
    made["taskId"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn tasks_of_two_backends_with_one_id_are_two_and_each_is_found() {
    let ((one, a), (two, b)) = (backend("a"), backend("b"));
    let router = router(Router::builder().backend(a).backend(b));
    router.ready().await;
    let ids = [
        task(&router, &one, "a.job").await,
        task(&router, &two, "b.job").await,
    ];
    assert_ne!(ids[0], ids[1]);
    for (mock, id, namespace) in [(&one, &ids[0], "a"), (&two, &ids[1], "b")] {
        assert!(!id.contains('7') || id.len() > 20, "sealed: {id}");
        let link = json!({ "type": "resource_link", "uri": "memo:1" });
        let state =
            json!({ "taskId": "7", "status": "completed", "result": { "content": [link] } });
        mock.answer(Answer::Result(state));
        let got = ask(&router, "tasks/get", json!({ "taskId": id }), true)
            .await
            .unwrap();
        assert_eq!(got["taskId"], **id, "{got}");
        let uri = &got["result"]["content"][0]["uri"];
        assert_eq!(*uri, format!("{namespace}+memo:1"), "{got}");
        mock.answer(Answer::Result(json!({})));
        let responses = json!({ "k": { "action": "accept" } });
        let update = json!({ "taskId": id, "inputResponses": responses });
        assert_eq!(
            ask(&router, "tasks/update", update, true).await,
            Ok(json!({}))
        );
        ask(&router, "tasks/cancel", json!({ "taskId": id }), true)
            .await
            .unwrap();
        let seen = mock.calls();
        assert!(
            seen[1..].iter().all(|call| call["taskId"] == "7"),
            "{seen:?}"
        );
        assert_eq!(seen[2]["inputResponses"], responses);
    }
}

#[tokio::test(start_paused = true)]
async fn ids_that_are_not_the_callers_are_unknown() {
    let (mock, a) = backend("a");
    let router = router(Router::builder().backend(a));
    router.ready().await;
    let id = task(&router, &mock, "a.job").await;
    for wrong in ["7", "", &id[1..]] {
        let error = ask(&router, "tasks/get", json!({ "taskId": wrong }), true)
            .await
            .unwrap_err();
        assert_eq!(error["code"], -32602, "{wrong}");
    }
    assert_eq!(
        ask(&router, "tasks/get", json!({}), true)
            .await
            .unwrap_err()["code"],
        -32602
    );
    let mut stolen = request("tasks/get", &json!({ "taskId": id }), true);
    stolen.context.principal = Principal::Named("other".into());
    let Ok(Outcome::Error(error)) = send(&router, stolen).await else {
        panic!("somebody else's task");
    };
    assert_eq!(error.code(), -32602);
    assert_eq!(mock.calls().len(), 1, "nothing of it arrived");
}

#[tokio::test(start_paused = true)]
async fn clients_without_the_extension_are_told_so_and_get_no_task() {
    let (mock, a) = backend("a");
    let router = router(Router::builder().backend(a));
    router.ready().await;
    let id = task(&router, &mock, "a.job").await;
    let required = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let error = ask(&router, method, json!({ "taskId": id }), false)
            .await
            .unwrap_err();
        assert_eq!(error["code"], -32021, "{error}");
        assert_eq!(error["data"]["requiredCapabilities"], required, "{error}");
    }
    let filter = json!({ "notifications": { "taskIds": [id] } });
    let error = ask(&router, "subscriptions/listen", filter, false)
        .await
        .unwrap_err();
    assert_eq!(error["code"], -32021, "{error}");
    // A backend that makes one all the same has failed.
    let call = request("tools/call", &json!({ "name": "a.job" }), false);
    let failure = send(&router, call).await.unwrap_err();
    assert_eq!(failure.reason, Reason::ProtocolError);
    let legacy = McpRequest::new(
        Method::from("tasks/get"),
        RawParams::of(&json!({ "taskId": id })),
    );
    let Ok(Outcome::Error(error)) = send(&router, legacy).await else {
        panic!("a legacy client has no tasks");
    };
    assert_eq!(error.code(), -32601);
}

#[tokio::test(start_paused = true)]
async fn what_2025_11_25_asks_of_tasks_is_not_passed_on() {
    let (mock, a) = backend("a");
    let router = router(Router::builder().backend(a));
    router.ready().await;
    let params = json!({ "name": "a.job", "task": { "ttl": 1 }, "arguments": { "task": 1 } });
    let call = McpRequest::new(Method::ToolsCall, RawParams::of(&params));
    send(&router, call).await.unwrap();
    assert_eq!(
        mock.calls()[0],
        json!({ "name": "job", "arguments": { "task": 1 } })
    );
}
