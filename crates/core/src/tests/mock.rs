//! A backend in this process, and shorthand for asking the router.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use mcp_router_protocol::{ErrorObject, ItemKind, Method, RawJson, RawParams, code};
use mcp_router_service::{
    BackendEvent, BackendInfo, CallError, EventStream, McpRequest, McpResponse, Outcome, Reason,
    Repeat, Sent,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower::{Service, ServiceExt};

use crate::{Backend, Router, RouterBuilder};

/// A scripted backend. Clones are the same one.
#[derive(Clone)]
pub(super) struct Mock(Arc<State>);

struct State {
    lists: Mutex<HashMap<Method, Vec<Vec<Value>>>>,
    log: Mutex<Vec<(Method, Value)>>,
    repeats: Mutex<Vec<Repeat>>,
    answer: Mutex<Answer>,
    /// What every page of a list says of how long it is good.
    hints: Mutex<Value>,
    events: mpsc::UnboundedSender<BackendEvent>,
}

#[derive(Clone, Debug)]
pub(super) enum Answer {
    Result(Value),
    Hang,
    /// A result that is not the last word.
    Interim(Value),
    /// -32020 unless an argument goes into a header.
    WantsHeader,
    Fail(Reason, Sent),
    /// An HTTP status in the answer's place, with `Retry-After` in seconds.
    Status(u16, Sent, Option<u64>),
}

impl Mock {
    /// A backend that lists `tools` on one page, and its events.
    pub(super) fn new(tools: &[&str]) -> (Self, mpsc::UnboundedReceiver<BackendEvent>) {
        let (events, receiver) = mpsc::unbounded_channel();
        let mock = Self(Arc::new(State {
            lists: Mutex::default(),
            log: Mutex::default(),
            repeats: Mutex::default(),
            answer: Mutex::new(Answer::Result(json!({ "content": [] }))),
            hints: Mutex::new(json!({})),
            events,
        }));
        mock.list(ItemKind::Tool, &[tools]);
        (mock, receiver)
    }

    /// A connected backend named after its namespace.
    pub(super) fn backend(namespace: &str, tools: &[&str]) -> (Self, Backend) {
        let (mock, events) = Self::new(tools);
        mock.connect();
        let backend = mock
            .as_backend(namespace, events)
            .namespace(namespace.parse().unwrap());
        (mock, backend)
    }

    pub(super) fn as_backend(
        &self,
        name: &str,
        events: mpsc::UnboundedReceiver<BackendEvent>,
    ) -> Backend {
        Backend::new(name.parse().unwrap(), self.clone()).events(self.events(events))
    }

    pub(super) fn events(&self, events: mpsc::UnboundedReceiver<BackendEvent>) -> EventStream {
        let stream = futures::stream::unfold(events, |mut events| async {
            Some((events.recv().await?, events))
        });
        stream.boxed_stream()
    }

    /// How many lists the backend was asked for.
    pub(super) fn listed(&self) -> usize {
        let log = self.0.log.lock().unwrap();
        let lists = log
            .iter()
            .filter(|(m, _)| ItemKind::of_list_method(m).is_some());
        lists.count()
    }

    pub(super) fn connect(&self) {
        self.event(BackendEvent::Connected(BackendInfo {
            capabilities: Some(RawJson::from_static(
                r#"{"tools":{"listChanged":true},"prompts":{},"resources":{}}"#,
            )),
            ..BackendInfo::default()
        }));
    }

    pub(super) fn lose(&self) {
        let error = CallError::new(Reason::ConnectFailed, Sent::No);
        self.event(BackendEvent::Lost {
            error,
            retry_in: Duration::from_secs(1),
        });
    }

    pub(super) fn event(&self, event: BackendEvent) {
        // A supervisor that has stopped hears nothing.
        let _ = self.0.events.send(event);
    }

    /// What is listed, page by page: names or URIs.
    pub(super) fn list(&self, kind: ItemKind, pages: &[&[&str]]) {
        let item = |key: &&str| json!({ kind.key(): key, "description": "d" });
        let pages = pages
            .iter()
            .map(|page| page.iter().map(item).collect())
            .collect();
        self.0
            .lists
            .lock()
            .unwrap()
            .insert(kind.list_method(), pages);
    }

    /// How long its lists are good, and for whom.
    pub(super) fn hint(&self, ttl_ms: u64, scope: &str) {
        *self.0.hints.lock().unwrap() = json!({ "ttlMs": ttl_ms, "cacheScope": scope });
    }

    pub(super) fn answer(&self, answer: Answer) {
        *self.0.answer.lock().unwrap() = answer;
    }

    /// Everything but lists that the backend was asked.
    pub(super) fn calls(&self) -> Vec<Value> {
        let log = self.0.log.lock().unwrap();
        let calls = log
            .iter()
            .filter(|(m, _)| ItemKind::of_list_method(m).is_none());
        calls.map(|(_, p)| p.clone()).collect()
    }

    /// What each call was allowed, as its layers would have seen it.
    pub(super) fn repeats(&self) -> Vec<Repeat> {
        self.0.repeats.lock().unwrap().clone()
    }

    /// Tools with exactly these definitions, on one page.
    pub(super) fn define(&self, tools: &[Value]) {
        let mut lists = self.0.lists.lock().unwrap();
        lists.insert(ItemKind::Tool.list_method(), vec![tools.to_vec()]);
    }

    /// From now on calls without marked arguments are refused.
    pub(super) fn wants_header(&self) {
        self.answer(Answer::WantsHeader);
    }

    /// One tool with these annotations.
    pub(super) fn annotate(&self, tool: &str, annotations: Value) {
        let item = json!({ "name": tool, "annotations": annotations });
        let mut lists = self.0.lists.lock().unwrap();
        lists.insert(ItemKind::Tool.list_method(), vec![vec![item]]);
    }

    fn page(&self, kind: ItemKind, params: &RawParams) -> McpResponse {
        let lists = self.0.lists.lock().unwrap();
        let Some(pages) = lists.get(&kind.list_method()) else {
            return McpResponse::error(ErrorObject::new(code::METHOD_NOT_FOUND, "no such list"));
        };
        let at: usize = params
            .get("cursor")
            .and_then(|c| c.read_owned::<String>().ok())
            .map_or(0, |c| c.parse().unwrap());
        let mut result = self.0.hints.lock().unwrap().clone();
        result[kind.member()] = json!(pages[at % pages.len().max(1)]);
        if at + 1 < pages.len() {
            result["nextCursor"] = (at + 1).to_string().into();
        }
        McpResponse::complete(RawJson::of(&result))
    }
}

impl Service<McpRequest> for Mock {
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
        let params = request
            .params
            .json()
            .map_or(Value::Null, |p| p.read_owned().unwrap());
        self.0
            .log
            .lock()
            .unwrap()
            .push((request.method.clone(), params));
        if let Some(kind) = ItemKind::of_list_method(&request.method) {
            return std::future::ready(Ok(self.page(kind, &request.params))).boxed();
        }
        let repeat = request.context.repeat;
        self.0.repeats.lock().unwrap().push(repeat);
        let answer = self.0.answer.lock().unwrap().clone();
        match answer {
            Answer::Result(value) => {
                std::future::ready(Ok(McpResponse::complete(RawJson::of(&value)))).boxed()
            }
            Answer::WantsHeader => {
                let answer = match &request.context.mirror {
                    Some(_) => McpResponse::complete(RawJson::from_static("{}")),
                    None => McpResponse::error(ErrorObject::new(code::HEADER_MISMATCH, "missed")),
                };
                std::future::ready(Ok(answer)).boxed()
            }
            Answer::Interim(value) => {
                let interim = Outcome::InputRequired(RawJson::of(&value).into());
                std::future::ready(Ok(McpResponse::Ready(interim))).boxed()
            }
            Answer::Hang => std::future::pending().boxed(),
            Answer::Fail(reason, sent) => {
                std::future::ready(Err(CallError::new(reason, sent))).boxed()
            }
            Answer::Status(status, sent, after) => {
                let error = CallError::new(Reason::BackendStatus, sent)
                    .status(status)
                    .retry_after(after.map(Duration::from_secs));
                std::future::ready(Err(error)).boxed()
            }
        }
    }
}

