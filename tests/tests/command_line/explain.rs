//! `explain`: by the router that runs, or by the backends.

use mcp_router_tests::fixture::Fixture;
use mcp_router_tests::harness::Router;
use serde_json::{Value, json};

use crate::run::{Run, run};

async fn explain(args: Vec<String>, file: String) -> Run {
    let explain = move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        run("mcp-router-http", &[("MCP_PORT", "9")], &args, Some(&file))
    };
    tokio::task::spawn_blocking(explain).await.expect("it runs")
}

fn args(args: &[&str]) -> Vec<String> {
    args.iter().map(|arg| (*arg).to_owned()).collect()
}

fn file(first: &Fixture, second: &Fixture) -> String {
    format!(
        "backends:
  - {{ name: first, namespace: s, url: \"{}\", priority: 5, timeout_seconds: 7, max_concurrency: 3 }}
  - {{ name: second, namespace: s, url: \"{}\" }}
",
        first.url(),
        second.url()
    )
}

#[tokio::test]
async fn without_a_router_the_backends_are_asked_and_settings_are_those_that_hold() {
    let (first, second) = (
        Fixture::builder().spawn().await,
        Fixture::builder().spawn().await,
    );
    let shown = explain(
        args(&["explain", "s__add", "--json"]),
        file(&first, &second),
    )
    .await;
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    assert!(shown.err.contains("no router answers"), "{}", shown.err);
    let told: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(told["routing"]["tool_name"], "s.add");
    assert_eq!(told["routing"]["backend"], "first");
    assert_eq!(told["routing"]["alternatives"][0]["backend"], "second");
    assert_eq!(
        (&told["router"], &told["last_outcome"], &told["trouble"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    let layers = told["layers"].as_array().unwrap();
    let names: Vec<_> = layers
        .iter()
        .map(|l| l["layer"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["limit", "retry", "breaker", "timeout", "edge"]);
    assert_eq!(layers[0]["settings"]["max_concurrency"], 3);
    assert_eq!(layers[3]["settings"]["attempt_seconds"], 7);

    let nobody = explain(args(&["explain", "s.nothing"]), file(&first, &second)).await;
    assert_eq!(nobody.code, Some(1));
    assert!(
        nobody.err.contains("Tool not found: s.nothing"),
        "{}",
        nobody.err
    );
}

#[tokio::test]
async fn the_running_router_knows_what_happened_before() {
    let (first, second) = (
        Fixture::builder().spawn().await,
        Fixture::builder().down().spawn().await,
    );
    let file = file(&first, &second);
    let router = Router::start(&file).await;
    router.until_healthy("first").await;
    router.until_down("second").await;
    let url = router.url("/mcp");
    for tool in ["s.add", "s.add", "s.fail"] {
        router.modern().call(tool, json!({"a": 1, "b": 2})).await;
    }
    let asked = args(&["explain", "s.add", "--json", "--url", &url]);
    let shown = explain(asked, file.clone()).await;
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    let told: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(
        (&told["router"], &told["health"]["healthy"]),
        (&json!(url), &json!(true))
    );
    assert_eq!(told["trouble"], "no failure since it was reached");
    assert_eq!(told["outcomes"], json!({"ok": 2}));
    let last = told["last_outcome"].as_str().unwrap();
    assert!(last.starts_with("ok at 2"), "{last}");
    assert!(last.contains(", by first, "), "{last}");
    assert!(last.ends_with(" ms, attempts 1"), "{last}");
    let asked = args(&["explain", "s.fail", "--json", "--url", &url]);
    let shown = explain(asked, file.clone()).await;
    let told: Value = serde_json::from_str(&shown.out).unwrap();
    let last = &told["routing"]["last_call"];
    assert_eq!(
        (&last["outcome"], &last["backend"]),
        (&json!("tool_error"), &json!("first"))
    );
    let text = explain(args(&["explain", "s.add", "--url", &url]), file).await;
    for said in [
        "told by",
        "first (there: add)",
        "max_concurrency 3",
        "circuit CLOSED",
        "last call    ok at",
    ] {
        assert!(text.out.contains(said), "{said} in {}", text.out);
    }
}

#[tokio::test]
async fn a_router_that_was_named_and_is_not_there_is_a_failure() {
    let asked = args(&["explain", "s.add", "--url", "http://127.0.0.1:9/mcp"]);
    let shown = explain(asked, "backends: []".to_owned()).await;
    assert_eq!((shown.code, &*shown.out), (Some(1), ""));
    assert!(
        shown
            .err
            .contains("http://127.0.0.1:9/mcp: no router answers"),
        "{}",
        shown.err
    );
}
