//! What becomes of a call whose backend fails: it is made again, here or elsewhere, when that is
//! safe, and never otherwise. What is safe follows from the fault, the tool and `retry.safety`.

mod asked_to_wait;
mod matrix;
mod processes;
mod refused_here;

use std::time::{Duration, Instant};

use mcp_router_tests::fixture::{Era, Fault, Fixture, Rule};
use mcp_router_tests::harness::{Router, failure, until};
use serde_json::{Value, json};

const CALL: &str = "tools/call";
/// The default is 16 MiB.
const LONGEST: u64 = 256 << 10;

/// A file whose circuits stay closed and whose waits are short; each backend with its namespace.
/// Answers may be [`LONGEST`] bytes: longer ones are to be refused for their size, on a slow machine
/// as well, before the time of an attempt is over.
fn file(safety: &str, backends: &[(&str, &str, &Fixture)]) -> String {
    let mut file = format!(
        "server: {{ limits: {{ max_answer_bytes: {LONGEST} }} }}\n\
         routing:\n  request_timeout_seconds: 1\n  \
         retry: {{ max_attempts: 3, max_backoff_seconds: 0 }}\nbackends:\n"
    );
    let safety = match safety {
        // What is not said, too.
        "standard" => String::new(),
        other => format!("retry: {{ safety: {other} }}, "),
    };
    for (at, (name, namespace, fixture)) in backends.iter().enumerate() {
        let url = fixture.url();
        file += &format!(
            "  - {{ name: {name}, namespace: {namespace}, url: \"{url}\", priority: {at}, \
             {safety}circuit_breaker: {{ failure_threshold: 1000 }} }}\n"
        );
    }
    file
}

async fn fixture(name: &str, era: Era) -> Fixture {
    // Without a stream of changes, so that only calls tell the router how the backend is.
    let builder = Fixture::builder().name(name).era(era).list_changed(false);
    builder.standing_stream(false).spawn().await
}

/// Calls and gives the answer with the name of the fixture that gave it.
async fn call(router: &Router, tool: &str, nonce: &str) -> (Value, Option<String>) {
    let answer = router.modern().call(tool, json!({"nonce": nonce})).await;
    let by = answer["result"]["structuredContent"]["by"].as_str();
    let by = by.map(str::to_owned);
    (answer, by)
}

/// Waits until `name` serves the namespace: its rest is over and its connection is there again.
/// These calls also earn what the retries of the next case cost.
async fn served_by(router: &Router, namespace: &str, name: &str) {
    let tool = format!("{namespace}.once");
    let mut well = 0;
    until(&format!("{name} serves {namespace}"), async || {
        let (_, by) = call(router, &tool, "good").await;
        well += usize::from(by.as_deref() == Some(name));
        well >= 6
    })
    .await;
}

/// The failure report, with what must agree in it.
fn report<'a>(what: &str, answer: &'a Value, name: &str) -> &'a Value {
    let failure = failure(answer).unwrap_or_else(|| panic!("{what}: no failure in {answer}"));
    assert_eq!(failure["backend"], name, "{what}: {answer}");
    assert_eq!(failure["retryable"], failure["sent"] == "no", "{answer}");
    failure
}

#[tokio::test]
async fn f05_dripping_bytes_hold_no_attempt_and_attempts_hold_no_call() {
    let only = fixture("only", Era::Modern).await;
    let router = Router::start(&file("standard", &[("only", "s", &only)])).await;
    router.until_healthy("only").await;
    only.set_fault(Rule::new(Fault::Drip { every_ms: 100 }).on(CALL));
    for (tool, attempts) in [("s.once", 1), ("s.once_read_only", 3)] {
        let before = only.log().count(CALL);
        let start = Instant::now();
        let (answer, _) = call(&router, tool, "n").await;
        let took = start.elapsed();

        let failure = report(tool, &answer, "only");
        assert_eq!(failure["reason"], "timeout", "{answer}");
        assert_eq!(failure["sent"], "unknown", "{answer}");
        assert_eq!(only.log().count(CALL) - before, attempts, "{tool}");
        assert!(took >= Duration::from_secs(1), "{tool} took {took:?}");
        assert!(took < Duration::from_secs(12), "{tool} took {took:?}");
    }
}
