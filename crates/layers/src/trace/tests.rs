use std::io;
use std::sync::{Arc, Mutex};

use mcp_router_observe::CallEnd;
use mcp_router_protocol::{RawJson, RawParams};
use mcp_router_service::{ClientProfile, Reason, Sent};
use tower::ServiceExt;
use tower_test::mock;
use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::testing::{Backend, Collected, call, into_stream, next, outcome, ready, secs, stream};

/// What was logged while it was the subscriber of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn at(&self, level: &str) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_env_filter(level)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn has(&self, part: &str) {
        let text = self.text();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

impl io::Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn request(name: &str) -> McpRequest {
    let mut request = call(secs(30));
    let params = format!(
        r#"{{"name":{},"arguments":{{"password":"geheim"}}}}"#,
        RawJson::of(name).as_str()
    );
    request.params = RawParams::parse(Some(params.into())).unwrap();
    request.context.client = Arc::new(ClientProfile {
        info: Some(RawJson::from_static(r#"{"name":"tester","version":"1"}"#)),
        ..ClientProfile::default()
    });
    request
}

async fn run(
    request: McpRequest,
    answer: impl AsyncFnOnce(&mut Backend),
) -> Result<McpResponse, CallError> {
    let (service, mut backend) = mock::pair();
    let service = TraceLayer::new().layer(service);
    let (result, ()) = tokio::join!(service.oneshot(request), answer(&mut backend));
    result
}

#[tokio::test(start_paused = true)]
async fn a_call_is_one_line_with_names_and_latency_and_without_arguments() {
    let log = Log::default();
    let _guard = log.at("info");
    run(request("search.query"), async |backend| {
        let (request, respond) = backend.next_request().await.unwrap();
        request.context.trail.visit(&"search-1".parse().unwrap());
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        respond.send_response(ready());
    })
    .await
    .unwrap();
    for part in [
        r#""client":"tester""#,
        r#""method":"tools/call""#,
        r#""tool":"search.query""#,
        r#""backend":"search-1""#,
        r#""outcome":"ok""#,
        r#""latency_ms":1500."#,
        r#""attempts":1"#,
    ] {
        log.has(part);
    }
    assert!(!log.text().contains("geheim"));
}

#[tokio::test]
async fn a_failure_is_told_with_its_reason_and_backend() {
    let log = Log::default();
    let _guard = log.at("info");
    let failed = run(request("a.b"), async |backend| {
        let (_, respond) = backend.next_request().await.unwrap();
        let error = CallError::new(Reason::BackendLost, Sent::Unknown);
        respond.send_error(error.on(&"a-1".parse().unwrap()));
    });
    failed.await.unwrap_err();
    log.has(r#""outcome":"backend_lost""#);
    log.has(r#""backend":"a-1""#);
    log.has(r#""sent":"unknown""#);
}

#[tokio::test]
async fn a_call_that_moved_on_names_those_before() {
    let log = Log::default();
    let _guard = log.at("info");
    run(request("a.b"), async |backend| {
        let (request, respond) = backend.next_request().await.unwrap();
        for name in ["a-1", "a-2", "a-3"] {
            request.context.trail.visit(&name.parse().unwrap());
        }
        respond.send_response(ready());
    })
    .await
    .unwrap();
    log.has(r#""backend":"a-3""#);
    log.has(r#""attempts":3"#);
    log.has(r#""moved_from":"a-1,a-2""#);
}

#[tokio::test]
async fn a_stream_is_told_at_its_outcome_and_not_before() {
    let log = Log::default();
    let _guard = log.at("info");
    let (feed, streamed, _alive) = stream();
    let answer = run(request("a.b"), async |backend| {
        let (_, respond) = backend.next_request().await.unwrap();
        respond.send_response(streamed);
    });
    let mut events = into_stream(answer.await.unwrap());
    assert_eq!(log.text(), "");
    feed.send(outcome()).unwrap();
    next(&mut events).await.unwrap().unwrap();
    drop(events);
    log.has(r#""outcome":"ok""#);
}

#[tokio::test]
async fn a_call_that_is_given_up_is_told_as_cancelled() {
    let log = Log::default();
    let _guard = log.at("info");
    let (_feed, streamed, _alive) = stream();
    let answer = run(request("a.b"), async |backend| {
        let (_, respond) = backend.next_request().await.unwrap();
        respond.send_response(streamed);
    });
    drop(answer.await.unwrap());
    log.has(r#""outcome":"cancelled""#);
}

#[tokio::test]
async fn b36_a_hostile_name_stays_one_line() {
    let log = Log::default();
    let _guard = log.at("info");
    run(request("a\n\u{1b}[31mb\u{202e}"), async |backend| {
        let (_, respond) = backend.next_request().await.unwrap();
        respond.send_response(ready());
    })
    .await
    .unwrap();
    log.has(r"a\\u{a}\\u{1b}[31mb\\u{202e}");
}

#[tokio::test]
async fn nothing_is_read_when_nobody_listens() {
    let log = Log::default();
    let _guard = log.at("warn");
    run(request("a.b"), async |backend| {
        let (request, respond) = backend.next_request().await.unwrap();
        request.context.trail.visit(&"a-1".parse().unwrap());
        assert_eq!(request.context.trail.last(), (None, 0));
        respond.send_response(ready());
    })
    .await
    .unwrap();
    assert_eq!(log.text(), "");
}

/// Keeps the words of what it is told.
#[derive(Clone, Debug, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl CallSink for Told {
    fn ended(&self, end: &CallEnd<'_>) {
        let visit = |v: &mcp_router_observe::call::Visit<'_>| {
            let mark = v.mark.and_then(|mark| mark.downcast_ref::<u8>());
            format!("{}*{}{}", v.backend, v.attempts, mark.unwrap_or(&0))
        };
        let mut visits: Vec<_> = end.earlier.iter().map(visit).collect();
        visits.extend(end.last.as_ref().map(visit));
        let (tool, backend) = (end.tool.unwrap_or("-"), end.backend.unwrap_or("-"));
        self.0.lock().unwrap().push(format!(
            "{} {tool} {backend} {} {} {:?} {}",
            end.method,
            end.outcome,
            end.attempts,
            end.duration,
            visits.join(",")
        ));
    }
}

impl Told {
    async fn of(
        request: McpRequest,
        answer: impl AsyncFnOnce(&mut Backend),
    ) -> (Result<McpResponse, CallError>, Vec<String>) {
        let told = Self::default();
        let (service, mut backend) = mock::pair();
        let layer = TraceLayer::new().sinks([Arc::new(told.clone()) as Arc<dyn CallSink>]);
        let service = layer.layer(service);
        let (result, ()) = tokio::join!(service.oneshot(request), answer(&mut backend));
        let told = told.0.lock().unwrap().clone();
        (result, told)
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_is_told_of_each_call_once_with_all_its_visits_though_nobody_reads_the_log() {
    let log = Log::default();
    let _guard = log.at("off");
    let (result, told) = Told::of(request("a.b"), async |backend| {
        let (request, respond) = backend.next_request().await.unwrap();
        let trail = &request.context.trail;
        trail.visit_marked(&"a-1".parse().unwrap(), || Some(Arc::new(7_u8)));
        trail.again();
        trail.visit(&"a-2".parse().unwrap());
        tokio::time::sleep(secs(2)).await;
        respond.send_response(ready());
    })
    .await;
    result.unwrap();
    assert_eq!(told, ["tools/call a.b a-2 ok 3 2s a-1*27,a-2*10"]);
    assert_eq!(log.text(), "");
}

#[tokio::test(start_paused = true)]
async fn every_ending_has_its_word() {
    let result = |text| McpResponse::complete(RawJson::from_static(text));
    let error = mcp_router_protocol::ErrorObject::new(-32602, "no");
    let asked = Outcome::InputRequired(RawJson::from_static("{}").into());
    let answers = [
        (result(r#"{"content":[]}"#), "ok"),
        (result(r#"{"content":[],"isError":true}"#), "tool_error"),
        (McpResponse::error(error), "error"),
        (McpResponse::Ready(asked), "input_required"),
    ];
    for (answer, word) in answers {
        let (_, told) = Told::of(request("a.b"), async |backend| {
            backend
                .next_request()
                .await
                .unwrap()
                .1
                .send_response(answer);
        })
        .await;
        assert_eq!(told, [format!("tools/call a.b - {word} 0 0ns ")]);
    }
    for reason in Reason::ALL {
        let (_, told) = Told::of(request("a.b"), async |backend| {
            let error = CallError::new(reason, Sent::No);
            backend.next_request().await.unwrap().1.send_error(error);
        })
        .await;
        assert_eq!(told, [format!("tools/call a.b - {reason} 0 0ns ")]);
    }
}

#[tokio::test]
async fn f46_a_call_in_which_somebody_panics_is_told_as_ours() {
    use std::panic::AssertUnwindSafe;

    use futures::FutureExt;
    let told = Told::default();
    let layer = TraceLayer::new().sinks([Arc::new(told.clone()) as Arc<dyn CallSink>]);
    let panics = tower::service_fn(|_: McpRequest| async {
        tokio::task::yield_now().await;
        panic!("on purpose");
        #[expect(unreachable_code, reason = "says what it would be")]
        Ok::<_, CallError>(ready())
    });
    let call = layer.layer(panics).oneshot(request("a.b"));
    let mut call = Box::pin(AssertUnwindSafe(call).catch_unwind());
    call.as_mut().await.unwrap_err();
    drop(call);
    let told = told.0.lock().unwrap().clone();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("tools/call a.b - internal 0"),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_sink_hears_nothing_of_lists() {
    let mut list = request("x");
    list.method = mcp_router_protocol::Method::ToolsList;
    let (_, told) = Told::of(list, async |backend| {
        backend
            .next_request()
            .await
            .unwrap()
            .1
            .send_response(ready());
    })
    .await;
    assert!(told.is_empty(), "{told:?}");
}

#[tokio::test]
async fn lists_are_told_at_debug() {
    let log = Log::default();
    let _guard = log.at("debug");
    let mut list = request("x");
    list.method = mcp_router_protocol::Method::ToolsList;
    list.params = RawParams::default();
    run(list, async |backend| {
        let (_, respond) = backend.next_request().await.unwrap();
        respond.send_response(ready());
    })
    .await
    .unwrap();
    log.has(r#""level":"DEBUG""#);
    log.has(r#""method":"tools/list""#);
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks_exact(2);
    let text = pairs.map(|pair| std::str::from_utf8(pair).unwrap());
    text.map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_recorded_joins_its_clients_trace_and_says_how_it_ended() {
    const THEIRS: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let log = Log::default();
    let _guard = log.at("info");
    let collected = Collected::start();
    let layer = TraceLayer::new().tracer(Some(collected.tracer.clone()));
    let (service, mut backend) = mock::pair::<McpRequest, McpResponse>();
    let meta = format!(r#"{{"name":"q","_meta":{{"traceparent":"{THEIRS}"}}}}"#);
    let mut request = call(secs(30));
    request.params = RawParams::parse(Some(meta.into())).unwrap();
    let running = tokio::spawn(layer.layer(service).oneshot(request));
    let (request, respond) = backend.next_request().await.unwrap();
    let below = request.context.trace.unwrap();
    let trail = request.context.trail.clone();
    trail.visit(&"one".parse().unwrap());
    trail.visit(&"two".parse().unwrap());
    let error = CallError::new(Reason::Timeout, Sent::Unknown);
    respond.send_error(error);
    running.await.unwrap().unwrap_err();
    let span = collected.only().await;
    assert_eq!(span.parent_span_id, bytes(&THEIRS[36..52]));
    assert_eq!(span.trace_id, bytes(&THEIRS[3..35]));
    assert_eq!(
        (&span.span_id[..], &span.trace_id[..]),
        (&below.span_id[..], &below.trace_id[..])
    );
    for (key, value) in [
        ("error.type", "timeout"),
        ("mcp_router.backend", "two"),
        ("mcp_router.moved_from", "one"),
        ("mcp_router.sent", "unknown"),
    ] {
        assert_eq!(span.text(key), Some(value), "{key}");
    }
    log.has(r#""trace_id":"4bf92f3577b34da6a3ce929d0e0e4736""#);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_not_recorded_passes_unchanged() {
    let collected = Collected::start();
    let layer = TraceLayer::new().tracer(Some(collected.tracer.clone()));
    let theirs = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    let meta = format!(r#"{{"name":"q","_meta":{{"traceparent":"{theirs}"}}}}"#);
    let mut unsampled = call(secs(30));
    unsampled.params = RawParams::parse(Some(meta.into())).unwrap();
    let mut list = call(secs(30));
    list.method = mcp_router_protocol::Method::ToolsList;
    for request in [unsampled, list] {
        let (service, mut backend) = mock::pair::<McpRequest, McpResponse>();
        let running = tokio::spawn(layer.layer(service).oneshot(request));
        let (request, respond) = backend.next_request().await.unwrap();
        assert_eq!(request.context.trace, None);
        respond.send_response(ready());
        running.await.unwrap().unwrap();
    }
    assert!(collected.all().await.is_empty());
}
