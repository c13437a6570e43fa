//! A backend that keeps failing is left alone, exactly as configured.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use mcp_router_tests::fixture::{Era, Fault, Fixture, Rule};
use mcp_router_tests::harness::{
    ChildLog, ModernClient, Router, child_entry, failure, text, until,
};
use serde_json::{Value, json};

const CALL: &str = "tools/call";

/// One backend `a` that only calls say anything about, with these numbers of its circuit breaker.
async fn start(breaker: &str) -> (Fixture, Router) {
    let fixture = Fixture::builder().era(Era::Modern).list_changed(false);
    let fixture = fixture.spawn().await;
    let file = format!(
        "routing: {{ request_timeout_seconds: 20, retry: {{ max_attempts: 1 }} }}\n\
         backends:\n  - {{ name: a, namespace: a, url: \"{}\", \
         health_check: {{ enabled: false }}, circuit_breaker: {{ {breaker} }} }}\n",
        fixture.url()
    );
    let router = Router::start(&file).await;
    router.until_healthy("a").await;
    (fixture, router)
}

async fn state(router: &Router) -> Value {
    router.backend("a").await["circuit_state"].clone()
}

/// A quick call, which succeeds if it reaches a backend that is well.
async fn call(client: &ModernClient) -> Value {
    client.call("a.echo", json!({"text": "well"})).await
}

fn reason(answer: &Value) -> Option<&str> {
    failure(answer)?["reason"].as_str()
}

/// Opens a circuit with a threshold of three, and says when it was open.
async fn open(fixture: &Fixture, router: &Router) -> Instant {
    let client = router.modern();
    fixture.set_fault(Rule::new(Fault::status(500)).on(CALL));
    for failures in 1..=3 {
        assert_eq!(
            state(router).await,
            "CLOSED",
            "after {} failures",
            failures - 1
        );
        let answer = call(&client).await;
        assert_eq!(reason(&answer), Some("backend_status"), "{answer}");
        let backend = router.backend("a").await;
        assert_eq!(backend["error_count"], failures, "{backend}");
    }
    assert_eq!(state(router).await, "OPEN");
    fixture.clear_faults();
    Instant::now()
}

