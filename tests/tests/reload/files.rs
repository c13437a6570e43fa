//! What happens when the file changes, well or badly.

use std::time::{Duration, Instant};

use mcp_router_tests::fixture::Fixture;
use mcp_router_tests::harness::{Router, config, text, until};
use serde_json::json;

use super::{Folder, manage, reload, tools, until_tool};

const APPLIED: &str = "configuration reloaded";
const WRONG: &str = "the configuration is wrong: nothing has changed";

#[tokio::test]
async fn f42_a_bad_file_changes_nothing_and_the_next_good_one_is_there_within_2_seconds() {
    let (a, b) = (
        Fixture::builder().spawn().await,
        Fixture::builder().spawn().await,
    );
    let good = config([("a", a.url())]);
    let router = Router::start(&good).await;
    router.until_ready().await;

    router.rewrite_config(&format!("{good}\nrouting: {{ default_stratgy: path }}\n"));
    let error = router.logs().event(WRONG).await;
    let error = error["error"].as_str().unwrap();
    assert!(error.starts_with("backends.yaml:4:"), "{error}");
    assert!(
        error.contains("default_strategy"),
        "the nearest key: {error}"
    );
    let answer = router.modern().call("a.echo", json!({"text": "x"})).await;
    assert_eq!(text(&answer), "x");
    // Whoever looks is told, by the list and by the tool; the list itself is as ever.
    let listed = manage(&router, "list_backends", json!({})).await;
    let told = &listed["structuredContent"]["config_errors"][0];
    assert_eq!(told, error);
    assert!(
        listed["content"][1]["text"]
            .as_str()
            .unwrap()
            .contains(error)
    );
    assert_eq!(listed["structuredContent"]["result"][0]["name"], "a");
    assert!(
        listed["content"][0]["text"]
            .as_str()
            .unwrap()
            .starts_with("[{")
    );
    let reloaded = reload(&router).await;
    let nothing = json!({ "added": [], "removed": [], "updated": [], "errors": [error] });
    assert_eq!(reloaded, nothing);

    let written = Instant::now();
    router.rewrite_config(&config([("a", a.url()), ("b", b.url())]));
    until_tool(&router, "b.echo", true).await;
    assert!(
        written.elapsed() < Duration::from_secs(2),
        "{:?}",
        written.elapsed()
    );
    let listed = manage(&router, "list_backends", json!({})).await;
    assert!(listed["structuredContent"]["config_errors"].is_null());
    let event = router.logs().event(APPLIED).await;
    assert_eq!(
        (&event["trigger"], &event["added"]),
        (&json!("file"), &json!("[\"b\"]"))
    );
}

