use std::time::Duration;

use mcp_router_protocol::TraceContext;
use mcp_router_service::{Reason, Sent};
use tower::ServiceExt;
use tower_test::mock;

use super::*;
use crate::testing::{Collected, call, into_stream, next, outcome, ready, secs, stream};

const CALL: TraceContext = TraceContext {
    trace_id: [1; 16],
    span_id: [2; 8],
    sampled: true,
};

fn traced() -> McpRequest {
    let mut request = call(secs(30));
    request.context.trace = Some(CALL);
    request
}

/// Makes one attempt, whose answer `answer` gives, and returns its only span.
async fn span_of(
    answer: impl FnOnce(McpRequest) -> Result<McpResponse, CallError>,
) -> crate::testing::Record {
    let collected = Collected::start();
    let layer = AttemptLayer::new(Some(collected.tracer.clone()), "db", "http://db-1");
    let (service, mut backend) = mock::pair::<McpRequest, McpResponse>();
    let service = layer.layer(service);
    let running = tokio::spawn(service.oneshot(traced()));
    let (request, respond) = backend.next_request().await.unwrap();
    match answer(request) {
        Ok(answer) => respond.send_response(answer),
        Err(error) => respond.send_error(error),
    }
    // Who is given a stream reads it to its end.
    if let Ok(Ok(McpResponse::Stream(mut stream))) = running.await {
        while next(&mut stream).await.is_some() {}
    }
    collected.only().await
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_a_span_below_its_call_and_above_its_backend() {
    let mut seen = None;
    let span = span_of(|request| {
        seen = request.context.trace;
        Ok(ready())
    })
    .await;
    let seen = seen.unwrap();
    assert_eq!(span.trace_id, CALL.trace_id);
    assert_eq!(span.parent_span_id, CALL.span_id);
    assert_eq!((seen.trace_id, seen.sampled), (CALL.trace_id, true));
    assert_eq!(span.span_id, seen.span_id);
    assert_eq!(span.name, "tools/call q");
    for (key, value) in [
        ("mcp.method.name", "tools/call"),
        ("gen_ai.tool.name", "q"),
        ("mcp_router.backend", "db"),
        ("mcp_router.endpoint", "http://db-1"),
        ("mcp_router.outcome", "ok"),
    ] {
        assert_eq!(span.text(key), Some(value), "{key}");
    }
    assert!(!span.failed());
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_says_how_and_whether_it_may_have_run() {
    for (reason, sent, said) in [
        (Reason::ConnectFailed, Sent::No, "no"),
        (Reason::Timeout, Sent::Unknown, "unknown"),
        (Reason::BackendStatus, Sent::RejectedUnexecuted, "no"),
    ] {
        let span = span_of(|_| Err(CallError::new(reason, sent).status(503))).await;
        assert_eq!(span.text("error.type"), Some(reason.as_str()));
        assert_eq!(span.text("mcp_router.sent"), Some(said));
        assert!(span.failed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_fails_and_an_error_of_the_protocol_are_told_apart() {
    use mcp_router_protocol::{ErrorObject, RawJson};
    let failed = RawJson::from_static(r#"{"isError":true,"content":[]}"#);
    let span = span_of(|_| Ok(McpResponse::complete(failed))).await;
    assert_eq!(span.text("error.type"), Some("tool_error"));
    let span = span_of(|_| Ok(McpResponse::error(ErrorObject::new(-32602, "secret")))).await;
    assert_eq!(span.text("error.type"), Some("-32602"));
    assert_eq!(span.text("rpc.response.status_code"), Some("-32602"));
}

#[tokio::test(start_paused = true)]
async fn a_streamed_answer_ends_its_span_at_its_outcome() {
    let span = span_of(|_| {
        let (feed, response, _) = stream();
        feed.send(outcome()).unwrap();
        Ok(response)
    })
    .await;
    assert_eq!(span.text("mcp_router.outcome"), Some("ok"));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_given_up_says_so() {
    let collected = Collected::start();
    let layer = AttemptLayer::new(Some(collected.tracer.clone()), "db", "e");
    let (service, mut backend) = mock::pair::<McpRequest, McpResponse>();
    let running = tokio::spawn(layer.layer(service).oneshot(traced()));
    let (_, respond) = backend.next_request().await.unwrap();
    let (_feed, response, _) = stream();
    respond.send_response(response);
    drop(into_stream(running.await.unwrap().unwrap()));
    let span = collected.only().await;
    assert_eq!(span.text("mcp_router.outcome"), Some("cancelled"));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_not_traced_passes_unchanged() {
    let collected = Collected::start();
    for tracer in [None, Some(collected.tracer.clone())] {
        let layer = AttemptLayer::new(tracer, "db", "e");
        let (service, mut backend) = mock::pair::<McpRequest, McpResponse>();
        let running = tokio::spawn(layer.layer(service).oneshot(call(secs(30))));
        let (request, respond) = backend.next_request().await.unwrap();
        assert_eq!(request.context.trace, None);
        respond.send_response(ready());
        running.await.unwrap().unwrap();
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(collected.all().await.is_empty());
}
