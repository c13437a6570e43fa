//! `check`: the file without its backends, and with them.

use mcp_router_tests::fixture::{Era, Fixture};
use mcp_router_tests::harness::{child_entry, config};
use serde_json::{Value, json};

use crate::run::run;

fn check(args: &[&str], file: &str) -> (Option<i32>, Value, String) {
    let args = [&["check"], args, &["--json"]].concat();
    let checked = run("mcp-router-http", &[], &args, Some(file));
    let json =
        serde_json::from_str(&checked.out).unwrap_or_else(|e| panic!("{e}: {}", checked.out));
    (checked.code, json, checked.err)
}

#[test]
fn a_right_file_is_shown_resolved_and_a_wrong_one_with_every_place() {
    let (code, shown, _) = check(
        &[],
        "backends: [{ name: a, command: x, timeout_seconds: 7 }]",
    );
    assert_eq!(code, Some(0));
    assert_eq!(shown["config"]["backends"][0]["timeout_seconds"], 7);
    assert_eq!(shown["config"]["routing"]["retry"]["max_attempts"], 3);

    let wrong = "backends:\n  - { name: a, command: x, prioritty: 1 }\nrouting: { retry: 5 }\n";
    let (code, shown, said) = check(&[], wrong);
    assert_eq!((code, &*said), (Some(2), ""));
    let errors = shown["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2, "{shown}");
    assert_eq!(
        (&errors[0]["line"], &errors[0]["column"]),
        (&json!(2), &json!(28))
    );
    assert_eq!(errors[0]["help"], "did you mean `priority`?");
}

/// Eras, transports, latencies and counts of whatever is there, and why the rest is not.
#[tokio::test]
async fn with_connect_each_backend_is_reached_or_told_why_not() {
    let modern = Fixture::builder().era(Era::Modern).tools(3).spawn().await;
    let legacy = Fixture::builder()
        .era(Era::Legacy)
        .versions(&["2025-06-18"])
        .spawn()
        .await;
    let old = Fixture::builder().http_sse().spawn().await;
    let gone = Fixture::builder().down().spawn().await;
    let file = config([
        ("modern", modern.url()),
        ("legacy", legacy.base_url()),
        ("old", old.base_url()),
        ("gone", gone.url()),
    ]) + &child_entry("kid", &[])
        + "  - { name: off, namespace: off, url: \"http://127.0.0.1:9\", auto_start: false }\n";
    let (code, shown, said) = tokio::task::spawn_blocking(move || check(&["--connect"], &file))
        .await
        .unwrap();
    assert_eq!(code, Some(1), "one is gone: {said}");
    let backend = |name: &str| {
        let mut all = shown["backends"].as_array().unwrap().iter();
        all.find(|b| b["name"] == name).unwrap().clone()
    };
    for (name, era, transport) in [
        ("modern", "2026-07-28", "streamable_http"),
        ("legacy", "2025-06-18", "streamable_http"),
        ("old", "2024-11-05", "sse"),
        ("kid", "2026-07-28", "stdio"),
    ] {
        let reached = backend(name);
        assert_eq!(reached["status"], "reached", "{reached}");
        assert_eq!(
            (&reached["era"], &reached["transport"]),
            (&json!(era), &json!(transport))
        );
        assert!(
            reached["latency_ms"].as_f64().unwrap() < 5000.0,
            "{reached}"
        );
        assert!(reached["tools"].as_u64().unwrap() > 3, "{reached}");
    }
    let gone = backend("gone");
    assert_eq!(gone["status"], "unreachable");
    assert!(
        gone["reason"].as_str().unwrap().contains("connect"),
        "{gone}"
    );
    assert_eq!(backend("off")["status"], "disabled");
    assert_eq!(
        (legacy.open_sessions(), modern.open_sessions()),
        (0, 0),
        "left behind"
    );
}

#[tokio::test]
async fn what_was_not_meant_is_found_without_a_call() {
    let fixture = Fixture::builder()
        .tool("query")
        .tool("get_it")
        .spawn()
        .await;
    let other = Fixture::builder().tool("query").spawn().await;
    let file = format!(
        "backends:
  - name: a
    namespace: shared
    url: {}
    routes:
      - {{ pattern: \"quer?\" }}
      - {{ pattern: \"analyse_*\", strategy: fallback }}
      - {{ pattern: \"hidden_*\", strategy: path }}
    tools: {{ deny: [\"drop_*\"], idempotent: [\"get_*\", \"fetch_*\"], rename: {{ ad: plus }} }}
  - {{ name: b, namespace: b, url: \"{}\" }}
routing: {{ enable_namespace_prefixing: false }}
",
        fixture.url(),
        other.url()
    );
    let (code, shown, said) = tokio::task::spawn_blocking(move || check(&["--connect"], &file))
        .await
        .unwrap();
    assert_eq!(code, Some(0), "{said}");
    let unused = shown["unused"].as_array().unwrap().iter();
    let unused: Vec<_> = unused
        .map(|u| format!("{} {} {}", u["key"], u["value"], u["may_be_meant"]).replace('"', ""))
        .collect();
    let expected = [
        "routes[1].pattern analyse_* false",
        "routes[2].pattern hidden_* true",
        "tools.deny[0] drop_* false",
        "tools.idempotent[1] fetch_* false",
        "tools.rename ad false",
    ];
    assert_eq!(unused, expected);
    let collisions = shown["backends"][1]["collisions"].to_string();
    assert!(collisions.contains("query"), "{shown}");
}

#[test]
fn names_that_hosts_cannot_take_are_told_and_tables_are_plain_off_a_terminal() {
    let shown = run(
        "mcp-router-http",
        &[],
        &["--demo", "check", "--connect"],
        None,
    );
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    for said in [
        "BACKEND",
        "time-primary",
        "in process",
        "Names that change",
        "text__add for text.add",
    ] {
        assert!(shown.out.contains(said), "{said} in {}", shown.out);
    }
    assert!(!shown.out.contains('\u{1b}'), "{}", shown.out);
    let args = ["--demo", "check", "--connect", "--color=always"];
    let painted = run("mcp-router-http", &[], &args, None);
    assert!(
        painted.out.starts_with("\u{1b}[1mBACKEND"),
        "{}",
        painted.out
    );
}
