//! What happens at the limits: of a backend's concurrency, of descriptors, of a backend's patience
//! with idle connections.

use std::time::{Duration, Instant};

use futures::future::join_all;
use mcp_router_tests::fixture::{Era, Fixture};
use mcp_router_tests::harness::{Router, child_entry, config, descendants, until};
use serde_json::{Value, json};

const S: Duration = Duration::from_secs(1);

fn reason(answer: &Value) -> Option<&str> {
    answer["result"]["_meta"]["mcp-router/failure"]["reason"].as_str()
}

#[tokio::test]
async fn f24_the_excess_of_a_saturated_backend_is_refused_unsent_and_others_serve_on() {
    let busy = Fixture::builder().era(Era::Legacy).spawn().await;
    let other = Fixture::builder().spawn().await;
    let file = format!(
        "server: {{ limits: {{ max_queue_per_backend: 2 }} }}
backends:
  - {{ name: busy, namespace: busy, url: \"{}\", max_concurrency: 2 }}
  - {{ name: other, namespace: other, url: \"{}\" }}\n",
        busy.url(),
        other.url()
    );
    let router = Router::start(&file).await;
    router.until_healthy("busy").await;
    router.until_healthy("other").await;
    let client = router.modern();
    let holding = client.call("busy.sleep", json!({"ms": 4000}));
    let holding_too = client.call("busy.sleep", json!({"ms": 4000}));
    let excess = async {
        busy.log().wait_for("tools/call", 2).await;
        let start = Instant::now();
        let calls = (0..10).map(|_| client.call("busy.once", json!({"nonce": "x"})));
        let refused = join_all(calls).await;
        let took = start.elapsed();
        let answer = client.call("other.add", json!({"a": 1, "b": 1})).await;
        assert_eq!(answer["result"]["content"][0]["text"], "2", "{answer}");
        (refused, took)
    };
    let (first, second, (refused, took)) = tokio::join!(holding, holding_too, excess);
    for answer in [first, second] {
        assert_eq!(answer["result"]["content"][0]["text"], "slept", "{answer}");
    }
    assert!(took < 4 * S, "held for {took:?}");
    for answer in &refused {
        assert_eq!(reason(answer), Some("overloaded"), "{answer}");
        assert_eq!(
            answer["result"]["_meta"]["mcp-router/failure"]["sent"],
            "no"
        );
    }
    assert_eq!(busy.log().executions("x"), 0);
    // The places are free again.
    let answer = client.call("busy.add", json!({"a": 1, "b": 1})).await;
    assert_eq!(answer["result"]["content"][0]["text"], "2", "{answer}");
    assert_eq!(router.backend("busy").await["healthy"], true);
}

#[tokio::test]
async fn f44_calls_that_find_no_descriptor_fail_unsent_and_later_ones_succeed() {
    let fixture = Fixture::builder().era(Era::Modern).spawn().await;
    let router = Router::builder()
        .config(&config([("a", fixture.url())]))
        .wrapper(&["sh", "-c", "ulimit -n 40; exec \"$@\"", "sh"])
        .start()
        .await;
    router.until_healthy("a").await;
    let client = router.modern();
    // Each needs a descriptor for its client and one for the backend: not all can have both.
    let nonces: Vec<_> = (0..40).map(|i| format!("n{i}")).collect();
    let calls = nonces
        .iter()
        .map(|nonce| client.call("a.sleep", json!({"ms": 500, "nonce": nonce})));
    let answers = join_all(calls).await;
    let mut slept = 0;
    for (nonce, answer) in nonces.iter().zip(&answers) {
        let ran = fixture.log().executions(nonce);
        if answer["result"]["content"][0]["text"] == "slept" {
            assert_eq!(ran, 1, "{answer}");
            slept += 1;
        } else {
            assert_eq!(
                answer["result"]["_meta"]["mcp-router/failure"]["sent"], "no",
                "{answer}"
            );
            assert_eq!(ran, 0, "{answer}");
        }
    }
    assert!(slept > 0, "{:?}", answers[0]);
    let cpu = router.usage().cpu;
    tokio::time::sleep(2 * S).await;
    let spent = router.usage().cpu - cpu;
    assert!(spent < S, "it spins: {spent:?} in 2 s");
    until("calls succeed", async || {
        let answer = client.call("a.add", json!({"a": 1, "b": 1})).await;
        answer["result"]["content"][0]["text"] == "2"
    })
    .await;
    assert_eq!(router.client().get("/health").await.status, 200);
}

/// The soft limit of descriptors of a process.
fn soft_limit(pid: u32) -> Option<u64> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let mut lines = limits.lines();
    let line = lines.find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[tokio::test]
async fn f44_the_router_takes_all_descriptors_and_its_children_start_with_the_usual() {
    let router = Router::builder()
        .config(&format!("backends:\n{}", child_entry("kid", &[])))
        .wrapper(&[
            "sh",
            "-c",
            "ulimit -Sn 300; ulimit -Hn 3000; exec \"$@\"",
            "sh",
        ])
        .start()
        .await;
    router.until_healthy("kid").await;
    assert_eq!(soft_limit(router.pid()), Some(3000));
    let children = descendants(router.pid());
    assert!(!children.is_empty());
    for child in children {
        assert_eq!(soft_limit(child), Some(300));
    }
}

#[tokio::test]
async fn f20_backends_that_close_idle_connections_lose_no_call() {
    // Real servers close at 5 s and the router at 4; here both at a fifth of it.
    let fixture = Fixture::builder()
        .era(Era::Modern)
        .idle_close(Duration::from_millis(1500))
        .spawn()
        .await;
    let file = format!(
        "backends:\n  - {{ name: a, namespace: a, url: \"{}\", connection_pool: {{ idle_timeout_seconds: 1 }} }}",
        fixture.url()
    );
    let router = Router::start(&file).await;
    router.until_healthy("a").await;
    let client = router.modern();
    let callers = (0..20).map(|i| {
        let client = &client;
        async move {
            for round in 0..6 {
                tokio::time::sleep(Duration::from_millis(900 + 40 * i)).await;
                let answer = client.call("a.add", json!({"a": i, "b": round})).await;
                let sum = (i + round).to_string();
                assert_eq!(answer["result"]["content"][0]["text"], sum, "{answer}");
            }
        }
    });
    join_all(callers).await;
}
