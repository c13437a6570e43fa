//! How the programs end, and what they survive: signals, exhausted descriptors, a log that nobody
//! reads. The backends are the demo's, or the fixture as a child.

use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use mcp_router_tests::harness::{
    HttpClient, LegacySession, Router, alive, binary, child_entry, descendants,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

const S: Duration = Duration::from_secs(1);

async fn demo() -> Router {
    let router = Router::builder().arg("--demo").start().await;
    router.until_ready().await;
    router
}

/// A router that drains for one second, with the fixture as its child.
async fn with_child(args: &[&str]) -> Router {
    let config = format!(
        "server: {{ drain_seconds: 1 }}\nbackends:\n{}",
        child_entry("kid", args)
    );
    let router = Router::builder().config(&config).start().await;
    router.until_ready().await;
    router
}

#[tokio::test]
async fn f38_calls_in_flight_finish_and_listeners_are_told_before_the_exit_with_0() {
    let mut router = demo().await;
    let client = router.modern();
    let mut listener = client.listen().await;
    listener.events.message().await; // the acknowledgement
    let countdown = json!({
        "name": "time.countdown", "arguments": {"from": 4, "step_ms": 250},
        "_meta": {"progressToken": "t"},
    });
    let mut call = client.open("tools/call", countdown).await;
    call.events.message().await; // it runs
    router.signal("TERM");
    router.logs().event("stopping").await;
    let end = listener.events.message().await;
    assert_eq!(end["result"]["resultType"], "complete", "{end}");
    let mut last = call.events.message().await;
    while last["method"] == "notifications/progress" {
        last = call.events.message().await;
    }
    assert_eq!(last["result"]["content"][0]["text"], "Lift-off!");
    assert!(router.wait(3 * S).await.success());
}

#[tokio::test]
async fn f38_with_nothing_in_flight_the_exit_is_at_once() {
    for signal in ["TERM", "INT"] {
        let mut router = demo().await;
        router.signal(signal);
        assert!(router.wait(3 * S).await.success(), "{signal}");
    }
}

#[tokio::test]
async fn f38_a_call_that_hangs_is_answered_when_the_time_to_drain_is_over() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("received");
    let mut router = with_child(&["--log-file", log.to_str().unwrap()]).await;
    let client = router.modern();
    let hanging =
        tokio::spawn(async move { client.call("kid.sleep", json!({"ms": 60_000})).await });
    let received = || std::fs::read_to_string(&log).unwrap_or_default();
    until("the child has the call", || {
        received().contains("tools/call")
    })
    .await;
    let start = Instant::now();
    router.signal("TERM");
    let answer = hanging.await.unwrap();
    let failure = &answer["result"]["_meta"]["mcp-router/failure"];
    assert_eq!(failure["reason"], "draining", "{answer}");
    assert_eq!(failure["sent"], "unknown", "{answer}");
    assert!(router.wait(12 * S).await.success());
    assert!(start.elapsed() < 12 * S, "{:?}", start.elapsed());
}

#[tokio::test]
async fn f39_a_second_signal_ends_everything_within_a_second() {
    let mut router = with_child(&["--habit", "ignore-eof", "--habit", "ignore-sigterm"]).await;
    let children = descendants(router.pid());
    assert!(!children.is_empty());
    router.signal("TERM");
    router.logs().event("stopping").await;
    router.signal("TERM");
    let start = Instant::now();
    assert!(router.wait(5 * S).await.success());
    assert!(start.elapsed() < S, "{:?}", start.elapsed());
    until("the children are gone", || {
        !children.iter().any(|pid| alive(*pid))
    })
    .await;
}

#[tokio::test]
async fn f44_without_descriptors_it_neither_spins_nor_exits_and_recovers_within_a_second() {
    let wrapper = ["sh", "-c", "ulimit -n 40; exec \"$@\"", "sh"];
    let mut router = Router::builder()
        .arg("--demo")
        .wrapper(&wrapper)
        .start()
        .await;
    let addr = router.addr();
    let held: Vec<_> = (0..80).map(|_| TcpStream::connect(addr).unwrap()).collect();
    let before = router.usage().cpu;
    tokio::time::sleep(2 * S).await;
    let spent = router.usage().cpu - before;
    assert!(spent < S / 5, "it spins: {spent:?} in 2 s");
    drop(held);
    let answer = tokio::time::timeout(S, router.client().get("/health")).await;
    assert_eq!(answer.expect("within a second").status, 200);
    router.signal("TERM");
    assert!(router.wait(5 * S).await.success());
}

#[tokio::test]
async fn f45_a_log_that_nobody_reads_blocks_no_call_and_what_was_lost_is_told() {
    let mut child = Command::new(binary("mcp-router-http"))
        .args(["--demo", "--port", "0", "--log-format", "json"])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let addr = loop {
        let mut line = String::new();
        assert_ne!(log.read_line(&mut line).await.unwrap(), 0, "it ended");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        if line["message"] == "listening" {
            break line["addr"].as_str().unwrap().parse().unwrap();
        }
    };
    // From here on nobody reads. Each call is a line; a batch of 50 is 50 lines.
    let session = LegacySession::open(addr, "2025-03-26").await;
    let client = session.client();
    let call = json!({"name": "text.add", "arguments": {"a": 1, "b": 2}});
    let batch: Vec<_> = (0..50)
        .map(|id| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": call}))
        .collect();
    let batch = serde_json::to_string(&batch).unwrap();
    for _ in 0..260 {
        let reply = client.post("/mcp", batch.clone()).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    assert_eq!(HttpClient::new(addr).get("/health").await.status, 200);
    // The reader is back: it learns what it missed.
    let told = tokio::time::timeout(30 * S, async {
        let mut text = Vec::new();
        loop {
            assert_ne!(log.read_buf(&mut text).await.unwrap(), 0, "it ended");
            let seen = String::from_utf8_lossy(&text);
            if seen.contains("log lines were dropped") {
                return;
            }
        }
    });
    told.await.expect("the loss is logged");
    let page = HttpClient::new(addr).get("/metrics").await.text();
    let lost = page
        .lines()
        .find_map(|line| line.strip_prefix("mcp_router_dropped_log_lines_total "));
    let lost: f64 = lost.expect("a number").parse().expect("a number");
    assert!(lost > 0.0, "{lost}");
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < 5 * S, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
