//! Backends that come and go.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::future::join_all;
use mcp_router_tests::fixture::{Era, Fixture, FixtureBuilder};
use mcp_router_tests::harness::{Fate, Router, Seen, config, until};
use serde_json::json;

/// How long the replica flaps.
const TIME: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f15_a_set_of_replicas_with_one_that_flaps_serves_99_of_100_safe_calls() {
    let mut replicas = Vec::new();
    for name in ["steady-1", "steady-2", "flapping"] {
        let builder = Fixture::builder().name(name).era(Era::Modern);
        replicas.push(builder.spawn().await);
    }
    let urls: Vec<_> = replicas
        .iter()
        .map(|r| format!("{{ url: \"{}\" }}", r.url()))
        .collect();
    let file = format!(
        "backends:\n  - {{ name: set, namespace: set, replicas: [{}], \
         circuit_breaker: {{ failure_threshold: 3, timeout_seconds: 1 }} }}\n",
        urls.join(", ")
    );
    let router = Router::start(&file).await;
    router.until_healthy("set").await;
    let end = Instant::now() + TIME;
    // Away for half a second in one and a half: the trial of its circuit, a second after it opened,
    // finds it. One that is away again whenever it is tried takes no part, and rightly so.
    let flapping = async {
        while Instant::now() < end {
            tokio::time::sleep(Duration::from_secs(1)).await;
            replicas[2].go_down().await;
            tokio::time::sleep(Duration::from_millis(500)).await;
            replicas[2].go_up().await;
        }
    };
    let callers = (0..8).map(|caller| {
        let client = router.modern();
        async move {
            let mut seen = Vec::new();
            while Instant::now() < end {
                let nonce = format!("{caller}-{}-", seen.len());
                let params = json!({"name": "set.once_read_only", "arguments": {"nonce": nonce}});
                let start = Instant::now();
                let reply = client.post("tools/call", params).await;
                seen.push(Seen {
                    nonce,
                    repeatable: true,
                    took: start.elapsed(),
                    limit: Duration::from_secs(35),
                    messages: Some(reply.messages()),
                });
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            seen
        }
    });
    let (seen, ()) = tokio::join!(join_all(callers.collect::<Vec<_>>()), flapping);

    let mut fates: BTreeMap<String, usize> = BTreeMap::new();
    for call in seen.iter().flatten() {
        let ran = replicas
            .iter()
            .map(|r| r.log().executions(&call.nonce))
            .sum();
        let (fate, broken) = call.judge(ran);
        assert_eq!(broken, Vec::<String>::new());
        *fates.entry(format!("{fate:?}")).or_default() += 1;
    }
    let served = fates
        .get(&format!("{:?}", Fate::Served))
        .copied()
        .unwrap_or(0);
    let all: usize = fates.values().sum();
    assert!(served * 100 >= all * 99, "{fates:?}");
    // It was part of the set whenever it was there.
    let mut took_part = [0; 3];
    for (replica, count) in replicas.iter().zip(&mut took_part) {
        *count = replica.log().count("tools/call");
    }
    assert!(
        took_part.iter().all(|count| *count > all / 100),
        "{took_part:?} of {all}"
    );
}

/// Seconds until TCP asks each peer at `port` whether it is still there, over all connections of
/// the router; `None` for one that it will not ask.
fn asks(router: &Router, port: u16) -> Vec<Option<u64>> {
    let path = format!("/proc/{}/net/tcp", router.pid());
    let table = std::fs::read_to_string(path).expect("Linux");
    let remote = format!(":{port:04X}");
    let lines = table
        .lines()
        .map(|l| l.split_whitespace().collect::<Vec<_>>());
    // local, remote, state (01: established), queues, timer (02: keep-alive) and its ticks of 10 ms
    let ours = lines.filter(|f| f.len() > 5 && f[2].ends_with(&remote) && f[3] == "01");
    let timer = |fields: Vec<&str>| {
        let ticks = fields[5].strip_prefix("02:")?;
        Some(u64::from_str_radix(ticks, 16).ok()? / 100)
    };
    ours.map(timer).collect()
}

#[tokio::test]
async fn f07_a_stream_of_changes_that_is_lost_is_opened_again_and_what_was_missed_is_told() {
    tokio::join!(
        misses_nothing("modern", Fixture::builder().era(Era::Modern)),
        misses_nothing("legacy", Fixture::builder().era(Era::Legacy)),
        misses_nothing("sse", Fixture::builder().http_sse()),
    );
}

async fn misses_nothing(kind: &str, builder: FixtureBuilder) {
    let fixture = builder.spawn().await;
    let router = Router::start(&config([("a", fixture.url())])).await;
    router.until_healthy("a").await;
    let client = router.modern();
    let mut changes = client.listen().await;
    let first = changes.events.message().await;
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    // A peer that is silent because there is no way to it any more says nothing by itself:
    // after 15 s TCP asks, and asks three times more within the minute.
    until("a connection to the backend is watched", async || {
        let asks = asks(&router, fixture.addr().port());
        !asks.is_empty() && asks.iter().all(|ask| ask.is_some_and(|s| s <= 15))
    })
    .await;

    fixture.go_down().await;
    router.until_down("a").await;
    // Nobody listens to this change.
    fixture.add_tool("missed");
    fixture.go_up().await;
    loop {
        let message = changes.events.message().await;
        if message["method"] == "notifications/tools/list_changed" {
            break;
        }
    }
    let tools = client.request("tools/list", json!({})).await;
    assert!(tools.to_string().contains("a.missed"), "{kind}: {tools}");
    // The stream is there again, and carries the next change.
    until("the next change is told", async || {
        fixture.add_tool(&format!("later-{}", fastrand::u64(..)));
        let next = changes.events.message();
        tokio::time::timeout(Duration::from_secs(2), next)
            .await
            .is_ok()
    })
    .await;
}
