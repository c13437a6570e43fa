//! Calls that need something from their client, in every pair of eras: what clients and backends
//! see of it.

mod afresh;
mod legacy_clients;
mod parked;
mod parked_ends;
mod parked_random;
mod passed;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use mcp_router_protocol::{ErrorObject, ItemKind, Method, RawJson, RawParams, code};
use mcp_router_service::{
    CallError, ClientProfile, Deadline, Event, McpRequest, McpResponse, Outcome, Principal,
    RequestContext, ResponseStream, ServerRequest,
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tower::ServiceExt;

use crate::{Backend, Parking, Router};

pub(super) type Answer = Result<McpResponse, CallError>;
type Reply = Result<RawJson, ErrorObject>;

/// A call as it reaches the backend, to be answered by the test.
pub(super) struct Call {
    pub(super) request: McpRequest,
    pub(super) answer: oneshot::Sender<Answer>,
}

impl Call {
    pub(super) fn params(&self) -> Value {
        value(self.request.params.json().unwrap())
    }

    pub(super) fn with(self, outcome: Outcome) {
        // A client that is gone needs none.
        let _ = self.answer.send(Ok(McpResponse::Ready(outcome)));
    }

    pub(super) fn interim(self, result: Value) {
        self.with(Outcome::InputRequired(RawJson::of(&result).into()));
    }

    pub(super) fn done(self) {
        self.with(Outcome::Complete(RawJson::from_static(r#"{"content":[]}"#)));
    }

    /// Answers by a stream that the test feeds.
    pub(super) fn streamed(self) -> Feed {
        let (events, mut coming) = mpsc::unbounded_channel();
        let alive = Arc::new(());
        let held = alive.clone();
        let stream = futures::stream::poll_fn(move |cx| {
            let _held = &held;
            coming.poll_recv(cx)
        });
        let stream = McpResponse::Stream(ResponseStream::new(stream));
        let _ = self.answer.send(Ok(stream));
        Feed { events, alive }
    }
}

/// The backend's side of a stream.
pub(super) struct Feed {
    pub(super) events: mpsc::UnboundedSender<Result<Event, CallError>>,
    alive: Arc<()>,
}

impl Feed {
    pub(super) fn ask(&self, method: Method, params: Value) -> oneshot::Receiver<Reply> {
        let (reply, answer) = oneshot::channel();
        let request = ServerRequest {
            method,
            params: RawParams::of(&params),
            reply,
            origin: None,
        };
        let _ = self.events.send(Ok(Event::ServerRequest(request)));
        answer
    }

    pub(super) fn notify(&self, method: Method) {
        let params = RawParams::default();
        let _ = self.events.send(Ok(Event::Notification { method, params }));
    }

    pub(super) fn end(&self) {
        let outcome = Outcome::Complete(RawJson::from_static(r#"{"content":[]}"#));
        let _ = self.events.send(Ok(Event::Outcome(outcome)));
    }

    /// Whether the router still has the stream.
    pub(super) fn is_open(&self) -> bool {
        Arc::strong_count(&self.alive) > 1
    }
}

/// A router with one backend `a`, whose tool, prompt and resource are played by the test.
pub(super) struct Scene {
    pub(super) router: Router,
    pub(super) calls: mpsc::UnboundedReceiver<Call>,
    pub(super) context: RequestContext,
}

impl Scene {
    /// With a client that takes interim results and can be asked anything.
    pub(super) fn modern() -> Self {
        Self::new(true, Parking::default())
    }

    pub(super) fn parking(parking: Parking) -> Self {
        Self::new(true, parking)
    }

    /// With a client that is asked by requests and can be asked anything.
    pub(super) fn legacy() -> Self {
        Self::new(false, Parking::default())
    }

    fn new(modern: bool, parking: Parking) -> Self {
        let (sender, calls) = mpsc::unbounded_channel();
        let service = tower::service_fn(move |request| serve(sender.clone(), request));
        let backend = Backend::new("a".parse().unwrap(), service);
        let backend = backend.namespace("a".parse().unwrap());
        let router = Router::builder().backend(backend).parking(parking);
        let context = RequestContext {
            client: client(
                modern,
                json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}),
            ),
            ..RequestContext::default()
        };
        Self {
            router: router.build().unwrap(),
            calls,
            context,
        }
    }

    pub(super) fn declaring(mut self, capabilities: Value) -> Self {
        let modern = self.context.client.takes_input_required;
        self.context.client = client(modern, capabilities);
        self
    }

    /// The next call at the backend.
    pub(super) async fn call(&mut self) -> Call {
        let call = tokio::time::timeout(Duration::from_secs(100), self.calls.recv()).await;
        call.expect("a call within the time").unwrap()
    }

    /// No call reaches the backend, however long one waits.
    pub(super) async fn no_call(&mut self) {
        let call = tokio::time::timeout(Duration::from_secs(100), self.calls.recv()).await;
        assert!(call.is_err(), "a call reached the backend");
    }

    pub(super) fn send(&self, method: Method, params: &Value) -> JoinHandle<Answer> {
        self.send_as(&Principal::Anonymous, method, params)
    }

    pub(super) fn send_as(
        &self,
        principal: &Principal,
        method: Method,
        params: &Value,
    ) -> JoinHandle<Answer> {
        let mut request = McpRequest::new(method, RawParams::of(params));
        *request.context = self.context.clone();
        request.context.principal = principal.clone();
        request.context.deadline = Deadline::after(Duration::from_secs(60));
        tokio::spawn(self.router.clone().oneshot(request))
    }

    /// Calls the tool `t`, with more members of the parameters.
    pub(super) fn tool(&self, more: &Value) -> JoinHandle<Answer> {
        self.send(Method::ToolsCall, &tool(more))
    }
}

pub(super) fn tool(more: &Value) -> Value {
    let mut params = json!({"name": "a.t", "arguments": {"b": [1, {"c": 2}], "a": "x"}});
    for (key, value) in more.as_object().into_iter().flatten() {
        params[key] = value.clone();
    }
    params
}

pub(super) fn client(modern: bool, capabilities: Value) -> Arc<ClientProfile> {
    Arc::new(ClientProfile {
        info: None,
        capabilities: Some(RawJson::of(&capabilities)),
        takes_input_required: modern,
        ..ClientProfile::default()
    })
}

async fn serve(calls: mpsc::UnboundedSender<Call>, request: McpRequest) -> Answer {
    if let Some(kind) = ItemKind::of_list_method(&request.method) {
        let key = match kind {
            ItemKind::Resource => "x:y",
            ItemKind::Template => "x:{y}",
            _ => "t",
        };
        let list = json!({ kind.member(): [{ kind.key(): key }] });
        return Ok(McpResponse::complete(RawJson::of(&list)));
    }
    if request.method == Method::Discover {
        let error = ErrorObject::new(code::METHOD_NOT_FOUND, "");
        return Ok(McpResponse::error(error));
    }
    let (answer, answered) = oneshot::channel();
    calls.send(Call { request, answer }).unwrap();
    answered.await.unwrap()
}

pub(super) fn value(json: &RawJson) -> Value {
    json.read_owned().unwrap()
}

pub(super) fn outcome_of(answer: McpResponse) -> Outcome {
    match answer {
        McpResponse::Ready(outcome) => outcome,
        McpResponse::Stream(_) => panic!("an answer without a stream was expected"),
    }
}

pub(super) fn interim_of(outcome: Outcome) -> Value {
    match outcome {
        Outcome::InputRequired(interim) => value(&interim.result),
        other => panic!("an interim result was expected, not {other:?}"),
    }
}

pub(super) fn error_of(outcome: Outcome) -> (i64, Value) {
    match outcome {
        Outcome::Error(error) => (
            error.code(),
            error.data().map_or(Value::Null, |d| value(&d)),
        ),
        other => panic!("an error was expected, not {other:?}"),
    }
}

pub(super) fn stream_of(answer: Answer) -> ResponseStream {
    match answer.unwrap() {
        McpResponse::Stream(stream) => stream,
        McpResponse::Ready(outcome) => panic!("a stream was expected, not {outcome:?}"),
    }
}

/// The outcome at the end of an answer, and the methods of the notifications before it.
pub(super) async fn finished(answer: Answer) -> (Outcome, Vec<Method>) {
    let mut seen = Vec::new();
    let mut stream = match answer.unwrap() {
        McpResponse::Ready(outcome) => return (outcome, seen),
        McpResponse::Stream(stream) => stream,
    };
    loop {
        match stream.next().await.expect("an outcome").unwrap() {
            Event::Outcome(outcome) => return (outcome, seen),
            Event::Notification { method, .. } => seen.push(method),
            Event::ServerRequest(request) => panic!("asked {}", request.method),
        }
    }
}

pub(super) async fn asked(stream: &mut ResponseStream) -> ServerRequest {
    match stream.next().await.expect("an event").unwrap() {
        Event::ServerRequest(request) => request,
        other => panic!("a request was expected, not {other:?}"),
    }
}

pub(super) fn is_complete(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Complete(_))
}

pub(super) fn form(message: &str) -> Value {
    json!({"message": message, "requestedSchema": {"type": "object", "properties": {}}})
}

pub(super) fn accept() -> Value {
    json!({"action": "accept", "content": {}})
}
