//! News of tasks: each client's own, from the backend that has the task.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, StreamExt};
use mcp_router_protocol::{ErrorObject, ItemKind, Method, RawJson, RawParams};
use mcp_router_service::{
    BackendEvent, BackendInfo, CallError, ClientProfile, Event, McpRequest, McpResponse, Outcome,
    Principal, Reason, ResponseStream, Sent,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower::{Service, ServiceExt};

use super::mock::router;
use crate::{Backend, Router};

const ABLE: &str = r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;

/// A backend whose one tool makes tasks `1`, `2` and so on.
#[derive(Clone, Default)]
struct Tasked(Arc<State>);

#[derive(Default)]
struct State {
    made: Mutex<u32>,
    /// Every listen request, and the streams that are open.
    listened: Mutex<Vec<McpRequest>>,
    open: Mutex<Vec<mpsc::UnboundedSender<Event>>>,
    /// What it says to a listen request in place of a stream.
    refusal: Mutex<Option<i64>>,
    away: Mutex<bool>,
}

impl Tasked {
    fn backend(name: &str) -> (Self, Backend) {
        let tasked = Self::default();
        let connected = BackendEvent::Connected(BackendInfo {
            capabilities: Some(RawJson::from_static(r#"{"tools":{}}"#)),
            modern: true,
            ..BackendInfo::default()
        });
        let events = stream::iter([connected]).chain(stream::pending()).boxed();
        let backend = Backend::new(name.parse().unwrap(), tasked.clone()).events(events);
        (tasked, backend.namespace(name.parse().unwrap()))
    }

    /// What was asked for in each listen request.
    fn asked(&self) -> Vec<Value> {
        let listened = self.0.listened.lock().unwrap();
        let filter = |r: &McpRequest| r.params.get("notifications").unwrap().read_owned().unwrap();
        listened.iter().map(filter).collect()
    }

    fn open(&self) -> usize {
        let mut open = self.0.open.lock().unwrap();
        open.retain(|stream| !stream.is_closed());
        open.len()
    }

    fn tell(&self, params: &Value) {
        for stream in &*self.0.open.lock().unwrap() {
            let event = Event::Notification {
                method: Method::from("notifications/tasks"),
                params: RawParams::of(params),
            };
            let _ = stream.send(event);
        }
    }

    fn listen(&self, request: McpRequest) -> Result<McpResponse, CallError> {
        if *self.0.away.lock().unwrap() {
            return Err(CallError::new(Reason::ConnectFailed, Sent::No));
        }
        let filter = request.params.get("notifications").unwrap();
        let mut ids: Vec<String> = filter.get("taskIds").unwrap().read_owned().unwrap();
        self.0.listened.lock().unwrap().push(request);
        if let Some(code) = *self.0.refusal.lock().unwrap() {
            return Ok(McpResponse::error(ErrorObject::new(code, "no")));
        }
        // Of the third task it tells nothing.
        ids.retain(|id| id != "3");
        let (sender, receiver) = mpsc::unbounded_channel();
        let honoured = json!({ "notifications": { "taskIds": ids } });
        let first = Event::Notification {
            method: Method::SubscriptionsAcknowledged,
            params: RawParams::of(&honoured),
        };
        sender.send(first).unwrap();
        self.0.open.lock().unwrap().push(sender);
        let events = stream::unfold(receiver, |mut events| async {
            Some((Ok(events.recv().await?), events))
        });
        Ok(McpResponse::Stream(ResponseStream::new(events)))
    }

    fn serve(&self, request: McpRequest) -> Result<McpResponse, CallError> {
        let result = match request.method.as_str() {
            "subscriptions/listen" => return self.listen(request),
            "tools/call" => {
                let mut made = self.0.made.lock().unwrap();
                *made += 1;
                let task = json!({ "resultType": "task", "taskId": made.to_string() });
                let interim = RawJson::of(&task).into();
                return Ok(McpResponse::Ready(Outcome::InputRequired(interim)));
            }
            "tasks/get" => {
                let id: String = request.params.get("taskId").unwrap().read_owned().unwrap();
                json!({ "resultType": "complete", "taskId": id, "status": "working", "late": true })
            }
            _ => match ItemKind::of_list_method(&request.method) {
                Some(kind @ ItemKind::Tool) => json!({ kind.member(): [{ "name": "job" }] }),
                Some(kind) => json!({ kind.member(): [] }),
                None => panic!("{}", request.method),
            },
        };
        Ok(McpResponse::complete(RawJson::of(&result)))
    }
}

impl Service<McpRequest> for Tasked {
    type Response = McpResponse;
    type Error = CallError;
    type Future = BoxFuture<'static, Result<McpResponse, CallError>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), CallError>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: McpRequest) -> Self::Future {
        std::future::ready(self.serve(request)).boxed()
    }
}

fn request(who: &str, method: &str, params: &Value) -> McpRequest {
    let mut request = McpRequest::new(Method::from(method), RawParams::of(params));
    request.context.principal = Principal::Named(who.into());
    request.context.client = Arc::new(ClientProfile {
        capabilities: Some(RawJson::from_static(ABLE)),
        takes_input_required: true,
        ..ClientProfile::default()
    });
    request
}

async fn task(router: &Router, who: &str, tool: &str) -> String {
    let call = request(who, "tools/call", &json!({ "name": tool }));
    let answer = router.clone().oneshot(call).await.unwrap();
    let Outcome::Complete(task) = answer.outcome().await.unwrap() else {
        panic!("no task");
    };
    task.get_str("taskId").unwrap()
}

/// Listens; what is honoured, or the code of the refusal.
async fn listen(router: &Router, who: &str, ids: Value) -> Result<(ResponseStream, Value), i64> {
    let filter = json!({ "notifications": { "toolsListChanged": true, "taskIds": ids } });
    let request = request(who, "subscriptions/listen", &filter);
    match router.clone().oneshot(request).await.unwrap() {
        McpResponse::Stream(mut stream) => {
            let (method, params) = next(&mut stream).await;
            assert_eq!(method, Method::SubscriptionsAcknowledged);
            assert_eq!(params["notifications"]["toolsListChanged"], true);
            Ok((stream, params["notifications"]["taskIds"].clone()))
        }
        McpResponse::Ready(Outcome::Error(error)) => Err(error.code()),
        McpResponse::Ready(other) => panic!("{other:?}"),
    }
}

async fn next(stream: &mut ResponseStream) -> (Method, Value) {
    match stream.next().await.unwrap().unwrap() {
        Event::Notification { method, params } => {
            (method, params.json().unwrap().read_owned().unwrap())
        }
        other => panic!("{other:?}"),
    }
}

async fn two() -> (Tasked, Tasked, Router) {
    let ((one, a), (two, b)) = (Tasked::backend("a"), Tasked::backend("b"));
    let router = router(Router::builder().backend(a).backend(b));
    router.ready().await;
    (one, two, router)
}

#[tokio::test(start_paused = true)]
async fn r23_news_come_from_the_backend_that_has_the_task_under_the_client_s_id() {
    let (one, two, router) = two().await;
    let a = task(&router, "ann", "a.job").await;
    let b = task(&router, "ann", "b.job").await;
    let (mut stream, honoured) = listen(&router, "ann", json!([a, b, a])).await.unwrap();
    let mut expected = [a.clone(), b.clone()];
    expected.sort();
    assert_eq!(honoured, json!(expected));
    // Each hears of its own alone, in the name of a client that takes tasks.
    for backend in [&one, &two] {
        assert_eq!(backend.asked(), [json!({ "taskIds": ["1"] })]);
        let listened = backend.0.listened.lock().unwrap();
        let client = &listened[0].context.client;
        assert_eq!(client.capabilities.as_ref().unwrap().as_str(), ABLE);
    }
    // What a backend says of a task that was not asked for is not passed on.
    two.tell(&json!({ "taskId": "2", "status": "working" }));
    two.tell(&json!({ "taskId": "1", "status": "working", "x": 1.5, "_meta": { "k": 1 } }));
    let (method, params) = next(&mut stream).await;
    assert_eq!(method.as_str(), "notifications/tasks");
    let expected = json!({ "taskId": b, "status": "working", "x": 1.5, "_meta": { "k": 1 } });
    assert_eq!(params, expected);
    let link = json!({ "type": "resource_link", "uri": "memo:1" });
    one.tell(&json!({ "taskId": "1", "status": "completed", "result": { "content": [link] } }));
    let (_, params) = next(&mut stream).await;
    assert_eq!(params["taskId"], *a);
    assert_eq!(params["result"]["content"][0]["uri"], "a+memo:1");
    // Nothing can come of that one any more; the other stream lives as long as the client's.
    assert!(stream.next().now_or_never().is_none());
    assert_eq!((one.open(), two.open()), (0, 1));
    drop(stream);
    assert_eq!(two.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn r37_tasks_of_one_principal_are_unknown_to_others_and_nothing_upstream_is_shared() {
    let (one, _two, router) = two().await;
    let anns = task(&router, "ann", "a.job").await;
    let bobs = task(&router, "bob", "a.job").await;
    for wrong in [
        json!([anns]),
        json!([bobs, anns]),
        json!(["1"]),
        json!([""]),
    ] {
        assert_eq!(listen(&router, "bob", wrong).await.unwrap_err(), -32602);
    }
    for malformed in [json!("x"), json!([1]), json!({})] {
        assert_eq!(listen(&router, "bob", malformed).await.unwrap_err(), -32602);
    }
    assert!(one.asked().is_empty(), "nothing of it arrived");
    let (mut ann, _) = listen(&router, "ann", json!([anns])).await.unwrap();
    let (mut bob, _) = listen(&router, "bob", json!([bobs])).await.unwrap();
    let asked = [json!({ "taskIds": ["1"] }), json!({ "taskIds": ["2"] })];
    assert_eq!(one.asked(), asked);
    // Even of a backend that tells everybody everything each hears of its own alone.
    one.tell(&json!({ "taskId": "1", "status": "working" }));
    one.tell(&json!({ "taskId": "2", "status": "working" }));
    assert_eq!(next(&mut ann).await.1["taskId"], *anns);
    assert_eq!(next(&mut bob).await.1["taskId"], *bobs);
    for stream in [&mut ann, &mut bob] {
        assert!(stream.next().now_or_never().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn r23_only_what_its_backend_honours_is_acknowledged() {
    let (one, two, router) = two().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(task(&router, "ann", "a.job").await);
    }
    let (_stream, honoured) = listen(&router, "ann", json!(ids)).await.unwrap();
    assert_eq!(honoured.as_array().unwrap().len(), 2);
    assert!(!honoured.as_array().unwrap().contains(&json!(ids[2])));
    let (_stream, honoured) = listen(&router, "ann", json!([ids[2]])).await.unwrap();
    assert_eq!(honoured, Value::Null);
    let (_stream, honoured) = listen(&router, "ann", json!([])).await.unwrap();
    assert_eq!(honoured, Value::Null);
    // A backend that is away, or knows no such streams, takes nothing from the others.
    let b = task(&router, "ann", "b.job").await;
    *two.0.away.lock().unwrap() = true;
    let (_stream, honoured) = listen(&router, "ann", json!([ids[0], b])).await.unwrap();
    assert_eq!(honoured, json!([ids[0]]));
    *two.0.away.lock().unwrap() = false;
    for (code, refused) in [(-32601, false), (-32602, true)] {
        *one.0.refusal.lock().unwrap() = Some(code);
        let listened = listen(&router, "ann", json!([ids[0], b])).await;
        match refused {
            // The task is gone there.
            true => assert_eq!(listened.unwrap_err(), -32602),
            false => assert_eq!(listened.unwrap().1, json!([b])),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_lost_stream_may_have_missed_is_told_when_there_is_another() {
    let (one, _two, router) = two().await;
    let id = task(&router, "ann", "a.job").await;
    let (mut stream, _) = listen(&router, "ann", json!([id])).await.unwrap();
    *one.0.away.lock().unwrap() = true;
    one.0.open.lock().unwrap().clear();
    let quiet = tokio::time::timeout(Duration::from_secs(60), stream.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    *one.0.away.lock().unwrap() = false;
    let (method, params) = next(&mut stream).await;
    assert_eq!(method.as_str(), "notifications/tasks");
    assert_eq!(
        params,
        json!({ "taskId": id, "status": "working", "late": true })
    );
    one.tell(&json!({ "taskId": "1", "status": "cancelled" }));
    assert_eq!(next(&mut stream).await.1["status"], "cancelled");
    // Whoever refuses it now is asked no more; the client's stream goes on.
    assert!(stream.next().now_or_never().is_none());
    assert_eq!(one.asked().len(), 2);
    router.drain();
    let last = stream.next().await.unwrap().unwrap();
    assert!(matches!(last, Event::Outcome(Outcome::Complete(_))));
}
