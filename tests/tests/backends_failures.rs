//! Backends that fail in the middle of a call: what the caller hears, how often the call ran, and
//! that nobody else notices.

use std::time::{Duration, Instant};

use mcp_router_tests::fixture::{Era, Fault, Fixture, FixtureBuilder, Rule};
use mcp_router_tests::harness::{Router, until};
use serde_json::{Value, json};

const CALL: &str = "tools/call";

/// One backend of each way to be called, and a router in front that gives a call 2 s, makes it once
/// and never loses patience: what one attempt comes to.
struct Three {
    backends: [(&'static str, Fixture); 3],
    router: Router,
}

async fn three() -> Three {
    let backends = [
        ("modern", Fixture::builder().era(Era::Modern).spawn().await),
        ("legacy", Fixture::builder().era(Era::Legacy).spawn().await),
        ("sse", Fixture::builder().http_sse().spawn().await),
    ];
    let mut file = "routing: { request_timeout_seconds: 2, retry: { max_attempts: 1 } }\n\
         backends:\n"
        .to_owned();
    for (name, fixture) in &backends {
        let url = fixture.url();
        file += &format!(
            "  - {{ name: {name}, namespace: {name}, url: \"{url}\", \
             circuit_breaker: {{ failure_threshold: 1000 }} }}\n"
        );
    }
    let router = Router::start(&file).await;
    router.until_ready().await;
    for (name, _) in &backends {
        router.until_healthy(name).await;
    }
    Three { backends, router }
}

async fn once(router: &Router, name: &str, nonce: &str) -> Value {
    let arguments = json!({"nonce": nonce});
    router
        .modern()
        .call(&format!("{name}.once"), arguments)
        .await
}

/// The reason and the fate that a failed call reports, with the sentence checked.
fn failure(name: &str, answer: &Value) -> (String, String) {
    let result = &answer["result"];
    assert_eq!(result["isError"], true, "{name}: {answer}");
    let failure = &result["_meta"]["mcp-router/failure"];
    assert_eq!(failure["backend"], name, "{answer}");
    assert_eq!(failure["retryable"], failure["sent"] == "no", "{answer}");
    let text = result["content"][0]["text"].as_str().unwrap_or_default();
    assert!(text.contains(&format!("'{name}'")), "{text}");
    let may = text.contains("may have run");
    assert_eq!(may, failure["sent"] == "unknown", "{text}");
    let member = |key: &str| failure[key].as_str().unwrap_or_default().to_owned();
    (member("reason"), member("sent"))
}

/// A fault, and the reasons that it may be told by; the fate of the call is `sent`.
struct Case {
    fault: Fault,
    reasons: &'static [&'static str],
    sent: &'static str,
    /// Whether it means the same on a stream of messages.
    sse: bool,
}

fn status(code: u16, retry_after: Option<u64>) -> Fault {
    Fault::Status {
        code,
        retry_after,
        body: None,
    }
}

fn cases() -> Vec<Case> {
    let case = |fault, reasons, sent, sse| Case {
        fault,
        reasons,
        sent,
        sse,
    };
    let lost: &[_] = &["backend_lost"];
    let invalid: &[_] = &["protocol_error"];
    let status_only: &[_] = &["backend_status"];
    vec![
        case(Fault::Close, lost, "unknown", true),
        case(Fault::Reset, lost, "unknown", true),
        case(Fault::CloseMidAnswer, lost, "unknown", true),
        case(Fault::SseCloseEarly, lost, "unknown", true),
        case(Fault::NeverAnswer, &["timeout"], "unknown", true),
        case(Fault::SseSilent, &["timeout"], "unknown", true),
        case(
            Fault::Drip { every_ms: 200 },
            &["timeout"],
            "unknown",
            false,
        ),
        case(Fault::InvalidJson, invalid, "unknown", false),
        case(Fault::TruncatedJson, invalid, "unknown", false),
        case(Fault::NotMcp, invalid, "unknown", false),
        case(Fault::Html, invalid, "unknown", false),
        case(Fault::Compressed, invalid, "unknown", false),
        case(status(500, None), status_only, "unknown", false),
        case(status(502, None), status_only, "unknown", false),
        case(status(503, None), status_only, "unknown", false),
        case(status(504, None), status_only, "unknown", false),
        case(status(503, Some(7)), status_only, "no", false),
        case(status(429, None), status_only, "no", false),
        case(status(429, Some(7)), status_only, "no", false),
        case(status(401, None), status_only, "no", false),
        case(status(403, None), status_only, "no", false),
        case(status(413, None), status_only, "no", false),
        case(status(415, None), status_only, "no", false),
    ]
}

#[tokio::test]
async fn r43_r44_f06_f08_f13_f19_f21_f22_f23_an_unsafe_call_runs_once_and_its_fate_is_told() {
    let Three { backends, router } = three().await;
    for (at, case) in cases().into_iter().enumerate() {
        for (name, fixture) in &backends {
            if *name == "sse" && !case.sse {
                continue;
            }
            router.until_healthy(name).await;
            let what = format!("{name}, {:?}", case.fault);
            let before = fixture.log().count(CALL);
            fixture.set_fault(Rule::new(case.fault.clone()).on(CALL));
            let nonce = format!("{at}-{name}");
            let answer = once(&router, name, &nonce).await;
            fixture.clear_faults();

            let (reason, sent) = failure(name, &answer);
            assert!(case.reasons.contains(&&*reason), "{what}: {answer}");
            assert_eq!(sent, case.sent, "r44: {what}: {answer}");
            let ran = fixture.log().executions(&nonce);
            if case.sent == "no" {
                assert_eq!(ran, 0, "r44: {what}");
            } else {
                assert!(ran <= 1, "r43: {what} ran {ran} times");
            }
            let seen = fixture.log().count(CALL) - before;
            assert_eq!(seen, 1, "r43: {what} was sent {seen} times");
            if let Fault::Status {
                retry_after: Some(7),
                ..
            } = case.fault
            {
                let failure = &answer["result"]["_meta"]["mcp-router/failure"];
                assert_eq!(failure["retry_after_ms"], 7000, "{answer}");
            }
        }
    }
    // Nothing of all this sticks.
    for (name, fixture) in &backends {
        router.until_healthy(name).await;
        let answer = once(&router, name, "after").await;
        assert_eq!(
            answer["result"]["content"][0]["text"], "executed 1 times",
            "{answer}"
        );
        assert_eq!(fixture.log().executions("after"), 1);
    }
}

#[tokio::test]
async fn f03_r18_a_backend_that_hangs_costs_its_callers_the_timeout_and_nobody_else_anything() {
    let Three { backends, router } = three().await;
    for (name, fixture) in &backends {
        fixture.set_fault(Rule::new(Fault::NeverAnswer).on(CALL));
        let client = router.modern();
        let start = Instant::now();
        let tool = format!("{name}.echo");
        let hanging = client.call(&tool, json!({}));
        let others = async {
            fixture.log().wait_for(CALL, 1).await;
            let mut answered = 0;
            for (other, _) in backends.iter().filter(|(other, _)| other != name) {
                let tool = format!("{other}.add");
                let answer = router.modern().call(&tool, json!({"a": 1, "b": 1})).await;
                assert_eq!(answer["result"]["content"][0]["text"], "2", "{answer}");
                let tools = router.legacy_session("2025-11-25").await.tool_names().await;
                assert!(tools.contains(&format!("{name}.echo")), "r18: {tools:?}");
                answered += 1;
            }
            (answered, start.elapsed())
        };
        let (answer, (answered, took)) = tokio::join!(hanging, others);
        let total = start.elapsed();
        assert_eq!(
            failure(name, &answer),
            ("timeout".to_owned(), "unknown".to_owned())
        );
        let text = answer["result"]["content"][0]["text"].to_string();
        assert!(text.contains("timed out after 2 s"), "{text}");
        assert_eq!(answered, 2);
        assert!(took < total, "the others waited: {took:?} of {total:?}");
        assert!(total > Duration::from_millis(1900), "{total:?}");
        assert!(total < Duration::from_secs(10), "{total:?}");
        fixture.clear_faults();
        // The call that nobody waits for any more is called off.
        let upstream = format!("{name} hears of it");
        until(&upstream, async || {
            let log = fixture.log();
            log.count("notifications/cancelled") > 0 || *name == "modern"
        })
        .await;
    }
    // Where leaving is the cancellation, nothing stays but the stream of changes: the call's is closed,
    // and what other calls used is put aside when it has been idle.
    let modern = backends[0].1.log();
    modern
        .wait("the call's stream is closed", |log| {
            log.open_connections() <= 1
        })
        .await;
}

#[tokio::test]
async fn f05_progress_extends_the_timeout_and_bytes_do_not() {
    let Three { backends, router } = three().await;
    for (name, _) in &backends {
        let call = json!({
            "name": format!("{name}.progress"), "arguments": {"n": 8, "ms": 500},
            "_meta": {"progressToken": 1},
        });
        // Four seconds in all, half a second between two signs of life; the limit is 2 s.
        let messages = router.modern().post(CALL, call).await.messages();
        let answer = messages.last().expect("an answer");
        assert_eq!(
            answer["result"]["content"][0]["text"], "done",
            "{name}: {answer}"
        );
        assert_eq!(messages.len(), 9, "{name}: {messages:?}");
    }
}

#[tokio::test]
async fn f09_f10_answers_nobody_asked_for_and_answers_given_twice_change_nothing() {
    let Three { backends, router } = three().await;
    for (name, fixture) in &backends {
        for fault in [Fault::UnknownId, Fault::AnswerTwice] {
            fixture.set_fault(Rule::new(fault.clone()).on(CALL));
            for i in 0..5 {
                let tool = format!("{name}.add");
                let answer = router.modern().call(&tool, json!({"a": i, "b": 100})).await;
                let sum = (100 + i).to_string();
                assert_eq!(
                    answer["result"]["content"][0]["text"], sum,
                    "{name} {fault:?}"
                );
            }
            fixture.clear_faults();
        }
        assert_eq!(router.backend(name).await["error_count"], 0);
    }
}

#[tokio::test]
async fn f12_r54_an_endless_answer_is_cut_at_its_limit_and_never_held() {
    let backends: [(_, FixtureBuilder); 2] = [
        ("modern", Fixture::builder().era(Era::Modern)),
        ("legacy", Fixture::builder().era(Era::Legacy)),
    ];
    for (name, builder) in backends {
        let fixture = builder.spawn().await;
        let router =
            Router::start(&mcp_router_tests::harness::config([(name, fixture.url())])).await;
        router.until_healthy(name).await;
        let before = router.usage().peak_rss;
        fixture.set_fault(Rule::new(Fault::Huge { bytes: 1 << 30 }).on(CALL));
        let answer = once(&router, name, "n").await;
        let (reason, sent) = failure(name, &answer);
        assert_eq!((&*reason, &*sent), ("too_large", "unknown"), "{answer}");
        let grown = router.usage().peak_rss - before;
        assert!(grown < 48 << 20, "{name}: grown by {} MiB", grown >> 20);
        fixture.clear_faults();
        // 15 MiB are fine.
        let answer = router
            .modern()
            .call(&format!("{name}.big"), json!({"bytes": 15 << 20}))
            .await;
        let text = answer["result"]["content"][0]["text"]
            .as_str()
            .unwrap_or_default();
        assert_eq!(text.len(), 15 << 20, "{name}");
    }
}

#[tokio::test]
async fn f34_r38_a_modern_client_that_leaves_cancels_upstream() {
    let Three { backends, router } = three().await;
    for (name, fixture) in &backends {
        let client = router.modern();
        let call = json!({"name": format!("{name}.sleep"), "arguments": {"ms": 60_000}});
        let left = {
            let request = client.prepare(CALL, call);
            tokio::spawn(async move { client.send(request).await })
        };
        fixture.log().wait_for(CALL, 1).await;
        left.abort();
        let heard =
            |log: &mcp_router_tests::fixture::RequestLog| log.abandoned() + log.cancelled() > 0;
        fixture.log().wait("the end of the call", heard).await;
    }
}
