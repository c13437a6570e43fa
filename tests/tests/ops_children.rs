//! Backends that are child processes, and everything such a process can do wrong: none of it may
//! hurt another backend, hold a caller for long, or outlive the router.

use std::time::{Duration, Instant};

use mcp_router_tests::harness::{
    ChildLog, Router, alive, child_entry, descendants, fixture_program, signal, until,
};
use serde_json::{Value, json};

const S: Duration = Duration::from_secs(1);

/// A router with the child `odd`, started with `args` and writing to `log`, and the ordinary child
/// `well` beside it.
async fn start(log: &ChildLog, args: &[&str]) -> Router {
    start_with("", log, args).await
}

async fn start_with(sections: &str, log: &ChildLog, args: &[&str]) -> Router {
    let path = log.path();
    let args = [args, &["--log-file", &path]].concat();
    let (odd, well) = (child_entry("odd", &args), child_entry("well", &[]));
    let router = Router::start(&format!("{sections}\nbackends:\n{odd}{well}")).await;
    router.until_ready().await;
    router
}

fn failure(answer: &Value) -> &Value {
    let result = &answer["result"];
    assert_eq!(result["isError"], true, "no failure: {answer}");
    &result["_meta"]["mcp-router/failure"]
}

async fn well(router: &Router) {
    let answer = router
        .modern()
        .call("well.add", json!({"a": 1, "b": 1}))
        .await;
    assert_eq!(answer["result"]["content"][0]["text"], "2", "{answer}");
}

