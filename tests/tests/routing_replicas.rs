//! `urls`, `replicas`, `load_balancing` and `lazy`, as the file says them: how calls are spread over
//! equal servers and processes, and what happens when one of them dies.

use std::collections::HashSet;

use mcp_router_tests::fixture::{Era, Fault, Fixture, FixtureBuilder, Rule};
use mcp_router_tests::harness::{ChildLog, Router, fixture_program, signal, text, until};
use serde_json::{Value, json};

const CALL: &str = "tools/call";

async fn three(builder: fn() -> FixtureBuilder) -> [Fixture; 3] {
    [
        builder().spawn().await,
        builder().spawn().await,
        builder().spawn().await,
    ]
}

fn urls(servers: &[Fixture]) -> String {
    let urls: Vec<String> = servers.iter().map(Fixture::url).collect();
    format!("urls: {}", json!(urls))
}

/// A router with one backend `a`.
async fn router(keys: &str) -> Router {
    let file = format!("backends:\n  - {{ name: a, namespace: a, {keys} }}\n");
    let router = Router::start(&file).await;
    router.until_ready().await;
    router.until_healthy("a").await;
    router
}

async fn echo(router: &Router) -> Value {
    router.modern().call("a.echo", json!({"text": "x"})).await
}

fn calls(servers: &[Fixture]) -> Vec<usize> {
    servers.iter().map(|s| s.log().count(CALL)).collect()
}

/// Until every server has been asked what it offers, so that all are there.
async fn all_there(router: &Router, servers: &[Fixture]) {
    until("every server is connected", async || {
        // One that is not there yet is left out.
        echo(router).await;
        calls(servers).iter().all(|count| *count > 0)
    })
    .await;
    servers.iter().for_each(|server| server.log().clear());
}

#[tokio::test]
async fn calls_are_spread_evenly_over_the_urls_of_a_backend() {
    let servers = three(|| Fixture::builder().era(Era::Modern)).await;
    let router = router(&urls(&servers)).await;
    all_there(&router, &servers).await;
    for _ in 0..30 {
        assert_eq!(text(&echo(&router).await), "x");
    }
    let counts = calls(&servers);
    assert!(counts.iter().all(|n| (8..=12).contains(n)), "{counts:?}");
    // It is one backend.
    let shown = router.backend("a").await;
    assert!(shown["url"].as_str().unwrap().contains(&servers[2].url()));
}

#[tokio::test]
async fn f15_a_replica_that_dies_costs_no_safe_call() {
    let servers = three(|| Fixture::builder().era(Era::Modern)).await;
    let router = router(&urls(&servers)).await;
    all_there(&router, &servers).await;
    for at in 0..60 {
        if at == 20 {
            servers[1].go_down().await;
        }
        let arguments = json!({"nonce": at.to_string()});
        let answer = router.modern().call("a.once_read_only", arguments).await;
        assert_eq!(text(&answer), "executed 1 times", "{at}: {answer}");
    }
}

#[tokio::test]
async fn f23_servers_that_fail_together_are_not_asked_one_after_the_other_for_ever() {
    let failing = || {
        let rule = Rule::new(Fault::status(500)).on(CALL);
        Fixture::builder().era(Era::Modern).rule(rule)
    };
    let servers = three(failing).await;
    // No circuit takes the load off them, and nothing is waited for: only the budget is left.
    let url = urls(&servers);
    let file = format!(
        "backends:\n  - {{ name: a, namespace: a, {url}, circuit_breaker: {{ failure_threshold: 1000000 }} }}\n\
         routing: {{ retry: {{ max_backoff_seconds: 0 }} }}\n"
    );
    let router = Router::start(&file).await;
    router.until_ready().await;
    router.until_healthy("a").await;
    let began = std::time::Instant::now();
    let offered = 300;
    let client = router.modern();
    for at in 0..offered {
        let arguments = json!({"nonce": at.to_string()});
        let answer = client.call("a.once_read_only", arguments).await;
        assert_eq!(answer["result"]["isError"], true, "{answer}");
    }
    let attempts: usize = calls(&servers).iter().sum();
    let seconds = usize::try_from(began.elapsed().as_secs()).expect("a short test") + 1;
    let most = offered * 12 / 10 + 10 + seconds;
    // Safe calls are tried again; or the bound would say nothing.
    assert!(
        (offered + 20..=most).contains(&attempts),
        "{attempts}, at most {most}"
    );
}

