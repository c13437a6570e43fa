//! A router for tests: answers by the name of the tool, and remembers what it was asked.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use mcp_router_protocol::{ErrorObject, Method, RawJson, RawParams};
use mcp_router_service::{
    CallError, Event, McpRequest, McpResponse, McpService, Outcome, Reason, ResponseStream, Sent,
    ServerRequest,
};
use tokio::sync::{broadcast, mpsc, oneshot};

/// Lets the other tasks run until `there`. A promise that is broken is a panic after ten seconds of
/// the machine's time, not a test without end.
pub(crate) async fn until(there: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !there() {
        assert!(begun.elapsed() < Duration::from_secs(10), "never");
        tokio::task::yield_now().await;
    }
}

/// The mock's handle. Clones are the same router.
#[derive(Clone)]
pub(crate) struct Mock {
    /// Every request that came through, in order.
    pub(crate) seen: Arc<Mutex<Vec<McpRequest>>>,
    /// Calls of `hang` that were dropped.
    pub(crate) dropped: Arc<AtomicUsize>,
    /// A unit for each call of `hang` that began.
    began: mpsc::UnboundedSender<()>,
    begun: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<()>>>,
    /// Sends list changes into every open listen stream; closing ends them with an outcome.
    pub(crate) news: Arc<Mutex<Option<broadcast::Sender<Method>>>>,
    /// What becomes of upstream sessions that `initialize` wants opened.
    attach: Arc<Mutex<Attach>>,
    /// Whether backends take for ever to hear of the end of a session.
    detach_never: Arc<AtomicBool>,
}

#[derive(Default)]
enum Attach {
    #[default]
    Nothing,
    Carry(&'static str, &'static str),
    Never,
}

struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

const DISCOVER: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true}},"instructions":"ask away","ttlMs":0,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"mock","version":"1"}}}"#;

impl Mock {
    pub(crate) fn new() -> Self {
        let (began, begun) = mpsc::unbounded_channel();
        Self {
            seen: Arc::default(),
            dropped: Arc::default(),
            began,
            begun: Arc::new(tokio::sync::Mutex::new(begun)),
            news: Arc::new(Mutex::new(Some(broadcast::Sender::new(16)))),
            attach: Arc::default(),
            detach_never: Arc::default(),
        }
    }

    /// Has new sessions carry this.
    pub(crate) fn attach(&self, key: &'static str, upstream: &'static str) {
        *self.attach.lock().unwrap() = Attach::Carry(key, upstream);
    }

    /// Lets the opening of upstream sessions hang.
    pub(crate) fn attach_never(&self) {
        *self.attach.lock().unwrap() = Attach::Never;
    }

    /// Lets the end of what sessions carry hang.
    pub(crate) fn detach_never(&self) {
        self.detach_never.store(true, Ordering::SeqCst);
    }

    pub(crate) fn service(&self) -> McpService {
        let mock = self.clone();
        McpService::new(tower::service_fn(move |request| {
            let mock = mock.clone();
            async move { mock.answer(request).await }
        }))
    }

    /// Resolves when a call of `hang` runs.
    pub(crate) async fn hanging(&self) {
        self.begun.lock().await.recv().await;
    }