/// Calls until one gets past the open circuit; what it got.
async fn until_tried(client: &ModernClient) -> Value {
    let start = Instant::now();
    loop {
        let answer = call(client).await;
        if reason(&answer) != Some("circuit_open") {
            return answer;
        }
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "never tried: {answer}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn i8_an_open_circuit_lets_nothing_through_and_reopens_at_one_failure() {
    let (fixture, router) =
        start("failure_threshold: 3, timeout_seconds: 5, half_open_attempts: 2").await;
    let client = router.modern();
    let opened = open(&fixture, &router).await;
    let reached = fixture.log().count(CALL);
    let refused = join_all((0..20).map(|_| call(&client))).await;
    // Had that taken longer than the circuit is open, it would say nothing.
    assert!(
        opened.elapsed() < Duration::from_secs(5),
        "{:?}",
        opened.elapsed()
    );
    for answer in &refused {
        let failure = failure(answer).unwrap_or_else(|| panic!("let through: {answer}"));
        assert_eq!(failure["reason"], "circuit_open", "{answer}");
        assert_eq!(
            (&failure["sent"], &failure["retryable"]),
            (&json!("no"), &json!(true))
        );
        let next = failure["retry_after_ms"].as_u64().unwrap_or(0);
        assert!((1..=5000).contains(&next), "{answer}");
        assert!(text(answer).contains("next trial in"), "{answer}");
    }
    assert_eq!(fixture.log().count(CALL), reached);

    // The first trial fails: open again, for as long as before.
    fixture.set_fault(Rule::new(Fault::status(500)).on(CALL).times(1));
    let answer = until_tried(&client).await;
    assert_eq!(reason(&answer), Some("backend_status"), "{answer}");
    assert!(
        opened.elapsed() >= Duration::from_millis(4900),
        "{:?}",
        opened.elapsed()
    );
    let again = Instant::now();
    assert_eq!(state(&router).await, "OPEN");
    assert_eq!(fixture.log().count(CALL), reached + 1);

    // Two successes close it.
    let answer = until_tried(&client).await;
    assert_eq!(text(&answer), "well", "{answer}");
    assert!(
        again.elapsed() >= Duration::from_millis(4800),
        "{:?}",
        again.elapsed()
    );
    assert_eq!(state(&router).await, "HALF_OPEN");
    assert_eq!(text(&call(&client).await), "well");
    let backend = router.backend("a").await;
    assert_eq!(backend["circuit_state"], "CLOSED", "{backend}");
    assert_eq!(
        (&backend["error_count"], &backend["healthy"]),
        (&json!(0), &json!(true))
    );
}

#[tokio::test]
async fn i8_a_half_open_circuit_has_as_many_trials_as_told_also_when_callers_leave() {
    let (fixture, router) =
        start("failure_threshold: 3, timeout_seconds: 1, half_open_attempts: 2").await;
    open(&fixture, &router).await;
    let reached = fixture.log().count(CALL);
    // Each round twenty callers come, of whom two are let through and hang until all leave.
    for round in 1..=4 {
        let enough = Arc::new(AtomicBool::new(false));
        let callers: Vec<_> = (0..20)
            .map(|_| {
                let (client, enough) = (router.modern(), enough.clone());
                tokio::spawn(async move {
                    while !enough.load(Ordering::Relaxed) {
                        let answer = client.call("a.sleep", json!({"ms": 60_000})).await;
                        assert_eq!(reason(&answer), Some("circuit_open"), "{answer}");
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                })
            })
            .collect();
        let expected = reached + 2 * round;
        fixture.log().wait_for(CALL, expected).await;
        assert_eq!(state(&router).await, "HALF_OPEN");
        // The others ask again and again meanwhile.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(
            fixture.log().count(CALL),
            expected,
            "more trials than allowed"
        );
        // Those who were refused end first: one of them could take the slot of a trial that left.
        enough.store(true, Ordering::Relaxed);
        until("only the trials are left", async || {
            callers.iter().filter(|c| !c.is_finished()).count() == 2
        })
        .await;
        for caller in callers {
            caller.abort();
            let ended = caller.await;
            assert!(
                ended.is_ok() || ended.is_err_and(|e| e.is_cancelled()),
                "a caller met something else"
            );
        }
        let left = 2 * round as u64;
        let log = fixture.log();
        log.wait("the end of both trials", |log| log.abandoned() >= left)
            .await;
    }
    let client = router.modern();
    until("it is closed", async || {
        call(&client).await;
        state(&router).await == "CLOSED"
    })
    .await;
}

#[tokio::test]
async fn only_what_is_the_backends_failure_counts() {
    let (fixture, router) = start("failure_threshold: 1000").await;
    let client = router.modern();
    let status = |code, retry_after| Fault::Status {
        code,
        retry_after,
        body: None,
    };
    let counts = [
        Fault::Close,
        Fault::Reset,
        Fault::CloseMidAnswer,
        Fault::SseCloseEarly,
        Fault::InvalidJson,
        Fault::TruncatedJson,
        Fault::NotMcp,
        Fault::Html,
        Fault::Compressed,
        status(500, None),
        status(502, None),
        status(503, None),
        status(504, None),
    ];
    let neutral = [
        status(400, None),
        status(401, None),
        status(403, None),
        status(404, None),
        status(413, None),
        status(429, None),
        status(429, Some(1)),
    ];
    let counts = counts.into_iter().map(|fault| (fault, 1));
    let neutral = neutral.into_iter().map(|fault| (fault, 0));
    for (fault, expected) in counts.chain(neutral) {
        until("a call succeeds", async || {
            text(&call(&client).await) == "well"
        })
        .await;
        assert_eq!(
            router.backend("a").await["error_count"],
            0,
            "a success ends a run"
        );
        fixture.set_fault(Rule::new(fault.clone()).on(CALL));
        let answer = call(&client).await;
        fixture.clear_faults();
        assert!(failure(&answer).is_some(), "{fault:?}: {answer}");
        let count = &router.backend("a").await["error_count"];
        assert_eq!(count, expected, "{fault:?}: {answer}");
    }
    // Errors about the request, errors of the tool, and callers that leave.
    until("a call succeeds", async || {
        text(&call(&client).await) == "well"
    })
    .await;
    assert_eq!(
        client.call("a.fail", json!({})).await["result"]["isError"],
        true
    );
    let unknown = json!({"name": "a.greet2", "arguments": {}});
    assert!(client.request("prompts/get", unknown).await["error"].is_object());
    let leaving = client.call("a.sleep", json!({"ms": 60_000}));
    assert!(
        tokio::time::timeout(Duration::from_millis(300), leaving)
            .await
            .is_err()
    );
    fixture
        .log()
        .wait("the end of the call", |log| log.abandoned() > 0)
        .await;
    assert_eq!(router.backend("a").await["error_count"], 0);
}

#[tokio::test]
async fn f27_the_circuit_of_a_child_that_crashes_in_a_loop_opens() {
    let log = ChildLog::new();
    let path = log.path();
    let args = ["--habit", "exit-at-start", "--log-file", &path];
    let odd = child_entry("a", &args).replace(
        "command:",
        "circuit_breaker: { failure_threshold: 3, timeout_seconds: 600 }, command:",
    );
    let router = Router::start(&format!("backends:\n{odd}{}", child_entry("well", &[]))).await;
    until("its circuit is open", async || {
        state(&router).await == "OPEN"
    })
    .await;
    let answer = call(&router.modern()).await;
    assert_eq!(
        failure(&answer).map(|f| &f["sent"]),
        Some(&json!("no")),
        "{answer}"
    );
    let backend = router.backend("a").await;
    assert_eq!(backend["healthy"], false, "{backend}");
    assert!(
        log.events("started").len() <= 8,
        "{:?}",
        log.pids("started")
    );
    let answer = router
        .modern()
        .call("well.echo", json!({"text": "x"}))
        .await;
    assert_eq!(text(&answer), "x", "{answer}");
}
