//! An MCP server in this process, made from a table of tools.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt};
use mcp_router_protocol::{ErrorObject, Method, RawJson, RawParams, code};
use mcp_router_service::{
    BackendEvent, BackendInfo, CallError, Event, EventStream, McpRequest, McpResponse, Outcome,
    Reason, ResponseStream, Sent,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower::Service;

/// What a demo server offers.
pub(super) struct Offer {
    /// Who it says it is.
    pub(super) role: &'static str,
    /// What it tells models about itself.
    pub(super) instructions: &'static str,
    pub(super) tools: &'static [Tool],
    /// Answers everything that is no tool: prompts, resources, completions.
    pub(super) other: fn(&Method, &RawParams) -> Option<Value>,
}

/// One tool.
pub(super) struct Tool {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    /// JSON Schema of its arguments' properties; all of them are required.
    pub(super) properties: fn() -> Value,
    pub(super) run: Run,
}

/// How a tool runs.
pub(super) enum Run {
    /// At once: the text, or what is wrong.
    Now(fn(&'static Offer, &Value) -> Result<String, String>),
    /// Counts down from `from`, a step a second, with progress.
    Countdown,
    /// Takes the server away for `seconds`.
    TakeDown,
}

/// A demo server; clones are the same one.
#[derive(Clone)]
pub(super) struct DemoServer(Arc<State>);

struct State {
    offer: &'static Offer,
    down: AtomicBool,
    events: mpsc::Sender<BackendEvent>,
}

impl DemoServer {
    pub(super) fn new(offer: &'static Offer) -> (Self, EventStream) {
        let (events, receiver) = mpsc::channel(8);
        let server = Self(Arc::new(State {
            offer,
            down: AtomicBool::new(false),
            events,
        }));
        let first = BackendEvent::Connected(server.info());
        let later = futures::stream::unfold(receiver, |mut receiver| async {
            Some((receiver.recv().await?, receiver))
        });
        (server, futures::stream::iter([first]).chain(later).boxed())
    }

    fn info(&self) -> BackendInfo {
        let full = r#"{"tools":{"listChanged":true},"prompts":{},"resources":{},"completions":{}}"#;
        BackendInfo {
            capabilities: Some(RawJson::from_static(full)),
            server_info: None,
            instructions: Some(self.0.offer.instructions.to_owned()),
            hop: "in process".to_owned(),
        }
    }

    fn answer(&self, request: &McpRequest) -> McpResponse {
        let offer = self.0.offer;
        let result = match request.method {
            Method::ToolsList => {
                json!({ "tools": offer.tools.iter().map(Tool::definition).collect::<Vec<_>>() })
            }
            Method::ToolsCall => return self.call(request),
            ref method => match (offer.other)(method, &request.params) {
                Some(result) => result,
                None => return error(code::METHOD_NOT_FOUND, "no such method"),
            },
        };
        McpResponse::complete(RawJson::of(&result))
    }

    fn call(&self, request: &McpRequest) -> McpResponse {
        let name = request.params.name().unwrap_or_default();
        let Some(tool) = self.0.offer.tools.iter().find(|t| t.name == name) else {
            return error(code::INVALID_PARAMS, "no such tool");
        };
        let arguments = request.params.arguments();
        let arguments: Value = arguments
            .and_then(|a| a.read_owned().ok())
            .unwrap_or_default();
        match tool.run {
            Run::Now(run) => ready(run(self.0.offer, &arguments)),
            Run::Countdown => match whole(&arguments, "from", 60) {
                Ok(from) => countdown(from),
                Err(wrong) => ready(Err(wrong)),
            },
            Run::TakeDown => match whole(&arguments, "seconds", 600) {
                Ok(seconds) => ready(Ok(self.take_down(seconds))),
                Err(wrong) => ready(Err(wrong)),
            },
        }
    }

    fn take_down(&self, seconds: u64) -> String {
        let away = Duration::from_secs(seconds);
        self.0.down.store(true, Ordering::Release);
        let server = self.clone();
        tokio::spawn(async move {
            let error = gone().detail("taken down by the demo");
            // Without a supervisor nobody watches, and nobody needs to know.
            let _ = server
                .0
                .events
                .send(BackendEvent::Lost {
                    error,
                    retry_in: away,
                })
                .await;
            tokio::time::sleep(away).await;
            server.0.down.store(false, Ordering::Release);
            let _ = server
                .0
                .events
                .send(BackendEvent::Connected(server.info()))
                .await;
        });
        format!(
            "{} is away for {seconds} s; call again and see who answers.",
            self.0.offer.role
        )
    }
}

impl Service<McpRequest> for DemoServer {
    type Response = McpResponse;
    type Error = CallError;
    type Future = BoxFuture<'static, Result<McpResponse, CallError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: McpRequest) -> Self::Future {
        let answer = if self.0.down.load(Ordering::Acquire) {
            Err(gone())
        } else {
            Ok(self.answer(&request))
        };
        std::future::ready(answer).boxed()
    }
}

impl Tool {
    fn definition(&self) -> Value {
        let properties = (self.properties)();
        let required: Vec<_> = properties
            .as_object()
            .into_iter()
            .flat_map(|p| p.keys().cloned())
            .collect();
        json!({
            "name": self.name,
            "description": self.description,
            "inputSchema": { "type": "object", "properties": properties, "required": required },
        })
    }
}

fn gone() -> CallError {
    CallError::new(Reason::ConnectFailed, Sent::No)
}

fn error(code: i64, text: &str) -> McpResponse {
    McpResponse::error(ErrorObject::new(code, text))
}

fn ready(text: Result<String, String>) -> McpResponse {
    McpResponse::complete(tool_result(text))
}

fn tool_result(text: Result<String, String>) -> RawJson {
    let failed = text.is_err();
    let text = text.unwrap_or_else(|wrong| wrong);
    let mut result = json!({ "content": [{ "type": "text", "text": text }] });
    if failed {
        result["isError"] = true.into();
    }
    RawJson::of(&result)
}

fn whole(arguments: &Value, name: &str, most: u64) -> Result<u64, String> {
    match arguments[name].as_u64() {
        Some(n) if (1..=most).contains(&n) => Ok(n),
        _ => Err(format!("`{name}` must be a whole number from 1 to {most}")),
    }
}

/// A step a second, each with progress; dropped with its stream.
fn countdown(from: u64) -> McpResponse {
    let stream = futures::stream::unfold(0, move |step| async move {
        if step > from {
            return None;
        }
        if step > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let event = if step == from {
            Event::Outcome(Outcome::Complete(tool_result(Ok(format!(
                "{from} seconds are over"
            )))))
        } else {
            let progress = json!({
                "progressToken": 0, "progress": step + 1, "total": from,
                "message": format!("{} to go", from - step),
            });
            Event::Notification {
                method: Method::Progress,
                params: RawParams::of(&progress),
            }
        };
        Some((Ok(event), step + 1))
    });
    McpResponse::Stream(ResponseStream::new(stream))
}

#[cfg(test)]
mod tests {
    use mcp_router_core::Router;
    use tower::ServiceExt;

    use super::*;

    async fn call(router: &Router, name: &str, arguments: Value) -> Value {
        let params = RawParams::of(&json!({ "name": name, "arguments": arguments }));
        let request = McpRequest::new(Method::ToolsCall, params);
        let answer = router
            .clone()
            .oneshot(request)
            .await
            .unwrap()
            .outcome()
            .await
            .unwrap();
        let Outcome::Complete(result) = answer else {
            panic!("{answer:?}")
        };
        result.read_owned().unwrap()
    }

    fn text(result: &Value) -> &str {
        result["content"][0]["text"].as_str().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_secondary_answers_while_the_primary_is_away() {
        let mut builder = Router::builder();
        for backend in super::super::backends() {
            builder = builder.backend(backend);
        }
        let router = builder.build().unwrap();
        router.ready().await;
        let who = async || text(&call(&router, "text.who", json!({})).await).to_owned();
        assert_eq!(who().await, "primary");
        call(&router, "text.take_down", json!({ "seconds": 20 })).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(who().await, "secondary");
        tokio::time::sleep(Duration::from_secs(21)).await;
        assert_eq!(who().await, "primary");
    }

    #[tokio::test(start_paused = true)]
    async fn tools_answer_and_say_what_is_wrong() {
        let mut builder = Router::builder();
        for backend in super::super::backends() {
            builder = builder.backend(backend);
        }
        let router = builder.build().unwrap();
        router.ready().await;
        for (name, arguments, expected) in [
            ("text.echo", json!({ "text": "x" }), "x"),
            ("text.add", json!({ "a": 1.5, "b": 2 }), "3.5"),
            (
                "text.slugify",
                json!({ "text": "Hello,  World!" }),
                "hello-world",
            ),
            ("time.countdown", json!({ "from": 2 }), "2 seconds are over"),
        ] {
            assert_eq!(
                text(&call(&router, name, arguments).await),
                expected,
                "{name}"
            );
        }
        for (name, arguments) in [
            ("text.echo", json!({})),
            ("text.add", json!({ "a": "1" })),
            ("text.fail", json!({})),
            ("time.countdown", json!({ "from": 0 })),
        ] {
            assert_eq!(
                call(&router, name, arguments).await["isError"],
                true,
                "{name}"
            );
        }
    }
}
