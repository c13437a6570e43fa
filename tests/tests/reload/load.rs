//! Reloads while calls run: nobody loses one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mcp_router_tests::fixture::{Era, Fixture};
use mcp_router_tests::harness::{ChildLog, Router, alive, child_entry, config, text, until};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{reload, tools};

/// Calls a tool again and again until it is told to stop; every call must have been executed once.
struct Load {
    running: JoinSet<u64>,
    stop: Arc<AtomicBool>,
}

impl Load {
    fn new() -> Self {
        Self {
            running: JoinSet::new(),
            stop: Arc::default(),
        }
    }

    fn add<F>(&mut self, name: &'static str, call: impl Fn(String) -> F + Send + 'static)
    where
        F: Future<Output = Value> + Send,
    {
        let stop = self.stop.clone();
        self.running.spawn(async move {
            let mut made = 0;
            while !stop.load(Ordering::Relaxed) {
                let nonce = format!("{name}-{made}");
                let answer = call(nonce.clone()).await;
                let result = &answer["result"]["structuredContent"];
                let ran = json!({ "nonce": nonce, "executions": 1 });
                let fits = ["nonce", "executions"]
                    .iter()
                    .all(|key| result[*key] == ran[*key]);
                assert!(fits, "{name}: {answer}");
                made += 1;
            }
            made
        });
    }

    async fn end(mut self) -> Vec<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let mut made = Vec::new();
        while let Some(ended) = self.running.join_next().await {
            made.push(ended.unwrap());
        }
        made
    }
}

#[tokio::test]
async fn f41_a_hundred_reloads_lose_no_call_of_backends_that_stay() {
    let (web, old, other) = (
        Fixture::builder().era(Era::Modern).spawn().await,
        Fixture::builder()
            .era(Era::Legacy)
            .sessions(true)
            .spawn()
            .await,
        Fixture::builder().spawn().await,
    );
    let log = ChildLog::new();
    let stay = config([("web", web.url()), ("old", old.url())])
        + &child_entry("child", &["--log-file", &log.path()]);
    let builder = Router::builder().config(&stay);
    let router = builder.env("MCP_CONFIG_WATCH", "false").start().await;
    router.until_ready().await;
    for name in ["web", "old", "child"] {
        router.until_healthy(name).await;
    }
    let pids = log.pids("started");
    let greeted = (web.log().count("tools/list"), old.log().count("initialize"));

    let mut load = Load::new();
    for (name, tool) in [("w", "web.echo"), ("c", "child.echo")] {
        let client = router.modern();
        let client = Arc::new(client);
        load.add(name, move |nonce| {
            let client = client.clone();
            async move { client.call(tool, json!({ "nonce": nonce })).await }
        });
    }
    let session = Arc::new(router.legacy_session("2025-11-25").await);
    let own = session.clone();
    load.add("o", move |nonce| {
        let session = own.clone();
        async move { session.call("old.echo", json!({ "nonce": nonce })).await }
    });
    let mut calls = 0;
    for round in 0..100_u64 {
        // One that comes, goes, changes its place and its settings.
        let file = match round % 4 {
            0 => format!("{stay}{}", entry(&other, "")),
            1 => format!("{stay}{}", entry(&other, ", priority: 2")),
            2 => format!(
                "backends:\n{}{}",
                entry(&other, ""),
                &stay["backends:\n".len()..]
            ),
            _ => stay.clone(),
        };
        router.rewrite_config(&file);
        let reloaded = reload(&router).await;
        assert_eq!(reloaded["errors"], json!([]), "{reloaded}");
        let changed = reloaded.to_string();
        for name in ["\"web\"", "\"old\"", "\"child\""] {
            assert!(!changed.contains(name), "{reloaded}");
        }
        if round % 4 < 3 {
            let answer = router
                .modern()
                .call("other.echo", json!({"text": "x"}))
                .await;
            assert_eq!(text(&answer), "x", "round {round}: {answer}");
            calls += 1;
        }
    }
    let made = load.end().await;
    assert!(made.iter().all(|calls| *calls > 100), "{made:?}");
    // Nothing of those that stay has noticed.
    assert_eq!(log.pids("started"), pids, "no process was started again");
    let now = web.log().count("tools/list");
    assert_eq!(now, greeted.0, "listed once");
    // The router's own conversation, and the session's.
    assert_eq!(old.log().count("initialize"), greeted.1 + 1);
    assert_eq!(calls, 75);
    let status = router.backend("child").await;
    assert_eq!(status["error_count"], 0, "{status}");
}

fn entry(backend: &Fixture, more: &str) -> String {
    format!(
        "  - {{ name: other, namespace: other, url: \"{}\"{more} }}\n",
        backend.url()
    )
}

#[tokio::test]
async fn f41_calls_in_flight_at_a_backend_that_goes_are_finished_before_it_is_closed() {
    let (web, stays) = (
        Fixture::builder().spawn().await,
        Fixture::builder().spawn().await,
    );
    let log = ChildLog::new();
    let child = child_entry("child", &["--log-file", &log.path()]);
    let router = Router::start(&(config([("s", stays.url()), ("web", web.url())]) + &child)).await;
    router.until_ready().await;
    router.until_healthy("child").await;
    let pid = log.pids("started")[0];
    let client = Arc::new(router.modern());
    let call = |tool: &'static str| {
        let client = client.clone();
        tokio::spawn(async move { client.call(tool, json!({"ms": 2000})).await })
    };
    let running = [call("web.sleep"), call("child.sleep")];
    log.wait_for("tools/call", 1).await;
    until("the call is at the server", async || {
        web.log().count("tools/call") == 1
    })
    .await;

    router.rewrite_config(&config([("s", stays.url())]));
    let reloaded = reload(&router).await;
    assert_eq!(reloaded["removed"], json!(["child", "web"]), "{reloaded}");
    let names = tools(&router).await;
    assert!(!names.iter().any(|n| n.starts_with("web.")), "{names:?}");
    assert!(alive(pid), "its call is not over");
    for call in running {
        let answer = call.await.unwrap();
        assert!(answer["result"]["isError"] != true, "{answer}");
        assert!(answer["result"]["content"].is_array(), "{answer}");
    }
    until("the process is gone", async || !alive(pid)).await;
    until("both are closed", async || {
        router.logs().events("backend closed").len() == 2
    })
    .await;
    let gone = client.call("web.echo", json!({"text": "x"})).await;
    assert_eq!(gone["error"]["code"], -32602, "{gone}");
}

#[tokio::test]
async fn f41_a_backend_that_changes_is_called_until_its_successor_is_listed() {
    let (first, second) = (ChildLog::new(), ChildLog::new());
    let file = |log: &ChildLog, more: &[&str]| {
        let path = log.path();
        let args: Vec<_> = ["--log-file", &path]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        format!("backends:\n{}", child_entry("c", &args))
    };
    let router = Router::start(&file(&first, &[])).await;
    router.until_ready().await;
    router.until_healthy("c").await;
    let mut load = Load::new();
    let client = Arc::new(router.modern());
    load.add("c", move |nonce| {
        let client = client.clone();
        async move { client.call("c.echo", json!({ "nonce": nonce })).await }
    });
    router.rewrite_config(&file(&second, &[]));
    assert_eq!(reload(&router).await["updated"], json!(["c"]));
    let before = first.pids("started")[0];
    until("the first process is gone", async || !alive(before)).await;
    until("the second one is called", async || {
        !second.received("tools/call").is_empty()
    })
    .await;
    let made = load.end().await;
    assert!(made[0] > 0);
    assert_eq!(second.pids("started").len(), 1);
}