#[tokio::test]
async fn f26_f02_a_child_that_dies_in_a_call_fails_it_at_once_and_comes_back() {
    let log = ChildLog::new();
    let router = start(&log, &["--habit", "exit-mid-call"]).await;
    let start = Instant::now();
    let answer = router
        .modern()
        .call("odd.once", json!({"nonce": "n"}))
        .await;

    assert!(start.elapsed() < 5 * S, "{:?}", start.elapsed());
    let failure = failure(&answer);
    assert_eq!(failure["reason"], "backend_lost", "{answer}");
    assert_eq!(failure["sent"], "unknown", "r44: {answer}");
    assert_eq!(failure["backend"], "odd");
    let text = answer["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_default();
    assert!(
        text.contains("'odd'") && text.contains("may have run"),
        "{text}"
    );
    well(&router).await;
    // Another process, and the call was not sent to it.
    log.wait_for_events("started", 2).await;
    router.until_healthy("odd").await;
    assert_eq!(log.received("tools/call").len(), 1, "r43: sent twice");
}

#[tokio::test]
async fn f02_a_child_killed_in_a_call_fails_every_call_on_it_and_no_other() {
    let log = ChildLog::new();
    let router = start(&log, &[]).await;
    let client = router.modern();
    // One fewer than open a circuit.
    let hanging = (0..4).map(|_| client.call("odd.sleep", json!({"ms": 60_000})));
    let killed = async {
        log.wait_for("tools/call", 4).await;
        signal(log.pids("started")[0], "KILL");
        Instant::now()
    };
    let (answers, killed) = tokio::join!(futures::future::join_all(hanging), killed);

    assert!(killed.elapsed() < 5 * S, "{:?}", killed.elapsed());
    for answer in &answers {
        assert_eq!(failure(answer)["reason"], "backend_lost", "{answer}");
        assert_eq!(failure(answer)["sent"], "unknown", "{answer}");
    }
    well(&router).await;
    router.until_healthy("odd").await;
    let answer = client.call("odd.add", json!({"a": 1, "b": 2})).await;
    assert_eq!(answer["result"]["content"][0]["text"], "3", "{answer}");
}

#[tokio::test]
async fn f27_a_child_that_dies_at_its_start_is_restarted_ever_more_rarely() {
    let log = ChildLog::new();
    let router = start(&log, &["--habit", "exit-at-start"]).await;
    well(&router).await;
    let backend = router.backend("odd").await;
    assert_eq!(backend["healthy"], false, "{backend}");
    assert_eq!(backend["is_managed"], true);
    assert_eq!(backend["is_running"], false);
    let error = backend["last_error"].as_str().unwrap_or_default();
    assert!(error.contains("exit status: 1"), "{error}");

    // Waits of 0.5-1, 1-2, 2-4 and 4-8 s: with the two starts of the first life six at the most
    // in 7.5 s, while a crash loop without waits would be hundreds.
    log.wait_for_events("started", 4).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let starts = log.events("started").len();
    assert!(starts <= 8, "{starts} starts");
    let answer = router.modern().call("odd.add", json!({})).await;
    assert_eq!(failure(&answer)["sent"], "no", "{answer}");
    well(&router).await;
}

#[tokio::test]
async fn f27_the_circuit_of_a_child_in_a_crash_loop_opens_without_any_call() {
    let odd = child_entry("odd", &["--habit", "exit-at-start"]);
    let probed = ", health_check: { interval_seconds: 1, timeout_seconds: 1 } }\n";
    let odd = odd.replace(" }\n", probed);
    let router = Router::start(&format!("backends:\n{odd}")).await;
    until("its circuit is open", async || {
        router.backend("odd").await["circuit_state"] == "OPEN"
    })
    .await;
    let backend = router.backend("odd").await;
    assert_eq!(backend["healthy"], false, "{backend}");
    let answer = router.modern().call("odd.add", json!({})).await;
    assert_ne!(answer["result"]["content"][0]["text"], "0", "{answer}");
}

#[tokio::test]
async fn f28_noise_on_stdout_is_skipped_and_calls_succeed() {
    let log = ChildLog::new();
    let router = start(&log, &["--habit", "noise"]).await;
    for i in 0..20 {
        let answer = router
            .modern()
            .call("odd.add", json!({"a": i, "b": 0}))
            .await;
        assert_eq!(
            answer["result"]["content"][0]["text"],
            i.to_string(),
            "{answer}"
        );
    }
    let backend = router.backend("odd").await;
    assert_eq!(
        (&backend["healthy"], &backend["error_count"]),
        (&json!(true), &json!(0))
    );
}

#[tokio::test]
async fn f29_endless_stderr_is_drained_and_fills_neither_log_nor_memory() {
    let log = ChildLog::new();
    let router = start(&log, &["--habit", "stderr-flood"]).await;
    let (start, before, rss) = (Instant::now(), router.logs().count(), router.usage().rss);
    let mut calls = 0;
    while start.elapsed() < 4 * S {
        let answer = router
            .modern()
            .call("odd.add", json!({"a": calls, "b": 0}))
            .await;
        assert_eq!(answer["result"]["content"][0]["text"], calls.to_string());
        calls += 1;
        well(&router).await;
    }
    let seconds = usize::try_from(start.elapsed().as_secs()).expect("few");
    let lines = router.logs().count() - before - 2 * calls;
    // 100 lines a second, with whole seconds begun at both ends and some room for other events.
    assert!(lines <= (seconds + 2) * 110, "{lines} lines in {seconds} s");
    let grown = router.usage().rss.saturating_sub(rss);
    assert!(grown < 64 << 20, "grown by {grown} bytes");
    well(&router).await;
}

#[tokio::test]
async fn f30_a_child_that_stops_reading_times_out_is_restarted_and_hurts_nobody() {
    let log = ChildLog::new();
    let path = log.path();
    let odd = child_entry("odd", &["--habit", "stop-reading", "--log-file", &path]);
    // So many timeouts would open a circuit.
    let odd = odd.replace(" }\n", ", circuit_breaker: { failure_threshold: 100 } }\n");
    let well_one = child_entry("well", &[]);
    let sections = "routing: { request_timeout_seconds: 2 }";
    let router = Router::start(&format!("{sections}\nbackends:\n{odd}{well_one}")).await;
    router.until_ready().await;
    let client = router.modern();
    // The first call is read, and the last one that is.
    client.call("odd.echo", json!({"text": "x"})).await;
    // More than a pipe holds: writing comes to a stop. What was cut off was read by nobody, so the
    // call is made again, at last by the next child.
    let large = json!({"text": "x".repeat(1 << 20)});
    for _ in 0..4 {
        let answer = client.call("odd.echo", large.clone()).await;
        well(&router).await;
        if log.events("started").len() > 1 {
            break;
        }
        assert_eq!(failure(&answer)["backend"], "odd");
    }
    log.wait_for_events("started", 2).await;
    router.until_healthy("odd").await;
    well(&router).await;
}

#[tokio::test]
async fn f31_r47_a_child_deaf_to_everything_is_killed_after_ten_seconds() {
    let log = ChildLog::new();
    let habits = ["--habit", "ignore-eof", "--habit", "ignore-sigterm"];
    let mut router = start(&log, &habits).await;
    let children = descendants(router.pid());
    assert!(children.len() >= 2, "{children:?}");
    router.signal("TERM");
    let start = Instant::now();

    assert!(router.wait(29 * S).await.success());

    let took = start.elapsed();
    // stdin closed, 5 s, SIGTERM, 5 s, SIGKILL.
    assert!(took > 8 * S && took < 20 * S, "{took:?}");
    until("the children are gone", async || {
        !children.iter().any(|pid| alive(*pid))
    })
    .await;
}

#[tokio::test]
async fn f32_r47_grandchildren_go_with_their_parent_crash_after_crash() {
    let log = ChildLog::new();
    let habits = ["--habit", "grandchild", "--habit", "exit-mid-call"];
    let mut router = start(&log, &habits).await;
    for crash in 1..=3 {
        router.until_healthy("odd").await;
        log.wait_for_events("grandchild", crash).await;
        let answer = router.modern().call("odd.echo", json!({})).await;
        assert_eq!(failure(&answer)["reason"], "backend_lost", "{answer}");
        log.wait_for_events("started", crash + 1).await;
        let left = log.pids("grandchild")[..crash].to_vec();
        until("old grandchildren are gone", async || {
            !left.iter().any(|p| alive(*p))
        })
        .await;
    }
    // What has ended was waited for: every process below the router is alive.
    let below = descendants(router.pid());
    until("no zombie is left", async || {
        descendants(router.pid()).into_iter().all(alive)
    })
    .await;

    router.signal("TERM");
    assert!(router.wait(20 * S).await.success());
    let mut all = log.pids("grandchild");
    all.extend(below);
    until("everybody is gone", async || {
        !all.iter().any(|pid| alive(*pid))
    })
    .await;
}

#[tokio::test]
async fn f33_children_go_when_the_router_is_killed() {
    let log = ChildLog::new();
    let mut router = start(&log, &["--habit", "ignore-eof"]).await;
    let children = descendants(router.pid());
    router.signal("KILL");
    router.wait(10 * S).await;
    until("the children are gone", async || {
        !children.iter().any(|pid| alive(*pid))
    })
    .await;
}

#[tokio::test]
async fn a_child_gets_a_clean_environment_and_its_arguments_without_a_shell() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let dump = folder.path().join("dump");
    // The dump is written before the child is a server, so it is there when the tools are.
    let script = "env > \"$1\"; printf '%s' \"$2\" >> \"$1\"; shift 2; exec \"$@\"";
    let fixture = fixture_program();
    let odd = json!([
        "-c",
        script,
        "sh",
        dump,
        "$(touch pwned) ; * `id`",
        fixture,
        "stdio"
    ]);
    let file = format!(
        "backends:\n  - {{ name: odd, command: sh, args: {odd}, env: {{ OWN: \"${{GIVEN}}\" }} }}"
    );
    let router = Router::builder()
        .config(&file)
        .env("GIVEN", "given-to-the-child")
        .env("SOME_TOKEN", "router-only-secret")
        .start()
        .await;
    router.until_ready().await;
    router.until_healthy("odd").await;

    let seen = std::fs::read_to_string(&dump).expect("the child ran");
    assert!(seen.contains("OWN=given-to-the-child\n"), "{seen}");
    assert!(seen.contains("PATH="), "{seen}");
    for leak in ["router-only-secret", "GIVEN=", "MCP_"] {
        assert!(!seen.contains(leak), "{leak} in {seen}");
    }
    assert!(seen.ends_with("$(touch pwned) ; * `id`"), "{seen}");
    // The secret reached the child, and nobody else.
    let shown = router.backend("odd").await.to_string();
    for text in [router.logs().text(), shown, router.ready().await.text()] {
        assert!(!text.contains("given-to-the-child"), "{text}");
    }
}