trait BoxedStream: futures::Stream + Send + Sized + 'static {
    fn boxed_stream(self) -> futures::stream::BoxStream<'static, Self::Item> {
        futures::StreamExt::boxed(self)
    }
}
impl<S: futures::Stream + Send + 'static> BoxedStream for S {}

pub(super) async fn ask(router: &Router, method: Method, params: Value) -> Result<Value, i64> {
    match try_ask(router, method, params).await.unwrap() {
        Outcome::Complete(result) => Ok(result.read_owned().unwrap()),
        Outcome::Error(error) => Err(error.code()),
        other => panic!("{other:?}"),
    }
}

pub(super) async fn try_ask(
    router: &Router,
    method: Method,
    params: Value,
) -> Result<Outcome, CallError> {
    let request = McpRequest::new(method, RawParams::of(&params));
    router.clone().oneshot(request).await?.outcome().await
}

/// The exposed names on the first page, the router's own tools left out.
pub(super) async fn names(router: &Router, kind: ItemKind) -> Vec<String> {
    let result = ask(router, kind.list_method(), json!({})).await.unwrap();
    let items = result[kind.member()].as_array().unwrap();
    let names = items
        .iter()
        .map(|i| i[kind.key()].as_str().unwrap().to_owned());
    names
        .filter(|n| !crate::dispatch::manage::is_reserved(n))
        .collect()
}

pub(super) fn router(builder: RouterBuilder) -> Router {
    builder.build().unwrap()
}
