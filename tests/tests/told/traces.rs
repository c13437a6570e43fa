//! Calls as spans at a collector, joined to the client's trace and the backend's.

use std::time::{Duration, Instant};

use mcp_router_tests::fixture::{Era, Fault, Fixture, Rule};
use mcp_router_tests::harness::{ModernClient, Router, RouterBuilder};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::{Value, json};

use super::receiver::{Post, Receiver};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
/// Where a collector takes traces.
const PATH: &str = "/v1/traces";

fn theirs(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn requests(posts: &[Post]) -> Vec<ExportTraceServiceRequest> {
    let decoded = posts
        .iter()
        .map(|post| ExportTraceServiceRequest::decode(post.body.clone()));
    decoded.map(|request| request.expect("OTLP")).collect()
}

/// Every span that has arrived, but for those of the harness's own looks at the backends.
fn spans(posts: &[Post]) -> Vec<Span> {
    let resources = requests(posts).into_iter().flat_map(|r| r.resource_spans);
    let scopes = resources.flat_map(|r| r.scope_spans);
    let spans = scopes.flat_map(|s| s.spans);
    spans
        .filter(|span| !span.name.ends_with(" list_backends"))
        .collect()
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => Some(text),
        _ => None,
    }
}

/// A router that tells a collector, at once.
fn traced(collector: &Receiver, file: &str) -> RouterBuilder {
    let builder = Router::builder().config(file);
    builder
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url(""))
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
}

fn backend(name: &str, at: &Fixture) -> String {
    format!(
        "  - {{ name: {name}, namespace: a, url: \"{}\" }}\n",
        at.url()
    )
}

/// A call with a secret argument, in the trace of the client.
async fn call(client: &ModernClient, flags: &str) -> Value {
    let params = json!({
        "name": "a.echo", "arguments": {"text": "s3cret"},
        "_meta": {"traceparent": theirs(flags), "tracestate": "a=1", "baggage": "b=2"},
    });
    client.request("tools/call", params).await
}

/// What the backend got in `_meta` of its only call.
fn meta(backend: &Fixture) -> Value {
    let calls = backend.log().of("tools/call");
    assert_eq!(calls.len(), 1);
    calls[0].params()["_meta"].take()
}

#[tokio::test]
async fn r27_a_traced_call_hangs_below_the_clients_span_and_the_backends_below_the_attempts() {
    for era in [Era::Modern, Era::Legacy] {
        let (collector, backend_) = (Receiver::start().await, Fixture::builder().era(era));
        let backend_ = backend_.spawn().await;
        let file = format!("backends:\n{}", backend("b", &backend_));
        let builder = traced(&collector, &file)
            .env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=k-s3cret")
            .env("OTEL_SERVICE_NAME", "front");
        let router = builder.start().await;
        router.until_healthy("b").await;
        let answer = call(&router.modern(), "01").await;
        assert!(answer["result"]["content"].is_array(), "{answer}");

        let posts = collector
            .until(PATH, "two spans", |posts| spans(posts).len() == 2)
            .await;
        assert_eq!(posts[0].headers["content-type"], "application/x-protobuf");
        assert_eq!(posts[0].headers["api-key"], "k-s3cret");
        let resources = requests(&posts).remove(0).resource_spans;
        let resource = resources[0].resource.as_ref().unwrap();
        assert_eq!(text(&resource.attributes, "service.name"), Some("front"));
        let all = spans(&posts);
        let of = |kind| all.iter().find(|span| span.kind == kind).expect("a span");
        let (call, attempt) = (of(2), of(3));
        assert_eq!(call.name, "tools/call a.echo");
        assert_eq!(
            (hex(&call.trace_id), hex(&call.parent_span_id)),
            (TRACE.into(), PARENT.into())
        );
        assert_eq!(
            (&attempt.trace_id, &attempt.parent_span_id),
            (&call.trace_id, &call.span_id)
        );
        assert!(attempt.start_time_unix_nano >= call.start_time_unix_nano);
        assert!(attempt.end_time_unix_nano <= call.end_time_unix_nano);
        for (span, key, value) in [
            (call, "mcp_router.client", "harness"),
            (call, "mcp_router.backend", "b"),
            (call, "mcp_router.outcome", "ok"),
            (attempt, "gen_ai.tool.name", "echo"),
            (attempt, "mcp_router.endpoint", &*backend_.url()),
            (attempt, "mcp_router.outcome", "ok"),
        ] {
            assert_eq!(text(&span.attributes, key), Some(value), "{key}");
        }

        let ours = format!("00-{TRACE}-{}-01", hex(&attempt.span_id));
        let meta = meta(&backend_);
        assert_eq!(meta["traceparent"], *ours, "{meta}");
        assert_eq!(
            (&meta["tracestate"], &meta["baggage"]),
            (&json!("a=1"), &json!("b=2"))
        );
        let header = backend_.log().of("tools/call")[0]
            .header("traceparent")
            .map(str::to_owned);
        assert_eq!(header, Some(ours));

        router.logs().line(TRACE).await;
        let lines = router.logs().events("call");
        let recorded = lines.iter().filter(|line| line["trace_id"] == TRACE);
        let tools: Vec<_> = recorded.map(|line| &line["tool"]).collect();
        assert_eq!(tools, ["a.echo"]);
        let exported = "mcp_router_trace_spans_total{outcome=\"exported\"}";
        assert!(router.metric(exported).await >= Some(2.0));
        let sent: Vec<u8> = posts.iter().flat_map(|post| post.body.to_vec()).collect();
        let sent = String::from_utf8_lossy(&sent).into_owned();
        assert!(
            !sent.contains("s3cret"),
            "no argument, result or header is in a span"
        );
        assert!(!router.logs().contains("s3cret"));
    }
}