#[tokio::test]
async fn r46_every_kind_of_child_is_recognized() {
    // Silence is slow by nature: 10 s of it and then `initialize`.
    let kinds: [(&str, &[&str], &str); 7] = [
        ("old", &["--era", "legacy"], "2025-11-25"),
        ("new", &["--era", "modern"], "2026-07-28"),
        ("both", &[], "2026-07-28"),
        (
            "dies",
            &["--era", "legacy", "--habit", "die-on-probe"],
            "2025-11-25",
        ),
        (
            "empty",
            &["--era", "legacy", "--habit", "empty-probe"],
            "2025-11-25",
        ),
        (
            "errs",
            &["--era", "legacy", "--habit", "error-on-probe"],
            "2025-11-25",
        ),
        (
            "silent",
            &["--era", "legacy", "--habit", "silent-on-probe"],
            "2025-11-25",
        ),
    ];
    let entries = kinds.iter().map(|(name, args, _)| child_entry(name, args));
    let entries: String = entries.collect();
    let router = Router::start(&format!("backends:\n{entries}")).await;
    for (name, _, revision) in kinds {
        router.until_healthy(name).await;
        let protocol = router.backend(name).await["protocol"].to_string();
        assert!(protocol.contains(revision), "{name}: {protocol}");
        assert!(protocol.contains("stdio"), "{name}: {protocol}");
        let answer = router
            .modern()
            .call(&format!("{name}.add"), json!({"a": 1, "b": 1}))
            .await;
        assert_eq!(
            answer["result"]["content"][0]["text"], "2",
            "{name}: {answer}"
        );
    }
}