#[tokio::test]
async fn least_connections_leaves_the_busy_one_alone() {
    let servers = three(|| Fixture::builder().era(Era::Modern)).await;
    let keys = format!("{}, load_balancing: least_connections", urls(&servers));
    let router = router(&keys).await;
    all_there(&router, &servers).await;
    // One server never answers its call, so it is always the busiest.
    servers[0].set_fault(Rule::new(Fault::NeverAnswer).on(CALL));
    let hanging: Vec<_> = (0..3)
        .map(|_| {
            let client = router.modern();
            tokio::spawn(async move { client.call("a.echo", json!({"text": "h"})).await })
        })
        .collect();
    until("only that call is left", async || {
        hanging.iter().filter(|call| call.is_finished()).count() == 2
    })
    .await;
    assert_eq!(servers[0].log().count(CALL), 1);
    servers.iter().for_each(|server| server.log().clear());
    for _ in 0..10 {
        assert_eq!(text(&echo(&router).await), "x");
    }
    assert_eq!(servers[0].log().count(CALL), 0);
    hanging.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn by_priority_the_first_tier_is_used_until_it_is_gone() {
    let [one, two, three] = three(|| Fixture::builder().era(Era::Modern)).await;
    let replicas = json!([
        {"url": one.url(), "priority": 2},
        {"url": two.url(), "priority": 1},
        {"url": three.url(), "priority": 1},
    ]);
    let router = router(&format!("replicas: {replicas}, load_balancing: priority")).await;
    let first = [two, three];
    all_there(&router, &first).await;
    for _ in 0..10 {
        assert_eq!(text(&echo(&router).await), "x");
    }
    assert_eq!(calls(&first), [5, 5]);
    assert_eq!(one.log().count(CALL), 0);
    for server in &first {
        server.go_down().await;
    }
    assert_eq!(text(&echo(&router).await), "x");
    assert_eq!(one.log().count(CALL), 1);
}

#[tokio::test]
async fn peak_ewma_prefers_the_quick() {
    let servers = three(|| Fixture::builder().era(Era::Modern)).await;
    let router = router(&format!("{}, load_balancing: peak_ewma", urls(&servers))).await;
    all_there(&router, &servers).await;
    servers[0].set_fault(Rule::new(Fault::Drip { every_ms: 2 }).on(CALL));
    for _ in 0..60 {
        assert_eq!(text(&echo(&router).await), "x");
    }
    let counts = calls(&servers);
    assert!(counts[0] < counts[1] && counts[0] < counts[2], "{counts:?}");
}

#[tokio::test]
async fn a_number_of_replicas_is_a_number_of_processes_and_one_may_die() {
    let log = ChildLog::new();
    let program = fixture_program();
    let command = json!(program);
    let args = json!(["stdio", "--log-file", log.path()]);
    let router = router(&format!("command: {command}, args: {args}, replicas: 3")).await;
    log.wait_for_events("started", 3).await;
    let pids: HashSet<u32> = log.pids("started").into_iter().collect();
    assert_eq!(pids.len(), 3);
    signal(*pids.iter().next().unwrap(), "KILL");
    for at in 0..30 {
        let arguments = json!({"nonce": at.to_string()});
        let answer = router.modern().call("a.once_read_only", arguments).await;
        assert_eq!(text(&answer), "executed 1 times", "{at}: {answer}");
    }
    let shown = router.backend("a").await;
    assert_eq!(shown["is_managed"], true, "{shown}");
}

#[tokio::test]
async fn a_lazy_backend_is_left_alone_until_somebody_wants_it() {
    let backend = Fixture::builder().spawn().await;
    let url = backend.url();
    let other = Fixture::builder().health(200).spawn().await;
    let other_url = other.url();
    let file = format!(
        "backends:\n  - {{ name: a, namespace: a, url: \"{url}\", lazy: true, health_check: {{ interval_seconds: 1 }} }}\n  - {{ name: b, namespace: b, url: \"{other_url}\", health_check: {{ interval_seconds: 1 }} }}\n"
    );
    let router = Router::start(&file).await;
    router.until_ready().await;
    // While the other is probed again and again, nothing reaches this one.
    other.log().wait_for("health", 3).await;
    assert_eq!(backend.log().connections(), 0);
    let answer = router.modern().call("a.echo", json!({"text": "x"})).await;
    assert_eq!(text(&answer), "x", "{answer}");
}

#[tokio::test]
async fn a_lazy_process_is_started_by_the_first_call() {
    let log = ChildLog::new();
    let command = json!(fixture_program());
    let args = json!(["stdio", "--log-file", log.path()]);
    let other = Fixture::builder().health(200).spawn().await;
    let other_url = other.url();
    let file = format!(
        "backends:\n  - {{ name: a, command: {command}, args: {args}, lazy: true }}\n  - {{ name: b, namespace: b, url: \"{other_url}\", health_check: {{ interval_seconds: 1 }} }}\n"
    );
    let router = Router::start(&file).await;
    router.until_ready().await;
    other.log().wait_for("health", 2).await;
    assert!(log.events("started").is_empty());
    let answer = router.modern().call("a.echo", json!({"text": "x"})).await;
    assert_eq!(text(&answer), "x", "{answer}");
    assert_eq!(log.pids("started").len(), 1);
}