#[tokio::test]
async fn a_file_that_is_being_written_is_no_error() {
    let (a, b) = (
        Fixture::builder().spawn().await,
        Fixture::builder().spawn().await,
    );
    let folder = Folder::new(&config([("a", a.url())]));
    let router = folder.router().await;
    let whole = config([("a", a.url()), ("b", b.url())]);
    // An editor that empties the file first and takes its time.
    for part in ["", &whole[..whole.len() / 2], &whole] {
        std::fs::write(folder.file(), part).unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    until_tool(&router, "b.echo", true).await;
    assert!(router.logs().events(WRONG).is_empty());
    // One that takes it away before it puts a new one there.
    std::fs::remove_file(folder.file()).unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    std::fs::write(folder.file(), config([("a", a.url())])).unwrap();
    until_tool(&router, "b.echo", false).await;
    assert!(router.logs().events(WRONG).is_empty());
}

#[tokio::test]
async fn links_that_are_exchanged_are_followed_as_kubernetes_mounts_them() {
    let (a, b) = (
        Fixture::builder().spawn().await,
        Fixture::builder().spawn().await,
    );
    let folder = Folder::new("");
    std::fs::remove_file(folder.file()).unwrap();
    let version = |name: &str, text: &str| {
        let version = folder.path().join(name);
        std::fs::create_dir(&version).unwrap();
        std::fs::write(version.join("backends.yaml"), text).unwrap();
    };
    let link = |from: &str, to: &str| {
        std::os::unix::fs::symlink(to, folder.path().join(from)).unwrap();
    };
    version("..1", &config([("a", a.url())]));
    link("..data", "..1");
    link("backends.yaml", "..data/backends.yaml");
    let router = folder.router().await;
    for (number, name) in [("..2", "b"), ("..3", "c")] {
        version(number, &config([("a", a.url()), (name, b.url())]));
        link("..data_tmp", number);
        let (new, old) = (
            folder.path().join("..data_tmp"),
            folder.path().join("..data"),
        );
        std::fs::rename(new, old).unwrap();
        until_tool(&router, &format!("{name}.echo"), true).await;
    }
    assert!(!tools(&router).await.contains(&"b.echo".to_owned()));
    assert!(router.logs().events(WRONG).is_empty());
}

#[tokio::test]
async fn a_switched_off_watch_leaves_signals_and_the_tool() {
    let (a, b) = (
        Fixture::builder().spawn().await,
        Fixture::builder().spawn().await,
    );
    let builder = Router::builder().config(&config([("a", a.url())]));
    let router = builder.env("MCP_CONFIG_WATCH", "false").start().await;
    router.until_ready().await;
    router.rewrite_config(&config([("a", a.url()), ("b", b.url())]));
    // Longer than a watch would take.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(!tools(&router).await.contains(&"b.echo".to_owned()));
    router.signal("HUP");
    let event = router.logs().event(APPLIED).await;
    assert_eq!(event["trigger"], "signal");
    until_tool(&router, "b.echo", true).await;
    router.rewrite_config(&config([("b", b.url())]));
    let reloaded = reload(&router).await;
    let gone = json!({ "added": [], "removed": ["a"], "updated": [], "errors": [] });
    assert_eq!(reloaded, gone);
    assert!(!tools(&router).await.contains(&"a.echo".to_owned()));
}

#[tokio::test]
async fn clients_hear_once_of_everything_that_a_reload_brings_and_nothing_of_the_rest() {
    let spawn = || Fixture::builder().spawn();
    let (a, b, c) = (spawn().await, spawn().await, spawn().await);
    let router = Router::start(&config([("a", a.url())])).await;
    router.until_ready().await;
    let mut news = router.modern().listen().await;
    assert_eq!(
        news.events.message().await["method"],
        "notifications/subscriptions/acknowledged"
    );
    // Another order and another priority: the lists are the same.
    let text = config([("a", a.url())]).replace(" }\n", ", priority: 3 }\n");
    router.rewrite_config(&text);
    let updated = reload(&router).await;
    assert_eq!(updated["updated"], json!(["a"]), "{updated}");
    router.rewrite_config(&config([("b", b.url()), ("a", a.url()), ("c", c.url())]));
    let reloaded = reload(&router).await;
    assert_eq!(reloaded["added"], json!(["b", "c"]), "{reloaded}");
    let mut heard = Vec::new();
    while let Ok(message) =
        tokio::time::timeout(Duration::from_millis(1500), news.events.message()).await
    {
        heard.push(message["method"].as_str().unwrap().to_owned());
    }
    heard.sort_unstable();
    let once = ["tools", "prompts", "resources"].map(|list| {
        let times = heard.iter().filter(|m| m.contains(list)).count();
        (list, times)
    });
    assert!(once.iter().all(|(_, times)| *times <= 1), "{heard:?}");
    assert_eq!(once[0].1, 1, "{heard:?}");
    let order = manage(&router, "list_backends", json!({})).await;
    let order = order["structuredContent"]["result"]
        .as_array()
        .unwrap()
        .clone();
    let order: Vec<_> = order.iter().map(|b| b["name"].as_str().unwrap()).collect();
    assert_eq!(order, ["b", "a", "c"]);
}

#[tokio::test]
async fn settings_apply_at_once_or_are_said_to_need_a_restart() {
    let a = Fixture::builder().spawn().await;
    let file = config([("a", a.url())]);
    let router = Router::start(&file).await;
    router.until_ready().await;
    let sections = "routing: { enable_namespace_prefixing: false }\nserver: { drain_seconds: 5 }\n";
    router.rewrite_config(&format!("{sections}{file}"));
    let reloaded = reload(&router).await;
    // The backend is the same.
    assert_eq!(reloaded["updated"], json!([]), "{reloaded}");
    until_tool(&router, "echo", true).await;
    let warned = router
        .logs()
        .line("server.drain_seconds: restart needed")
        .await;
    assert!(warned.contains("WARN"), "{warned}");
    assert_eq!(a.log().count("tools/list"), 1, "never listed again");
    // Another time limit makes other layers, so other backends.
    let sections = "routing: { request_timeout_seconds: 7 }\n";
    router.rewrite_config(&format!("{sections}{file}"));
    assert_eq!(reload(&router).await["updated"], json!(["a"]));
    until("the namespace is back", async || {
        tools(&router).await.contains(&"a.echo".to_owned())
    })
    .await;
}