    pub(crate) fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }

    /// Tells every listen stream that the tools changed.
    pub(crate) fn tools_changed(&self) {
        let news = self.news.lock().unwrap();
        let _ = news.as_ref().unwrap().send(Method::ToolsChanged);
    }

    /// Ends every listen stream with an outcome.
    pub(crate) fn drain(&self) {
        self.news.lock().unwrap().take();
    }

    /// How often a method came through.
    pub(crate) fn count(&self, method: &Method) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|r| r.method == *method).count()
    }

    /// The last request of a method.
    pub(crate) fn last(&self, method: &Method) -> McpRequest {
        let seen = self.seen.lock().unwrap();
        seen.iter().rfind(|r| r.method == *method).unwrap().clone()
    }

    async fn answer(&self, request: McpRequest) -> Result<McpResponse, CallError> {
        self.seen.lock().unwrap().push(request.clone());
        match request.method {
            Method::Discover => Ok(complete(DISCOVER)),
            Method::Attach => {
                let never = match &*self.attach.lock().unwrap() {
                    Attach::Nothing => false,
                    Attach::Carry(key, upstream) => {
                        let session = request.context.session.as_ref().unwrap();
                        session.set_carried(*key, *upstream);
                        false
                    }
                    Attach::Never => true,
                };
                if never {
                    std::future::pending::<()>().await;
                }
                Ok(complete("{}"))
            }
            Method::Detach => {
                if self.detach_never.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                Ok(complete("{}"))
            }
            Method::SetLevel => Ok(complete("{}")),
            Method::ToolsList => Ok(complete(r#"{"tools":[],"ttlMs":7,"cacheScope":"public"}"#)),
            Method::Listen => Ok(self.listen()),
            Method::ResourcesRead => {
                let data = RawJson::from_static(r#"{"uri":"x:1"}"#);
                let error = ErrorObject::with_data(-32602, "Resource not found", Some(&data));
                Ok(McpResponse::error(error))
            }
            Method::ToolsCall => self.tool(&request).await,
            method if method.is_notification() => Ok(McpResponse::Ready(Outcome::Accepted)),
            _ => Ok(McpResponse::error(ErrorObject::new(
                -32601,
                "Method not found",
            ))),
        }
    }

    async fn tool(&self, request: &McpRequest) -> Result<McpResponse, CallError> {
        match request.params.name().unwrap_or_default().as_str() {
            "panic" => panic!("as the test wants it"),
            "fail" => Err(CallError::new(Reason::Timeout, Sent::Unknown)),
            "hang" => {
                let _dropped = Dropped(self.dropped.clone());
                let _ = self.began.send(());
                std::future::pending().await
            }
            "stream" => Ok(streaming()),
            // Begins to stream, then hangs.
            "drip" => {
                let dropped = Dropped(self.dropped.clone());
                let first = stream::iter([Ok(progress(1))]);
                let rest = stream::once(std::future::pending()).map(move |item| {
                    let _held = &dropped;
                    item
                });
                let _ = self.began.send(());
                Ok(McpResponse::Stream(ResponseStream::new(first.chain(rest))))
            }
            "later" => {
                tokio::time::sleep(Duration::from_secs(5)).await;
                Ok(complete(r#"{"content":[]}"#))
            }
            "ask" => Ok(asking(Method::RootsList)),
            "elicit" => Ok(asking(Method::Elicit)),
            "lines" => Ok(complete("{\n\"content\": [\r\n],\"a\":\"\\n\"}")),
            "input" => Ok(McpResponse::Ready(Outcome::InputRequired(
                RawJson::from_static(r#"{"resultType":"input_required","requestState":"s"}"#)
                    .into(),
            ))),
            "old" => Ok(McpResponse::error(ErrorObject::new(-32002, "gone"))),
            "unknown" => Ok(McpResponse::error(ErrorObject::new(-32602, "Unknown tool"))),
            _ => Ok(complete(
                r#"{"content": [1.0],"structuredContent":{"n":10000000000000000000001}}"#,
            )),
        }
    }

    fn listen(&self) -> McpResponse {
        let ack = Event::Notification {
            method: Method::SubscriptionsAcknowledged,
            params: params(r#"{"notifications":{"toolsListChanged":true}}"#),
        };
        let news = self.news.lock().unwrap();
        let receiver = news.as_ref().map(broadcast::Sender::subscribe);
        let changes = stream::unfold(receiver, |receiver| async {
            let mut receiver = receiver?;
            let event = match receiver.recv().await {
                Ok(method) => Event::Notification {
                    method,
                    params: RawParams::default(),
                },
                Err(_) => return Some((Ok(outcome("{}")), None)),
            };
            Some((Ok(event), Some(receiver)))
        });
        let stream = stream::iter([Ok(ack)]).chain(changes);
        McpResponse::Stream(ResponseStream::new(stream))
    }
}

pub(crate) fn params(text: &'static str) -> RawParams {
    RawParams::parse(Some(text.into())).unwrap()
}

fn complete(text: &'static str) -> McpResponse {
    McpResponse::complete(RawJson::from_static(text))
}

fn outcome(text: &'static str) -> Event {
    Event::Outcome(Outcome::Complete(RawJson::from_static(text)))
}

fn progress(n: u32) -> Event {
    let text = format!(r#"{{"progressToken":"upstream-9","progress":{n},"message":"half"}}"#);
    Event::Notification {
        method: Method::Progress,
        params: RawParams::parse(Some(text.into())).unwrap(),
    }
}

fn streaming() -> McpResponse {
    let log = Event::Notification {
        method: Method::LogMessage,
        params: params(r#"{"level":"info","data":"x"}"#),
    };
    let events = [progress(1), log, outcome(r#"{"content":[]}"#)];
    McpResponse::Stream(ResponseStream::new(stream::iter(events.map(Ok))))
}

/// Asks the client; the result tells what it said.
fn asking(method: Method) -> McpResponse {
    let (reply, answer) = oneshot::channel();
    let ask = Event::ServerRequest(ServerRequest {
        method,
        params: RawParams::default(),
        reply,
        origin: None,
    });
    let end = answer.map(|answer| {
        let said = match answer {
            Ok(Ok(result)) => result.as_str().to_owned(),
            Ok(Err(error)) => error.raw().as_str().to_owned(),
            Err(_) => "\"nobody\"".to_owned(),
        };
        let result = format!(r#"{{"content":[],"said":{said}}}"#);
        Ok(Event::Outcome(Outcome::Complete(
            RawJson::parse(result.into()).unwrap(),
        )))
    });
    let events = stream::iter([Ok(ask)]).chain(stream::once(end));
    McpResponse::Stream(ResponseStream::new(events))
}
