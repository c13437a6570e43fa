//! Each fault × each kind of tool × each `retry.safety`, with and without another backend.

use std::time::{Duration, Instant};

use mcp_router_tests::fixture::{Era, Fault, Rule};
use mcp_router_tests::harness::Router;

use super::{CALL, LONGEST, call, file, fixture, report, served_by};

/// What a fault proves about a call that met it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Proof {
    /// Refused without being run.
    Refused,
    /// Nothing: it may have run.
    Nothing,
    /// That the request itself is wrong, wherever it is sent.
    Final,
}

fn status(code: u16, retry_after: Option<u64>) -> Fault {
    Fault::Status {
        code,
        retry_after,
        body: None,
    }
}

/// F19, F21, F22, F23 and all other ways to lose an answer.
fn faults() -> Vec<(Fault, Proof)> {
    let html = Fault::Status {
        code: 502,
        retry_after: None,
        body: Some("<html><h1>Bad gateway</h1></html>".to_owned()),
    };
    let lost = [
        Fault::Close,
        Fault::Reset,
        Fault::CloseMidAnswer,
        Fault::SseCloseEarly,
        Fault::NeverAnswer,
        Fault::InvalidJson,
        Fault::TruncatedJson,
        Fault::NotMcp,
        Fault::Html,
        Fault::Compressed,
        html,
        status(500, None),
        status(502, None),
        status(503, None),
        status(504, None),
    ];
    let refused = [
        status(429, None),
        status(429, Some(1)),
        status(503, Some(1)),
    ];
    let wrong = [401, 403, 413, 415].map(|code| status(code, None));
    let huge = Fault::Huge {
        bytes: LONGEST + (64 << 10),
    };
    let lost = lost.into_iter().map(|fault| (fault, Proof::Nothing));
    let refused = refused.into_iter().map(|fault| (fault, Proof::Refused));
    let wrong = wrong.into_iter().chain([huge]);
    let wrong = wrong.map(|fault| (fault, Proof::Final));
    lost.chain(refused).chain(wrong).collect()
}

/// The time that the fault asks for.
fn told(fault: &Fault) -> Option<Duration> {
    match fault {
        Fault::Status { retry_after, .. } => retry_after.map(Duration::from_secs),
        _ => None,
    }
}

/// Whether a call may be made again, by the rules.
fn repeats(safety: &str, tool: &str, proof: Proof) -> bool {
    match (safety, proof) {
        (_, Proof::Final) | ("strict", _) => false,
        (_, Proof::Refused) | ("trusting", Proof::Nothing) => true,
        (_, Proof::Nothing) => tool != "once",
    }
}

/// Unsafe, and declared safe in both ways.
const TOOLS: [&str; 3] = ["once", "once_idempotent", "once_read_only"];

/// With another backend behind it, a call moves there at once when that is safe.
async fn moves_when_safe(safety: &str, era: Era) {
    let first = fixture("first", era).await;
    let second = fixture("second", Era::Dual).await;
    let file = file(safety, &[("first", "s", &first), ("second", "s", &second)]);
    let router = Router::start(&file).await;
    router.until_healthy("first").await;
    router.until_healthy("second").await;
    for (at, (fault, proof)) in faults().into_iter().enumerate() {
        for tool in TOOLS {
            let what = format!("{safety}, {tool}, {fault:?}");
            served_by(&router, "s", "first").await;
            let (before, nonce) = (first.log().count(CALL), format!("{at}-{tool}"));
            first.set_fault(Rule::new(fault.clone()).on(CALL));
            let (answer, by) = call(&router, &format!("s.{tool}"), &nonce).await;
            first.clear_faults();

            let seen = first.log().count(CALL) - before;
            assert_eq!(seen, 1, "{what}: sent {seen} times to a sick backend");
            let ran = [&first, &second].map(|f| f.log().executions(&nonce));
            if repeats(safety, tool, proof) {
                assert_eq!(by.as_deref(), Some("second"), "{what}: {answer}");
                assert_eq!(ran[1], 1, "{what}");
                assert!(proof == Proof::Nothing || ran[0] == 0, "{what}");
                continue;
            }
            let failure = report(&what, &answer, "first");
            assert_eq!(ran[1], 0, "{what}: moved, though that is not safe");
            assert!(
                ran[0] <= u64::from(failure["sent"] == "unknown"),
                "I4: {what}"
            );
            let refused = proof == Proof::Refused;
            assert!(!refused || failure["sent"] == "no", "{what}: {answer}");
        }
    }
}

/// Alone, a backend is asked again when that is safe, after the time that it asked for.
async fn repeats_when_safe(safety: &str, era: Era) {
    let only = fixture("only", era).await;
    let router = Router::start(&file(safety, &[("only", "s", &only)])).await;
    router.until_healthy("only").await;
    for (at, (fault, proof)) in faults().into_iter().enumerate() {
        for tool in TOOLS {
            let what = format!("{safety}, {tool}, {fault:?}");
            served_by(&router, "s", "only").await;
            let (before, nonce) = (only.log().count(CALL), format!("{at}-{tool}"));
            only.set_fault(Rule::new(fault.clone()).on(CALL).times(1));
            let start = Instant::now();
            let (answer, by) = call(&router, &format!("s.{tool}"), &nonce).await;
            let took = start.elapsed();
            only.clear_faults();

            let seen = only.log().count(CALL) - before;
            let ran = only.log().executions(&nonce);
            if repeats(safety, tool, proof) {
                assert_eq!(by.as_deref(), Some("only"), "{what}: {answer}");
                assert_eq!(seen, 2, "{what}");
                let once = tool == "once" && safety != "trusting";
                assert!(!once || ran == 1, "I3: {what}");
                let told = told(&fault).unwrap_or_default();
                assert!(took >= told, "{what}: asked again after {took:?}");
                continue;
            }
            assert_eq!(seen, 1, "{what}: sent again: {answer}");
            let failure = report(&what, &answer, "only");
            assert!(ran <= u64::from(failure["sent"] == "unknown"), "I4: {what}");
            if let Some(told) = told(&fault) {
                let after = failure["retry_after_ms"]
                    .as_u64()
                    .map(Duration::from_millis);
                assert_eq!(after, Some(told), "{what}: {answer}");
            }
        }
    }
}

/// Both, side by side: most of their time is waiting.
async fn moves_and_repeats_when_safe(safety: &str, moving: Era, repeating: Era) {
    tokio::join!(
        moves_when_safe(safety, moving),
        repeats_when_safe(safety, repeating)
    );
}

#[tokio::test]
async fn f19_f21_f22_f23_a_strict_call_moves_and_is_repeated_only_when_it_was_not_sent() {
    moves_and_repeats_when_safe("strict", Era::Modern, Era::Legacy).await;
}

#[tokio::test]
async fn f19_f21_f22_f23_a_standard_call_moves_and_is_repeated_when_safe_or_refused() {
    moves_and_repeats_when_safe("standard", Era::Legacy, Era::Modern).await;
}

#[tokio::test]
async fn f19_f21_f22_f23_a_trusting_call_moves_and_is_repeated_whatever_happened() {
    moves_and_repeats_when_safe("trusting", Era::Dual, Era::Dual).await;
}
