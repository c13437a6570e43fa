use std::sync::Mutex;
use std::time::Duration;

use http::{Request, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span as Record;
use prost::Message;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::*;

const S: Duration = Duration::from_secs(1);

/// A collector that answers as told, then with 200, and shows what it got.
struct Fake {
    requests: mpsc::UnboundedReceiver<Request<bytes::Bytes>>,
    collector: Collector,
}

fn fake(answers: Vec<Result<Reply, String>>) -> Fake {
    let (tell, requests) = mpsc::unbounded_channel();
    let answers = Arc::new(Mutex::new(answers.into_iter()));
    let collector = Collector::new(move |request| {
        let _ = tell.send(request);
        let next = answers.lock().unwrap().next();
        async move { next.unwrap_or_else(|| Ok(status(200))) }
    });
    Fake {
        requests,
        collector,
    }
}

fn status(status: u16) -> Reply {
    Reply {
        status: StatusCode::from_u16(status).unwrap(),
        retry_after: None,
        body: bytes::Bytes::new(),
    }
}

fn settings() -> TraceSettings {
    TraceSettings::new("http://collector/v1/traces".parse().unwrap())
}

fn spans(request: Request<bytes::Bytes>) -> Vec<Record> {
    let request = ExportTraceServiceRequest::decode(request.into_body()).unwrap();
    let resources = request.resource_spans.into_iter();
    resources
        .flat_map(|r| r.scope_spans)
        .flat_map(|s| s.spans)
        .collect()
}

fn call(tracer: &Tracer) -> Span {
    tracer.call(None, || "call".to_owned()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn spans_go_to_the_collector_as_one_batch_after_the_delay() {
    let mut fake = fake(Vec::new());
    let mut settings = settings();
    settings.headers.insert("api-key", "k".parse().unwrap());
    let (tracer, _exporter) = Tracer::start(settings, fake.collector);
    let begin = Instant::now();
    let mut first = call(&tracer);
    first.set("mcp.method.name", "tools/call");
    first.set_number("n", 3);
    first.fail("timeout");
    let ids = first.ids();
    let below = tracer.attempt(ids, "attempt".to_owned());
    drop(below);
    drop(first);
    let request = fake.requests.recv().await.unwrap();
    assert_eq!(begin.elapsed(), 5 * S);
    assert_eq!(request.uri(), "http://collector/v1/traces");
    assert_eq!(request.headers()["content-type"], "application/x-protobuf");
    assert_eq!(request.headers()["api-key"], "k");
    let [below, first] = &spans(request)[..] else {
        panic!("two spans in one batch")
    };
    assert_eq!(below.trace_id, ids.trace_id);
    assert_eq!(below.parent_span_id, ids.span_id);
    assert_eq!((below.kind, first.kind), (3, 2));
    assert!(first.parent_span_id.is_empty());
    assert!(first.end_time_unix_nano >= first.start_time_unix_nano);
    assert_eq!(first.status.as_ref().map(|s| s.code), Some(2));
    let value = first.attributes[0].value.as_ref().unwrap();
    let method = Value::StringValue("tools/call".to_owned());
    assert_eq!(value.value, Some(method));
    sleep(S).await;
    assert_eq!(tracer.counts().exported, 2);
}

#[tokio::test(start_paused = true)]
async fn the_trace_of_a_client_is_joined_and_its_decision_followed() {
    let mut fake = fake(Vec::new());
    let (tracer, exporter) = Tracer::start(settings(), fake.collector);
    let ids = SpanIds {
        trace_id: [5; 16],
        span_id: [6; 8],
    };
    let parent = |sampled| Some(Parent { ids, sampled });
    let unasked = || -> SpanName { panic!("nobody needs its name") };
    assert!(tracer.call(parent(false), unasked).is_none());
    drop(tracer.call(parent(true), || "call".to_owned()));
    exporter.close(S).await;
    let [span] = &spans(fake.requests.recv().await.unwrap())[..] else {
        panic!("one span")
    };
    assert_eq!(span.trace_id, ids.trace_id);
    assert_eq!(span.parent_span_id, ids.span_id);
    assert_ne!(span.span_id, ids.span_id);
    assert_eq!(span.flags, 0x301, "sampled, with a parent elsewhere");
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_hangs_holds_nobody_up_and_costs_what_the_queue_holds() {
    let (tell, mut asked) = mpsc::unbounded_channel();
    let hanging = Collector::new(move |request| {
        let _ = tell.send(request);
        std::future::pending()
    });
    let (tracer, exporter) = Tracer::start(settings(), hanging);
    drop(call(&tracer));
    asked.recv().await.unwrap();
    let begin = Instant::now();
    for _ in 0..10_000 {
        drop(call(&tracer));
    }
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert_eq!(tracer.counts().dropped, 10_000 - 2048);
    // Four attempts of 10 s with waits of 1, 2 and 4 s: then it has lost the first batch.
    sleep(50 * S).await;
    assert_eq!(tracer.counts().failed, 1);
    let begin = Instant::now();
    exporter.close(2 * S).await;
    assert_eq!(begin.elapsed(), 2 * S);
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_sent_again_and_what_may_not_is_counted() {
    let again = Reply {
        retry_after: Some(7 * S),
        ..status(503)
    };
    let refused = Err("connection refused".to_owned());
    let mut fake = fake(vec![refused, Ok(again), Ok(status(200)), Ok(status(401))]);
    let (tracer, _exporter) = Tracer::start(settings(), fake.collector);
    let begin = Instant::now();
    drop(call(&tracer));
    let mut at = Vec::new();
    for _ in 0..3 {
        fake.requests.recv().await.unwrap();
        at.push(begin.elapsed().as_secs());
    }
    assert_eq!(at, [5, 6, 13]);
    sleep(S).await;
    assert_eq!(tracer.counts().exported, 1);
    drop(call(&tracer));
    fake.requests.recv().await.unwrap();
    sleep(S).await;
    let counts = tracer.counts();
    assert_eq!((counts.exported, counts.failed), (1, 1));
    let more = timeout(60 * S, fake.requests.recv()).await;
    assert!(more.is_err(), "401 is not asked again");
}

#[tokio::test(start_paused = true)]
async fn at_the_end_everything_that_waits_is_sent_at_once() {
    let mut fake = fake(Vec::new());
    let (tracer, exporter) = Tracer::start(settings(), fake.collector);
    for _ in 0..700 {
        drop(call(&tracer));
    }
    let begin = Instant::now();
    exporter.close(2 * S).await;
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert_eq!(tracer.counts().exported, 700);
    assert_eq!(spans(fake.requests.recv().await.unwrap()).len(), 512);
    assert_eq!(spans(fake.requests.recv().await.unwrap()).len(), 188);
}

#[tokio::test(start_paused = true)]
async fn spans_that_the_collector_refuses_are_counted() {
    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceResponse,
    };
    let partial = ExportTracePartialSuccess {
        rejected_spans: 1,
        error_message: "no".to_owned(),
    };
    let answer = ExportTraceServiceResponse {
        partial_success: Some(partial),
    };
    let reply = Reply {
        body: answer.encode_to_vec().into(),
        ..status(200)
    };
    let fake = fake(vec![Ok(reply)]);
    let (tracer, exporter) = Tracer::start(settings(), fake.collector);
    drop((call(&tracer), call(&tracer)));
    exporter.close(S).await;
    let counts = tracer.counts();
    assert_eq!((counts.exported, counts.failed, counts.dropped), (1, 1, 0));
}