#[tokio::test]
async fn every_attempt_is_a_span_that_says_how_it_ended() {
    let collector = Receiver::start().await;
    let (first, second) = (
        Fixture::builder().spawn().await,
        Fixture::builder().spawn().await,
    );
    let file = format!(
        "backends:\n{}{}",
        backend("one", &first),
        backend("two", &second)
    );
    let router = traced(&collector, &file).start().await;
    router.until_healthy("one").await;
    router.until_healthy("two").await;
    let refused = Fault::Status {
        code: 503,
        retry_after: Some(1),
        body: None,
    };
    first.set_fault(Rule::new(refused).on("tools/call"));
    let answer = router.modern().call("a.echo", json!({"text": "x"})).await;
    assert!(answer["result"]["content"].is_array(), "{answer}");
    let posts = collector
        .until(PATH, "three spans", |posts| spans(posts).len() == 3)
        .await;
    let all = spans(&posts);
    let call = all.iter().find(|span| span.kind == 2).unwrap();
    assert!(call.parent_span_id.is_empty(), "nobody else's trace");
    assert_eq!(text(&call.attributes, "mcp_router.moved_from"), Some("one"));
    assert_eq!(text(&call.attributes, "mcp_router.outcome"), Some("ok"));
    let attempts: Vec<_> = all.iter().filter(|span| span.kind == 3).collect();
    let said = |at: usize, key| text(&attempts[at].attributes, key);
    assert_eq!(said(0, "mcp_router.backend"), Some("one"));
    assert_eq!(said(0, "error.type"), Some("backend_status"));
    assert_eq!(said(0, "mcp_router.sent"), Some("no"));
    assert_eq!(said(1, "mcp_router.backend"), Some("two"));
    assert_eq!(said(1, "mcp_router.outcome"), Some("ok"));
    assert!(
        attempts
            .iter()
            .all(|span| span.parent_span_id == call.span_id)
    );
}

#[tokio::test]
async fn r27_a_call_that_is_not_recorded_passes_unchanged() {
    let (collector, backend_) = (Receiver::start().await, Fixture::builder().spawn().await);
    let file = format!("backends:\n{}", backend("b", &backend_));
    let router = traced(&collector, &file).start().await;
    router.until_healthy("b").await;
    call(&router.modern(), "00").await;
    assert_eq!(meta(&backend_)["traceparent"], *theirs("00"));
    let seen = backend_.log().of("tools/call");
    assert_eq!(seen[0].header("traceparent"), None);
    // One that is recorded comes later, and alone.
    call(&router.modern(), "01").await;
    let posts = collector
        .until(PATH, "two spans", |posts| spans(posts).len() >= 2)
        .await;
    assert_eq!(spans(&posts).len(), 2);
}

#[tokio::test]
async fn a_collector_that_is_not_there_hurts_nobody() {
    let backend_ = Fixture::builder().spawn().await;
    let file = format!("backends:\n{}", backend("b", &backend_));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let builder = Router::builder().config(&file);
    let mut router = builder
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &url)
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
        .env("OTEL_TRACES_SAMPLER", "sometimes")
        .start()
        .await;
    router.until_healthy("b").await;
    router.logs().line("OTEL_TRACES_SAMPLER is none of").await;
    for _ in 0..50 {
        let answer = call(&router.modern(), "01").await;
        assert!(answer["result"]["content"].is_array(), "{answer}");
    }
    let event = router
        .logs()
        .event("spans do not reach the trace collector")
        .await;
    assert_eq!(
        event["error"], "no connection (connection refused)",
        "{event}"
    );
    let begin = Instant::now();
    router.signal("TERM");
    let status = router.wait(Duration::from_secs(10)).await;
    assert!(status.success(), "{status}");
    assert!(
        begin.elapsed() < Duration::from_secs(4),
        "{:?}",
        begin.elapsed()
    );
}
