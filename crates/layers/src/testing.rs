//! What the tests of several layers share.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use mcp_router_protocol::{Method, RawJson, RawParams};
use mcp_router_service::{
    CallError, Deadline, Event, McpRequest, McpResponse, Outcome, ResponseStream,
};
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
