//! The command line against real backends: what is refused and why, and that nothing is left behind.

use std::process::Output;
use std::time::Duration;

use mcp_router_tests::fixture::{Era, Fixture};
use mcp_router_tests::harness::{Router, binary, config};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

const S: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_taken_port_bothers_no_backend_and_a_foreign_address_is_warned_about() {
    let fixture = Fixture::builder().spawn().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let file = config([("a", fixture.url())]);
    let (status, log) = Router::builder()
        .config(&file)
        .arg("--host")
        .arg("127.0.0.1")
        .env("MCP_PORT", &port)
        .arg("--demo")
        .fail()
        .await;
    assert_eq!(
        status.code(),
        Some(2),
        "--demo and --config exclude each other: {log}"
    );

    let run = run(&["--port", &port], &file).await;
    assert_eq!(run.status.code(), Some(1));
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(
        said.contains(&format!("cannot listen on 127.0.0.1:{port}")),
        "{said}"
    );
    assert!(fixture.log().methods().is_empty(), "a backend was asked");

    let router = Router::builder()
        .config(&file)
        .arg("--host")
        .arg("0.0.0.0")
        .start()
        .await;
    router.logs().line("without authentication").await;
}

#[tokio::test]
async fn unknown_flags_and_wrong_subcommands_are_usage_errors() {
    for (args, said) in [
        (&["--no-such-flag"][..], "--no-such-flag"),
        (&["--port", "70000"], "70000"),
        (&["--port", "x"], "--port"),
        (&["--log-format", "xml"], "xml"),
        (&["frobnicate"], "frobnicate"),
        (&["call"], "NAME"),
        (&["call", "a.echo", "[1]"], "object"),
        (&["import", "x.json"], "x.json"),
        (&["completions", "tcsh"], "tcsh"),
        (&["--color", "blue"], "blue"),
    ] {
        let run = run(args, "backends: []").await;
        let text = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains(said), "{args:?}: {text}");
        assert!(!text.contains("panicked"), "{text}");
        assert!(run.stdout.is_empty(), "{args:?}");
    }
}

#[tokio::test]
async fn check_shows_every_complaint_at_once_and_no_secret() {
    let wrong = "backends:
  - { name: a, namespace: a, url: \"http://h/mcp\", prioritty: 1 }
  - { name: a, namespace: b, url: \"ftp://h\" }
  - { name: c, namespace: \"NOT OK\", command: x, timeout_seconds: 0 }
routing: { startup_wait_second: 2 }\n";
    let refused = run(&["check"], wrong).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    for complaint in [
        "`priority`",
        "ftp",
        "NOT OK",
        "timeout_seconds",
        "`startup_wait_seconds`",
    ] {
        assert!(said.contains(complaint), "{complaint} in {said}");
    }
    for place in [":2:", ":3:", ":4:", ":5:"] {
        assert!(
            said.contains(&format!("backends.yaml{place}")),
            "{place} in {said}"
        );
    }

    let right = "backends:
  - { name: a, namespace: a, url: \"http://h/mcp\", headers: { Authorization: top-secret } }
  - { name: b, command: x, env: { TOKEN: top-secret } }\n";
    let shown = run(&["check"], right).await;
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert_eq!(shown.status.code(), Some(0), "{text}");
    assert!(
        text.contains("http://h/mcp") && text.contains("***"),
        "{text}"
    );
    assert!(!text.contains("top-secret"), "{text}");
}

#[tokio::test]
async fn tools_and_call_work_on_http_backends_and_close_what_they_opened() {
    let fixture = Fixture::builder().era(Era::Legacy).spawn().await;
    let gone = Fixture::builder().down().spawn().await;
    let file = config([("a", fixture.base_url()), ("gone", gone.url())]);
    let shown = run(&["tools"], &file).await;
    let (table, said) = (
        String::from_utf8_lossy(&shown.stdout).into_owned(),
        String::from_utf8_lossy(&shown.stderr).into_owned(),
    );
    assert_eq!(shown.status.code(), Some(0), "{said}");
    assert!(
        table.contains("a.add") && table.contains("Adds two numbers"),
        "{table}"
    );
    assert!(said.contains("\"gone\" is not there"), "{said}");

    let sum = run(&["call", "a.add", r#"{"a": 40, "b": 2}"#], &file).await;
    assert_eq!(sum.status.code(), Some(0));
    let result: Value = serde_json::from_slice(&sum.stdout).expect("JSON on stdout");
    assert_eq!(result["content"][0]["text"], "42");

    let failed = run(&["call", "a.fail"], &file).await;
    assert_eq!(failed.status.code(), Some(1));
    let result: Value = serde_json::from_slice(&failed.stdout).expect("JSON on stdout");
    assert_eq!(result["isError"], true);
    let away = run(&["call", "gone.add"], &file).await;
    assert_eq!(away.status.code(), Some(1));
    let text = String::from_utf8_lossy(&away.stdout).into_owned();
    assert!(text.contains("'gone'"), "{text}");
    assert_eq!(fixture.open_sessions(), 0, "sessions left behind");
}

/// Runs `mcp-router-http` on this file and waits for its end.
async fn run(args: &[&str], file: &str) -> Output {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("backends.yaml");
    std::fs::write(&path, file).expect("a writable folder");
    let mut command = Command::new(binary("mcp-router-http"));
    command
        .arg("--config")
        .arg(&path)
        .args(args)
        .kill_on_drop(true);
    let ended = tokio::time::timeout(60 * S, command.output()).await;
    ended.expect("it ends").expect("it starts")
}
