//! What the tests of several layers share.

use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use mcp_router_observe::traces::{Collector, Exporter, Reply, TraceSettings, Tracer};
use mcp_router_protocol::{Method, RawJson, RawParams};
use mcp_router_service::{
    CallError, Deadline, Event, McpRequest, McpResponse, Outcome, ResponseStream,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1;
use prost::Message;
use tokio::sync::mpsc;
use tower_test::mock;

pub(crate) type Mock = mock::Mock<McpRequest, McpResponse>;
pub(crate) type Backend = mock::Handle<McpRequest, McpResponse>;
/// What a test puts into a stream; dropping it ends the stream.
pub(crate) type Feed = mpsc::UnboundedSender<Result<Event, CallError>>;

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A call of tool `q` that must have ended `deadline` from now.
pub(crate) fn call(deadline: Duration) -> McpRequest {
    let params = RawParams::parse(Some(r#"{"name":"q","arguments":{}}"#.into())).unwrap();
    let mut request = McpRequest::new(Method::ToolsCall, params);
    request.context.deadline = Deadline::after(deadline);
    request
}

pub(crate) fn ready() -> McpResponse {
    McpResponse::complete(RawJson::from_static("{}"))
}

pub(crate) fn outcome() -> Result<Event, CallError> {
    Ok(Event::Outcome(Outcome::Complete(RawJson::from_static(
        "{}",
    ))))
}

pub(crate) fn notification(method: Method) -> Result<Event, CallError> {
    Ok(Event::Notification {
        method,
        params: RawParams::default(),
    })
}

/// A stream that a test feeds, and a flag that falls to one owner when it is dropped.
pub(crate) fn stream() -> (Feed, McpResponse, Arc<()>) {
    let (feed, mut events) = mpsc::unbounded_channel();
    let alive = Arc::new(());
    let held = alive.clone();
    let stream = futures::stream::poll_fn(move |cx| {
        let _held = &held;
        events.poll_recv(cx)
    });
    (
        feed,
        McpResponse::Stream(ResponseStream::new(stream)),
        alive,
    )
}

pub(crate) fn into_stream(response: McpResponse) -> ResponseStream {
    match response {
        McpResponse::Stream(stream) => stream,
        McpResponse::Ready(_) => panic!("a stream was expected"),
    }
}

/// The next event, which must be there without waiting for time to pass.
pub(crate) async fn next(stream: &mut ResponseStream) -> Option<Result<Event, CallError>> {
    stream.next().await
}

/// Spans as a collector gets them.
pub(crate) struct Collected {
    pub(crate) tracer: Tracer,
    exporter: Exporter,
    batches: Mutex<mpsc::UnboundedReceiver<Bytes>>,
}

impl Collected {
    pub(crate) fn start() -> Self {
        let (tell, batches) = mpsc::unbounded_channel();
        let collector = Collector::new(move |request: http::Request<Bytes>| {
            let told = tell.send(request.into_body());
            async move {
                told.map_err(|e| e.to_string())?;
                Ok(Reply {
                    status: http::StatusCode::OK,
                    retry_after: None,
                    body: Bytes::new(),
                })
            }
        });
        let settings = TraceSettings::new(http::Uri::from_static("http://collector/"));
        let (tracer, exporter) = Tracer::start(settings, collector);
        Self {
            tracer,
            exporter,
            batches: Mutex::new(batches),
        }
    }

    /// Every span that has ended.
    pub(crate) async fn all(&self) -> Vec<Record> {
        self.exporter.close(secs(60)).await;
        let mut batches = self.batches.lock().unwrap();
        let mut all = Vec::new();
        while let Ok(batch) = batches.try_recv() {
            let request = ExportTraceServiceRequest::decode(batch).unwrap();
            let resources = request.resource_spans.into_iter();
            let scopes = resources.flat_map(|r| r.scope_spans);
            all.extend(scopes.flat_map(|s| s.spans).map(Record));
        }
        all
    }

    /// The only one.
    pub(crate) async fn only(&self) -> Record {
        let mut all = self.all().await;
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }
}

/// One span as a collector gets it.
#[derive(Debug)]
pub(crate) struct Record(v1::Span);

impl Deref for Record {
    type Target = v1::Span;

    fn deref(&self) -> &v1::Span {
        &self.0
    }
}

impl Record {
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        let found = self.0.attributes.iter().find(|a| a.key == key)?;
        match found.value.as_ref()?.value.as_ref()? {
            Value::StringValue(text) => Some(text),
            other => panic!("{other:?} is no text"),
        }
    }

    pub(crate) fn failed(&self) -> bool {
        self.0
            .status
            .as_ref()
            .is_some_and(|status| status.code == 2)
    }
}
