//! All faults at once, at random: whatever happens, each call has one outcome, runs at most once,
//! and says nothing untrue about itself.
//!
//! The schedule comes from a seed; a failure names it, and `MCP_ROUTER_TEST_SEED` repeats it (as
//! far as two processes can be repeated). `MCP_ROUTER_TEST_SECONDS` makes it longer.

use std::time::{Duration, Instant};

use futures::future::join_all;
use mcp_router_tests::fixture::{Era, Fault, Fixture, Rule};
use mcp_router_tests::harness::{LegacySession, ModernClient, Router, config, until};
use serde_json::{Value, json};

/// How long the clients go on, in seconds.
const TIME: u64 = 8;
const NAMES: [&str; 3] = ["modern", "legacy", "sse"];

enum Client {
    Modern(ModernClient),
    Legacy(LegacySession),
}

impl Client {
    async fn call(&self, tool: &str, nonce: &str) -> Value {
        let arguments = json!({"nonce": nonce});
        match self {
            Self::Modern(client) => client.call(tool, arguments).await,
            Self::Legacy(session) => session.call(tool, arguments).await,
        }
    }
}

fn any_fault(random: &mut fastrand::Rng) -> Fault {
    let status = |code, retry_after| Fault::Status {
        code,
        retry_after,
        body: None,
    };
    let all = [
        Fault::NeverAnswer,
        Fault::Close,
        Fault::Reset,
        Fault::CloseMidAnswer,
        Fault::InvalidJson,
        Fault::TruncatedJson,
        Fault::NotMcp,
        Fault::UnknownId,
        Fault::AnswerTwice,
        Fault::Html,
        Fault::Compressed,
        Fault::SseCloseEarly,
        Fault::SessionGone,
        status(500, None),
        status(503, None),
        status(503, Some(1)),
        status(429, Some(1)),
    ];
    random.choice(all).expect("some")
}

/// Does something to a backend every few milliseconds, for ever.
async fn havoc(backends: &[Fixture], mut random: fastrand::Rng) {
    loop {
        tokio::time::sleep(Duration::from_millis(random.u64(5..40))).await;
        let backend = &backends[random.usize(..backends.len())];
        match random.u8(..20) {
            0 => backend.cut_connections(),
            1 => backend.forget_sessions(),
            2 => {
                backend.go_down().await;
                tokio::time::sleep(Duration::from_millis(random.u64(..300))).await;
                backend.go_up().await;
            }
            3 | 4 => backend.add_tool(&format!("t{}", random.u8(..4))),
            5..8 => backend.clear_faults(),
            _ => {
                let rule = Rule::new(any_fault(&mut random)).times(random.u32(1..4));
                let rule = if random.bool() {
                    rule.on("tools/call")
                } else {
                    rule
                };
                backend.set_fault(rule);
            }
        }
    }
}

/// One outcome of one call against what really happened.
fn judge(nonce: &str, answer: &Value, ran: u64) -> bool {
    assert!(ran <= 1, "i3: {nonce} ran {ran} times: {answer}");
    if let Some(failure) = answer["result"]["_meta"].get("mcp-router/failure") {
        if failure["sent"] == "no" {
            assert_eq!(ran, 0, "i4: {nonce} was not sent and ran: {answer}");
        }
        assert!(failure["reason"].is_string(), "{answer}");
        return false;
    }
    if answer["result"].is_object() {
        let text = &answer["result"]["content"][0]["text"];
        assert_eq!(
            (ran, text),
            (1, &json!("executed 1 times")),
            "i5: {nonce}: {answer}"
        );
        return true;
    }
    assert!(
        answer["error"].is_object(),
        "neither result nor error: {answer}"
    );
    false
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

fn descriptors(router: &Router) -> usize {
    let folder = format!("/proc/{}/fd", router.pid());
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r43_r44_under_random_faults_each_call_has_one_true_outcome() {
    let seed = number("MCP_ROUTER_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("MCP_ROUTER_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let backends = [
        Fixture::builder().era(Era::Modern).spawn().await,
        Fixture::builder().era(Era::Legacy).spawn().await,
        Fixture::builder().http_sse().spawn().await,
    ];
    let urls = NAMES.iter().zip(&backends).map(|(n, b)| (*n, b.url()));
    // What the edges say of each failure is looked at here, so no circuit may answer for them.
    let no_circuit = ", circuit_breaker: { failure_threshold: 1000000 } }\n";
    let file = format!(
        "routing: {{ request_timeout_seconds: 1 }}\n{}",
        config(urls).replace(" }\n", no_circuit)
    );
    let router = Router::start(&file).await;
    for name in NAMES {
        router.until_healthy(name).await;
    }
    let mut clients = Vec::new();
    for revision in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        clients.push(Client::Modern(router.modern()));
        clients.push(Client::Legacy(router.legacy_session(revision).await));
    }
    let before = descriptors(&router);

    let seconds = number("MCP_ROUTER_TEST_SECONDS").unwrap_or(TIME);
    let end = Instant::now() + Duration::from_secs(seconds);
    let plans = clients.iter().enumerate().map(|(i, client)| {
        let mut random = random.fork();
        async move {
            let mut answers = Vec::new();
            while Instant::now() < end {
                let (at, nonce) = (
                    random.usize(..NAMES.len()),
                    format!("{i}-{}", answers.len()),
                );
                let answer = client.call(&format!("{}.once", NAMES[at]), &nonce).await;
                answers.push((at, nonce, answer));
                tokio::time::sleep(Duration::from_millis(random.u64(..20))).await;
            }
            answers
        }
    });
    let calling = join_all(plans.collect::<Vec<_>>());
    let answers = tokio::select! {
        answers = calling => answers,
        () = havoc(&backends, fastrand::Rng::with_seed(seed ^ 1)) => unreachable!("it never ends"),
    };

    let mut good = 0;
    for (at, nonce, answer) in answers.iter().flatten() {
        let ran = backends[*at].log().executions(nonce);
        good += usize::from(judge(nonce, answer, ran));
    }
    let all: usize = answers.iter().map(Vec::len).sum();
    println!("{good} of {all} calls succeeded");
    assert!(good > all / 20, "only {good} of {all} calls succeeded");
    recovered(&router, &backends, before).await;
}

/// I7: once all is well again, everything works, and nothing is left of what went wrong.
async fn recovered(router: &Router, backends: &[Fixture], before: usize) {
    for backend in backends {
        backend.clear_faults();
        backend.go_up().await;
    }
    for (name, backend) in NAMES.iter().zip(backends) {
        router.until_healthy(name).await;
        // What it says of itself may be older than the last fault.
        until("calls succeed again", async || {
            let answer = router
                .modern()
                .call(&format!("{name}.echo"), json!({"text": "x"}))
                .await;
            answer["result"]["content"][0]["text"] == "x"
        })
        .await;
        let log = backend.log();
        assert_eq!(log.forgotten(), 0, "the oracle forgot something");
    }
    // Connections to backends live for four seconds without use.
    until("descriptors are back", async || {
        descriptors(router) <= before + 8
    })
    .await;
    assert!(
        !router.logs().contains("panicked"),
        "{}",
        router.logs().text()
    );
}
