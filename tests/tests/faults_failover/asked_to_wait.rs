//! Backends that say when to come back.

use std::time::{Duration, Instant};

use mcp_router_tests::fixture::{Era, Fault, Rule};
use mcp_router_tests::harness::Router;

use super::{CALL, call, file, fixture, report, served_by};

/// Refuses, and says for how many seconds.
fn refusal(code: u16, seconds: u64) -> Rule {
    let fault = Fault::Status {
        code,
        retry_after: Some(seconds),
        body: None,
    };
    Rule::new(fault).on(CALL)
}

#[tokio::test]
async fn f21_f22_a_backend_that_asks_for_more_time_than_there_is_is_not_waited_for() {
    let only = fixture("only", Era::Modern).await;
    let router = Router::start(&file("standard", &[("only", "s", &only)])).await;
    router.until_healthy("only").await;
    for (code, tool) in [(503, "s.once"), (429, "s.once"), (503, "s.once_read_only")] {
        let before = only.log().count(CALL);
        only.set_fault(refusal(code, 50));
        let start = Instant::now();
        let (answer, _) = call(&router, tool, "n").await;
        only.clear_faults();

        let took = start.elapsed();
        assert!(
            took < Duration::from_secs(20),
            "{code} {tool} took {took:?}"
        );
        let failure = report(tool, &answer, "only");
        assert_eq!(failure["sent"], "no", "{answer}");
        assert_eq!(failure["retry_after_ms"], 50_000, "{answer}");
        assert_eq!(only.log().count(CALL) - before, 1, "{code} {tool}");
        // It comes last from now on, and is still asked when there is nobody else.
        let (answer, by) = call(&router, "s.once", &format!("{code} {tool}")).await;
        assert_eq!(by.as_deref(), Some("only"), "{answer}");
    }
    assert_eq!(only.log().executions("n"), 0);
}

#[tokio::test]
async fn f21_a_backend_that_asks_to_be_left_alone_comes_last_until_its_time_is_over() {
    let first = fixture("first", Era::Modern).await;
    let second = fixture("second", Era::Modern).await;
    let file = file(
        "standard",
        &[("first", "s", &first), ("second", "s", &second)],
    );
    let router = Router::start(&file).await;
    router.until_healthy("first").await;
    router.until_healthy("second").await;
    served_by(&router, "s", "first").await;
    first.set_fault(refusal(503, 4).times(1));
    let start = Instant::now();
    let (answer, by) = call(&router, "s.once", "n").await;
    assert_eq!(by.as_deref(), Some("second"), "{answer}");
    let took = start.elapsed();
    assert!(
        took < Duration::from_secs(4),
        "waited {took:?} while another could serve"
    );
    let calls = first.log().count(CALL);
    loop {
        let (answer, by) = call(&router, "s.once", "later").await;
        if by.as_deref() == Some("first") {
            break;
        }
        assert_eq!(by.as_deref(), Some("second"), "{answer}");
        assert_eq!(first.log().count(CALL), calls, "asked before its time");
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "never asked again"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(
        start.elapsed() >= Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
}
